"""python -m train.restoration --net artifacts --photos DIR --minutes 60; ... evaluate; ... average; ... publish."""

import sys

import tyro

from train.restoration.config import RestorationConfig


def main() -> None:
    """Train; with `evaluate`, `average` or `publish` first do that. Exit code 2 for wrong options or input."""
    try:
        if sys.argv[1:2] == ["evaluate"]:
            from train.restoration.evaluate import EvaluateConfig, evaluate

            evaluate(tyro.cli(EvaluateConfig, args=sys.argv[2:], prog="python -m train.restoration evaluate"))
            return
        if sys.argv[1:2] == ["average"]:
            from train.restoration.average import AverageConfig, average

            average(tyro.cli(AverageConfig, args=sys.argv[2:], prog="python -m train.restoration average"))
            return
        if sys.argv[1:2] == ["publish"]:
            from train.restoration.publish import PublishConfig, publish

            publish(tyro.cli(PublishConfig, args=sys.argv[2:], prog="python -m train.restoration publish"))
            return
        config = tyro.cli(RestorationConfig, prog="python -m train.restoration")
        from train.restoration.loop import train  # torch is imported only once there is work: --help stays instant

        train(config)
    except (ValueError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
