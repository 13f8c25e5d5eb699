"""python -m train --dataset celebahq.h5"""

import sys

import tyro

from train.config import TrainConfig
from train.presets import PRESETS


def main() -> None:
    """Parse the command line, with the preset's values as defaults, and train."""
    arguments = sys.argv[1:]
    preset = _preset(arguments)
    try:
        config = tyro.cli(
            TrainConfig,
            default=TrainConfig(dataset=tyro.MISSING, preset=preset, **PRESETS[preset]),
            args=arguments,
            prog="celebahq-train",
        )
        from celebahq_builder.hdf5 import DatasetError
        from train.checkpoint import CheckpointError
        from train.loop import train  # torch is imported only once there is work: --help stays instant
        from train.setup import TrainError
    except ValueError as error:
        _fail(str(error))
    try:
        finished = train(config)
    except (TrainError, CheckpointError, DatasetError) as error:
        _fail(str(error))
    sys.exit(0 if finished else 130)


def _preset(arguments: list[str]) -> str:
    """Return the value of --preset, before the options are parsed with its values as defaults."""
    name = "paper"
    for i, argument in enumerate(arguments):
        if argument == "--preset" and i + 1 < len(arguments):
            name = arguments[i + 1]
        elif argument.startswith("--preset="):
            name = argument.split("=", 1)[1]
    if name not in PRESETS:
        _fail(f"--preset: {name!r}, one of {', '.join(PRESETS)} is wanted")
    return name


def _fail(message: str) -> None:
    print(message, file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
