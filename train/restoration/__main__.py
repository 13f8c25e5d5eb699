"""python -m train.restoration --net artifacts --photos DIR --minutes 60; ... validate|evaluate|average|publish."""

import sys
from typing import TYPE_CHECKING

from celebahq.command import parsed_on_every_rank, run_command

if TYPE_CHECKING:
    from train.restoration.config import RestorationConfig

ALONE = frozenset({"evaluate", "validate", "average", "publish"})
"""The words of what runs in one process."""


def main() -> None:
    """Train, or do what the first word says: validate, evaluate, average, publish."""
    run_command(
        _main,
        "train.restoration",
        interrupted="stopped; the same command resumes from its last checkpoint",
        has_ranks=ALONE.isdisjoint(sys.argv[1:2]),
    )


def _main() -> None:
    """Import behind run_command, which has an answer to Ctrl-C; torch only once there is work: --help stays instant."""
    import tyro

    from train.restoration.config import RestorationConfig

    word, arguments = (sys.argv[1] if len(sys.argv) > 1 else ""), sys.argv[2:]
    prog = f"python -m train.restoration {word}"
    if word == "evaluate":
        from train.restoration.evaluate import EvaluateConfig, evaluate

        evaluate(tyro.cli(EvaluateConfig, args=arguments, prog=prog))
    elif word == "validate":
        from train.restoration.validate import ValidateConfig, validate_weights

        validate_weights(tyro.cli(ValidateConfig, args=arguments, prog=prog))
    elif word == "average":
        from train.restoration.average import AverageConfig, average

        average(tyro.cli(AverageConfig, args=arguments, prog=prog))
    elif word == "publish":
        from train.restoration.publish import PublishConfig, publish

        publish(tyro.cli(PublishConfig, args=arguments, prog=prog))
    else:
        _train(parsed_on_every_rank(lambda: tyro.cli(RestorationConfig, prog="python -m train.restoration")))


def _train(config: "RestorationConfig") -> None:
    from train.distributed import joined
    from train.restoration.errors import NoPhotosError, RestorationError
    from train.restoration.loop import train

    try:
        with joined("train.restoration") as ranks:
            train(config, ranks=ranks)
    except NoPhotosError:
        raise
    except OSError as error:  # a full disk shows at whatever is written next: photos, log, strip
        raise RestorationError(
            f"{config.outdir / config.name}: stopped ({error}), with that put right the same command resumes"
        ) from None


if __name__ == "__main__":
    main()
