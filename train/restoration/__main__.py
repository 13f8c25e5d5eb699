"""python -m train.restoration --net artifacts --photos DIR --minutes 60; python -m train.restoration evaluate ..."""

import sys

import tyro

from train.restoration.config import RestorationConfig


def main() -> None:
    """Train, or with `evaluate` as the first word measure. Exit code 2 for wrong options or input."""
    try:
        if sys.argv[1:2] == ["evaluate"]:
            from train.restoration.evaluate import EvaluateConfig, evaluate

            evaluate(tyro.cli(EvaluateConfig, args=sys.argv[2:], prog="python -m train.restoration evaluate"))
            return
        config = tyro.cli(RestorationConfig, prog="python -m train.restoration")
        from train.restoration.loop import train  # torch is imported only once there is work: --help stays instant

        train(config)
    except (ValueError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
