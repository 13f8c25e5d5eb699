"""python -m train --dataset celebahq.h5"""

import inspect
import os
import sys

import tyro

from celebahq.command import parsed_on_every_rank, run_command
from train.config import TrainConfig, TrainError
from train.options import current_arguments, given_options
from train.presets import PRESETS, preset_values


def main() -> None:
    """Parse the command line, with the preset's values as defaults, and train."""
    run_command(_main, "celebahq-train", interrupted="stopped before the first iteration; nothing is lost")


def _main() -> int:
    arguments = current_arguments(sys.argv[1:])
    return _train(parsed_on_every_rank(lambda: _config(arguments)), given_options(arguments))


def _config(arguments: list[str]) -> TrainConfig:
    preset = _preset(arguments)
    return tyro.cli(
        TrainConfig,
        default=TrainConfig(dataset=tyro.MISSING, preset=preset, **preset_values(preset)),
        args=arguments,
        prog="celebahq-train",
        description=inspect.getdoc(TrainConfig),  # tyro alone shows its first line
    )


def _train(config: TrainConfig, given: frozenset[str]) -> int:
    # Before torch loads OpenMP: by default its threads spin at every barrier, and one other busy process on the same
    # cores makes an iteration on a CPU ten times slower. Sleeping instead costs a tenth on an idle machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from celebahq_builder.hdf5 import DatasetError
    from train.loop import train  # torch is imported only once there is work: --help stays instant
    from zoo.folder import ModelError

    try:
        finished = train(config, given)
    except BrokenPipeError:
        raise
    except (DatasetError, ModelError) as error:
        raise TrainError(str(error)) from None
    except OSError as error:  # a full disk shows at whatever is written next: log, grid, events
        raise TrainError(
            f"{config.run_folder}: stopped ({error}), with that put right the same command resumes"
        ) from None
    return 0 if finished else 130


def _preset(arguments: list[str]) -> str:
    """Return the value of --preset, before the options are parsed with its values as defaults."""
    name = "paper"
    for i, argument in enumerate(arguments):
        if argument == "--preset" and i + 1 < len(arguments):
            name = arguments[i + 1]
        elif argument.startswith("--preset="):
            name = argument.split("=", 1)[1]
    if name not in PRESETS:
        raise TrainError(f"--preset: got {name!r}, expected one of {', '.join(PRESETS)}")
    return name


if __name__ == "__main__":
    main()
