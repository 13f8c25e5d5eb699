"""python -m train --dataset celebahq.h5"""

import sys
from typing import TYPE_CHECKING

from celebahq.command import parsed_on_every_rank, run_command

if TYPE_CHECKING:
    from train.config import TrainConfig


def main() -> None:
    """Parse the command line, with the preset's values as defaults, and train."""
    run_command(
        _main, "celebahq-train", interrupted="stopped before the first iteration; nothing is lost", has_ranks=True
    )


def _main() -> int:
    """Import behind run_command, which has an answer to Ctrl-C."""
    from train.options import current_arguments, given_options

    arguments = current_arguments(sys.argv[1:])
    return _train(parsed_on_every_rank(lambda: _config(arguments)), given_options(arguments))


def _config(arguments: list[str]) -> "TrainConfig":
    import inspect

    import tyro

    from train.config import TrainConfig
    from train.presets import preset_values

    preset = _preset(arguments)
    return tyro.cli(
        TrainConfig,
        default=TrainConfig(dataset=tyro.MISSING, preset=preset, **preset_values(preset)),
        args=arguments,
        prog="celebahq-train",
        description=inspect.getdoc(TrainConfig),  # tyro alone shows its first line
    )


def _train(config: "TrainConfig", given: frozenset[str]) -> int:
    import os

    # Before torch loads OpenMP: by default its threads spin at every barrier, and one other busy process on the same
    # cores makes an iteration on a CPU ten times slower. Sleeping instead costs a tenth on an idle machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from celebahq_builder.hdf5 import DatasetError
    from train.config import TrainError
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
    from train.config import TrainError
    from train.presets import PRESETS

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
