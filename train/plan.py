"""Where a run goes: the resolution at which growth ends, its schedule, its length."""

from dataclasses import dataclass, replace
from typing import Any

from celebahq_builder.hdf5 import Dataset
from train.config import TrainConfig, TrainError
from train.metrics.in_training import SMALLEST
from train.presets import PRESETS
from train.schedule import schedule_kimg

SMALL = 5000
"""Faces below which --augment auto is ada."""


@dataclass(frozen=True)
class Plan:
    """What config and dataset decide together.

    resolution: where growth ends. growth: the keyword arguments of growth_at. total_kimg: length of the run.
    """

    resolution: int
    growth: dict[str, Any]
    total_kimg: float


def make_plan(
    config: TrainConfig, dataset: Dataset, first_resolution: int = 4, growth: dict[str, Any] | None = None
) -> Plan:
    """Fill in what the config leaves to the dataset.

    Args:
        config: the options.
        dataset: the open file.
        first_resolution: where growth begins: 4, or that of the networks that a run starts from.
        growth: of a resumed run, as its checkpoint has it.

    Raises:
        TrainError: a resolution that the file has not, no images to train on, a generator that is never trained.
    """
    resolution = config.resolution or dataset.resolution
    if resolution > dataset.resolution:
        of_preset = PRESETS.get(config.preset, {}).get("resolution") == resolution
        asked = f"--preset {config.preset}, which grows to {resolution}x{resolution}" if of_preset else (
            f"--resolution {resolution}"
        )  # fmt: skip
        raise TrainError(
            f"{config.dataset}: got {dataset.resolution}x{dataset.resolution}, not enough for {asked}; "
            f"give --resolution {dataset.resolution}"
        )
    if resolution < 4:
        raise TrainError(f"{config.dataset}: got images of {resolution}x{resolution}, expected 4x4 or more")
    if config.metrics and resolution < SMALLEST:
        raise TrainError(
            f"--metrics {' '.join(config.metrics)}: got a run that ends at {resolution}x{resolution}, expected 16x16"
        )
    resumes = growth is not None
    growth = growth or {
        "stable_kimg": config.stable_kimg,
        "fade_kimg": config.fade_kimg,
        "max_resolution": resolution,
        "first_resolution": first_resolution if config.grow else resolution,
    }
    total_kimg = config.total_kimg or schedule_kimg(**growth) + 2 * config.stable_kimg
    if total_kimg <= 0:
        raise TrainError("--total-kimg: got none, and --stable-kimg 0 leaves nothing to do; expected more than 0")
    alone = config.discriminator_kimg or 0
    if not resumes and alone > total_kimg:  # as long: to be gone on from
        raise TrainError(
            f"--total-kimg: got {total_kimg:g}, expected {alone:g} or more, for which the discriminator is trained "
            f"alone; or give --discriminator-kimg {total_kimg / 4:g}"
        )
    return Plan(resolution, growth, total_kimg)


def with_augmentation(config: TrainConfig, faces: int, plan: Plan) -> TrainConfig:
    """Return the options with --augment auto decided, and how fast ada's probability may move.

    That follows from the growth and not from --total-kimg, so that a run that is extended is the longer run.
    """
    if config.augment == "auto":
        config = replace(config, augment="ada" if faces < SMALL else "none")
    if config.augment == "ada" and config.augment_kimg is None:
        schedule = schedule_kimg(**plan.growth) + 2 * config.stable_kimg or plan.total_kimg
        config = replace(config, augment_kimg=min(500.0, float(f"{schedule / 8:.9g}")))
    return config
