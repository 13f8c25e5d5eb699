"""celebahq-build --input in-the-wild/"""

from celebahq.command import run_command


def main() -> None:
    """Run the command and exit: 0 done, 1 done but for photos that failed, 2 wrong usage or input, 130 after Ctrl-C."""
    run_command(_build, "celebahq-build", interrupted="interrupted; run the same command again to continue")


def _build() -> None:
    """Import behind run_command, which has an answer to Ctrl-C."""
    import contextlib

    import tyro

    from celebahq_builder.config import BuildConfig

    config = tyro.cli(BuildConfig, prog="celebahq-build", config=(tyro.conf.FlagCreatePairsOff,))
    from celebahq_builder.worker_forks import begun

    local = config.workers and config.ray is None
    with begun("celebahq_builder.process_photo:process_task") if local else contextlib.nullcontext():
        from celebahq_builder.build import build  # image libraries load only once there is work: --help is instant

        build(config)


if __name__ == "__main__":
    main()
