"""The options of a run as they are typed, which were given, which a resumed run may change, and the whole command."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from train.config import TrainConfig
from train.presets import PRESETS

FIXED = ("preset", "seed", "init", "resolution", "stable_kimg", "fade_kimg", "grow", "variant", "latent_size",
         "fmap_base", "fmap_max", "discriminator_kimg", "loss", "n_critic", "latent_norm", "pixelnorm",
         "generator_norm", "generator_slope", "tanh", "discriminator_norm", "stddev", "minibatch_discrimination",
         "equalized", "discriminator_divisor", "simultaneous")  # fmt: skip
"""With another value the networks would not fit, or so many images would mean another moment of growth."""

UNRECORDED = ("dataset", "outdir", "name", "device", "resident_gib", "capture", "keep_checkpoints",
              "checkpoint_ticks", "checkpoint_minutes", "tick_kimg", "tick_kimg_at", "image_ticks", "total_kimg",
              "metrics", "metrics_kimg", "metrics_images", "precision", "max_batch_per_gpu", "kernels",
              "compile", "wandb")  # fmt: skip
"""Where files lie, how often something is shown, how long it goes on: nothing that belongs into a run's history."""

NEVER_KEPT = ("dataset", "outdir", "name", "device")
"""What a resumed run takes from the command line even where nothing is given: they are of this machine."""

NOT_PUBLISHED = ("dataset", "preset", "outdir", "name", "wandb")
"""Where the files lie on one machine, whose account shows it, and what is said first."""


def flag(name: str) -> str:
    """Return the option of a field: learning_rate_at -> --learning-rate-at."""
    return "--" + name.replace("_", "-")


def words(name: str, value: Any) -> list[str]:
    """Return an option as the words of a command line."""
    if isinstance(value, bool):
        return [flag(name) if value else f"--no-{flag(name)[2:]}"]
    if isinstance(value, tuple | list):
        entries = [item for pair in value for item in pair] if name.endswith("_at") else value
        return [flag(name), *map(str, entries)]
    return [flag(name), str(value)]


def typed(name: str, value: Any) -> str:
    """Return an option as it is typed, or "no --option"."""
    return f"no {flag(name)}" if value is None or value in ((), []) else " ".join(words(name, value))


def current_arguments(arguments: Sequence[str]) -> list[str]:
    """Return a command line with the options of earlier versions under their names of today."""
    return [re.sub("^--generator[-_]leak(?==|$)", "--generator-slope", argument) for argument in arguments]


def given_options(arguments: Sequence[str]) -> frozenset[str]:
    """Return the fields of TrainConfig that a command line names."""
    known = {field.name for field in fields(TrainConfig)}
    found = set()
    for argument in arguments:
        if argument.startswith("--"):
            name = argument[2:].split("=", 1)[0].replace("-", "_")
            found |= {name, name.removeprefix("no_")} & known
    return frozenset(found)


def with_saved_options(config: TrainConfig, saved: dict[str, Any], given: frozenset[str] | None) -> TrainConfig:
    """Return the options of a resumed run: those that are given, and for all others the saved ones.

    Args:
        config: as the command line gives it, defaults included.
        saved: TrainConfig.to_dict() of the run.
        given: the fields that were given; None: all of them.
    """
    if given is None:
        return config
    names = {field.name for field in fields(TrainConfig)} - given - set(NEVER_KEPT)
    # Each of these takes the place of the other: who gives one has it, whatever the run began with.
    if config.compile and "compile" in given:
        names.discard("kernels")
    elif config.kernels == "fused" and "kernels" in given:
        names.discard("compile")
    return replace(config, **{name: from_saved(name, saved[name]) for name in names if name in saved})


def keep_automatic(config: TrainConfig, saved: dict[str, Any]) -> TrainConfig:
    """Return the options of a resumed run, with what was chosen for it once where the choice is left to the program."""
    chosen = {}
    if config.augment == "auto":
        chosen["augment"] = saved.get("augment", "none")  # a run from before there was any
    for name in ("augment_kimg", "discriminator_kimg"):
        if getattr(config, name) is None:
            chosen[name] = saved.get(name)
    return replace(config, **chosen)


def from_saved(name: str, value: Any) -> Any:
    """Return the value of a field as TrainConfig has it, of the plain JSON type that is saved."""
    if name in ("dataset", "outdir"):
        return Path(value)
    if isinstance(value, list | tuple):
        return tuple(tuple(item) if isinstance(item, list | tuple) else item for item in value)
    return value


def forbidden_change(saved: dict[str, Any], now: dict[str, Any]) -> tuple[str, str] | None:
    """Return the first option, as it was and as it is typed now, whose change would mix two runs; else None."""
    defaults = {field.name: field.default for field in fields(TrainConfig)}  # what a run had before there was a choice
    for name in FIXED:
        before = saved.get(name, defaults[name])
        if plain(before) != plain(now[name]):
            return typed(name, before), typed(name, now[name])
    return None


def changes(saved: dict[str, Any], now: dict[str, Any]) -> dict[str, list[Any]]:
    """Return what a resumed run changes and its history tells: option -> [before, now].

    A run from before there was an option had its default, unless that leaves the choice to the program.
    """
    defaults = {field.name: field.default for field in fields(TrainConfig) if field.default not in ("auto", None)}
    before = {name: plain(value) for name, value in (defaults | saved).items()}
    return {
        name: [before[name], plain(value)]
        for name, value in now.items()
        if name in before and name not in (*FIXED, *UNRECORDED) and before[name] != plain(value)
    }


def plain(value: Any) -> Any:
    """Return a value as JSON would give it back."""
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def train_command(config: TrainConfig) -> str:
    """Return the command of a run: the preset, and every option that differs from it. Names stand for paths."""
    command = ["python", "-m", "train", "--dataset", config.dataset.name]
    if config.preset in PRESETS:  # any name will do for a config that no command line made
        command += ["--preset", config.preset]
    preset = TrainConfig(dataset=config.dataset, **PRESETS.get(config.preset, {}))
    for name in (field.name for field in fields(TrainConfig) if field.name not in NOT_PUBLISHED):
        value = getattr(config, name)
        if name == "init" and value and Path(value).exists():
            value = Path(value).name
        if value == getattr(preset, name):
            continue
        command += words(name, value)
    return shlex.join(command)
