"""What TrainConfig refuses: numbers out of range, options that contradict each other or would do nothing."""

import math
from dataclasses import asdict
from typing import TYPE_CHECKING

from celebahq.errors import CelebAHQError
from zoo.metrics import WHILE_TRAINING

if TYPE_CHECKING:
    from train.config import TrainConfig

WITHOUT = {"lsgan": ("gp_weight", "gp_target", "drift", "penalty_interval"), "r3gan": ("gp_target", "drift")}
"""Loss -> options whose terms it has not."""


class TrainError(CelebAHQError):
    """A mistake that the user can mend; the message is one line."""


def check_values(config: "TrainConfig") -> None:
    """Raise TrainError where a value cannot be, alone or beside another."""
    if unknown := [name for name in config.metrics if name not in WHILE_TRAINING]:
        raise TrainError(f"--metrics: got {unknown[0]!r}, expected some of {' '.join(WHILE_TRAINING)}")
    for name, value in asdict(config).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise TrainError(f"--{_flag(name)}: got {value}, expected a finite number")
        if name.endswith("_at"):
            _check_table(f"--{_flag(name)}", value)
    positive = ("minibatch", "learning_rate", "latent_size", "fmap_base", "fmap_max", "tick_kimg", "gp_target",
                "checkpoint_ticks", "keep_checkpoints", "epsilon", "metrics_kimg", "n_critic",
                "discriminator_divisor", "penalty_interval")  # fmt: skip
    for name in positive:
        if getattr(config, name) <= 0:
            raise TrainError(f"--{_flag(name)}: got {getattr(config, name)}, expected more than 0")
    if config.discriminator_kimg is not None and config.discriminator_kimg < 0:
        raise TrainError(f"--discriminator-kimg: got {config.discriminator_kimg}, expected 0 or more")
    if config.augment_kimg is not None and config.augment_kimg <= 0:
        raise TrainError(f"--augment-kimg: got {config.augment_kimg}, expected more than 0")
    not_negative = ("stable_kimg", "fade_kimg", "gp_weight", "drift", "ema_kimg", "rampup_kimg", "image_ticks",
                    "seed", "generator_slope", "minibatch_discrimination")  # fmt: skip
    for name in not_negative:
        if getattr(config, name) < 0:
            raise TrainError(f"--{_flag(name)}: got {getattr(config, name)}, expected 0 or more")
    if config.compile and config.kernels == "fused":
        raise TrainError("--kernels: got fused with --compile, expected one of the two; leave out --kernels")
    if config.grow and config.stable_kimg + config.fade_kimg <= 0:
        raise TrainError("--stable-kimg, --fade-kimg: got 0 for both, expected more; to start big, --no-grow")
    if config.resolution is not None and (config.resolution < 4 or config.resolution & (config.resolution - 1)):
        raise TrainError(f"--resolution: got {config.resolution}, expected a power of two from 4")
    if config.total_kimg is not None and config.total_kimg <= 0:
        raise TrainError(f"--total-kimg: got {config.total_kimg}, expected more than 0")
    if config.max_batch_per_gpu is not None and config.max_batch_per_gpu < 1:
        raise TrainError(f"--max-batch-per-gpu: got {config.max_batch_per_gpu}, expected at least 1")
    if config.metrics_images < 2:
        raise TrainError(f"--metrics-images: got {config.metrics_images}, expected at least 2")
    check_losses(config)
    if config.generator_norm == "batch" and config.pixelnorm != "none" and not config.init:
        raise TrainError(f"--generator-norm batch: got --pixelnorm {config.pixelnorm} too, expected none")
    if config.resident_gib != "auto" and config.resident_gib < 0:
        raise TrainError(f"--resident-gib: got {config.resident_gib}, expected auto, or 0 or more")
    for name in ("beta1", "beta2", "ema_beta"):
        if not 0 <= (getattr(config, name) or 0) < 1:
            raise TrainError(f"--{_flag(name)}: got {getattr(config, name)}, expected from 0 to below 1")


def check_losses(config: "TrainConfig") -> None:
    """Raise TrainError where an option of the loss or the order of updates would do nothing, or contradicts another."""
    fields = type(config).__dataclass_fields__
    for name in WITHOUT.get(config.loss, ()):
        if getattr(config, name) not in (0, fields[name].default):
            raise TrainError(
                f"--{_flag(name)}: got {getattr(config, name)}, expected nothing: {config.loss} has no such term"
            )
    if config.loss != "lsgan" and config.lsgan_noise != fields["lsgan_noise"].default:
        raise TrainError(f"--lsgan-noise: got {config.lsgan_noise} with --loss {config.loss}, expected --loss lsgan")
    if config.gp_weight == 0 and config.penalty_interval > 1:
        raise TrainError(
            f"--penalty-interval: got {config.penalty_interval} with --gp-weight 0, expected 1: there is no penalty"
        )
    if config.discriminator_divisor > 1 and config.variant != "mnist1k":
        raise TrainError(f"--discriminator-divisor: got it with --variant {config.variant}, expected mnist1k")
    if config.minibatch_discrimination and config.variant == "mnist1k":
        raise TrainError(
            "--minibatch-discrimination: got it with --variant mnist1k, expected 0: it has no layer for it"
        )
    if config.simultaneous and config.n_critic > 1:
        raise TrainError(f"--simultaneous: got --n-critic {config.n_critic}, expected 1: both see the same minibatch")


def names_of(metrics: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of --metrics, which are given as words, or with commas, or both; each once."""
    words = [metrics] if isinstance(metrics, str) else metrics
    return tuple(dict.fromkeys(name.strip() for word in words for name in word.split(",") if name.strip()))


def _check_table(flag: str, table: tuple[tuple[int, float], ...]) -> None:
    """Raise TrainError unless every pair is a resolution, once, and a positive number."""
    for resolution, value in table:
        if resolution < 4 or resolution & (resolution - 1):
            raise TrainError(f"{flag}: got resolution {resolution}, expected a power of two from 4")
        if not 0 < value < math.inf:
            raise TrainError(f"{flag}: got {value} at {resolution}, expected more than 0")
    if len(dict(table)) < len(table):
        raise TrainError(f"{flag}: got a resolution twice, expected each once")


def _flag(name: str) -> str:
    return name.replace("_", "-")
