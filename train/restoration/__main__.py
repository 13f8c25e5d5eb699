"""python -m train.restoration --net artifacts --photos DIR --minutes 60; ... validate|evaluate|average|publish."""

import sys

import tyro

from train.restoration.config import RestorationConfig


def main() -> None:
    """Train, or do what the first word says: validate, evaluate, average, publish. Exit code 2 for wrong input."""
    try:
        if sys.argv[1:2] == ["evaluate"]:
            from train.restoration.evaluate import EvaluateConfig, evaluate

            evaluate(tyro.cli(EvaluateConfig, args=sys.argv[2:], prog="python -m train.restoration evaluate"))
            return
        if sys.argv[1:2] == ["validate"]:
            from train.restoration.validate import ValidateConfig, validate_weights

            validate_weights(tyro.cli(ValidateConfig, args=sys.argv[2:], prog="python -m train.restoration validate"))
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
