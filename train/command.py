"""The command that repeats a run: it is published with the model."""

import shlex
from dataclasses import fields
from pathlib import Path

from train.config import TrainConfig
from train.options import words as option_words
from train.presets import PRESETS

NOT_PUBLISHED = ("dataset", "preset", "outdir", "name")
"""Where the files lie on one machine, and what is said first."""


def train_command(config: TrainConfig) -> str:
    """Return the command of a run: the preset, and every option that differs from it. Names stand for paths."""
    words = ["python", "-m", "train", "--dataset", config.dataset.name]
    if config.preset in PRESETS:  # any name will do for a config that no command line made
        words += ["--preset", config.preset]
    preset = TrainConfig(dataset=config.dataset, **PRESETS.get(config.preset, {}))
    for name in (field.name for field in fields(TrainConfig) if field.name not in NOT_PUBLISHED):
        value = getattr(config, name)
        if name == "init" and value and Path(value).exists():
            value = Path(value).name
        if value == getattr(preset, name):
            continue
        words += option_words(name, value)
    return shlex.join(words)
