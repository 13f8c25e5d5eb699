"""From a TrainConfig to networks on a device in the asked precision."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from train.config import TrainConfig, TrainError
from train.initial import architecture_of, load_initial
from train.parameters import FlatParameters
from train.randomness import derived_seed
from train.schedule import at_resolution
from train.step import Networks, Settings
from zoo.architecture import ProGANConfig
from zoo.progan import Discriminator, Generator


def choose_precision(name: str, device: torch.device, of_run: str | None = None, folder: Path | None = None) -> str:
    """Return fp32, tf32 or bf16 for --precision, and set what PyTorch may do with float32 products.

    Args:
        name: as --precision; auto is the run's own where it has one.
        device: where it trains.
        of_run: what the run in `folder` was trained in so far.

    Raises:
        TrainError: tf32 on a device that has none, or another precision than the run's.
    """
    if name == "auto":
        name = of_run or ("bf16" if device.type == "cuda" else "fp32")
    if of_run and name != of_run:
        raise TrainError(
            f"{folder}: got --precision {name}, expected {of_run}, as it was trained; give --name for a run of its own"
        )
    if name == "tf32" and device.type != "cuda":
        if of_run:
            raise TrainError(f"{folder}: it was trained in tf32, which a CPU has not; resume it on CUDA")
        raise TrainError("--precision tf32: a CPU has none, expected fp32 or bf16")
    # In bf16 the discriminator's 4x4 layers stay float32; their products may then be TF32, whose mantissa is longer.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = name in ("tf32", "bf16")
    return name


def check_minibatches(config: TrainConfig, first_resolution: int, last_resolution: int) -> None:
    """Raise TrainError if a minibatch does not fill whole groups of the network's minibatch stddev."""
    architecture = architecture_of(config)
    group = architecture.stddev_group_size if architecture.stddev_uneven == "refused" else None
    for i in range(last_resolution.bit_length() - first_resolution.bit_length() + 1):
        resolution = first_resolution << i
        size = at_resolution(config.minibatch_at, resolution, config.minibatch)
        if group and size > group and size % group:
            raise TrainError(
                f"minibatch at {resolution}x{resolution}: got {size} images, expected a multiple of {group} (whole "
                f"groups of this network's minibatch stddev); give "
                f"{config.minibatch_flag(resolution, size - size % group)}"
            )


def make_networks(
    config: TrainConfig,
    *,
    resolution: int,
    image_channels: int,
    label_size: int,
    device: torch.device,
    precision: str,
) -> Networks:
    """Build the three networks, from the seed alone or from --init, the moving average equal to the generator."""
    torch.backends.cudnn.benchmark = not config.deterministic
    torch.backends.cudnn.deterministic = config.deterministic
    sizes = {"resolution": resolution, "image_channels": image_channels, "label_size": label_size}
    architecture = replace(architecture_of(config), **sizes)
    fill = (lambda g, d: load_initial(config, g, d)) if config.init else None
    return networks_of(architecture, seed=config.seed, device=device, precision=precision, fill=fill)


def networks_of(
    architecture: ProGANConfig,
    *,
    seed: int,
    device: torch.device,
    precision: str,
    fill: Callable[[Generator, Discriminator], None] | None = None,
) -> Networks:
    """Build the three networks of an architecture on a device; fill: puts weights into the new ones."""
    with torch.random.fork_rng(devices=[]):  # on the CPU: the same weights whatever the device
        torch.manual_seed(derived_seed(seed, 3))
        generator, discriminator = Generator(architecture), Discriminator(architecture)
    if fill:
        fill(generator, discriminator)
    g_ema = copy.deepcopy(generator).requires_grad_(False)
    for network in (generator, discriminator, g_ema):
        network.to(device)
    if precision == "bf16":
        generator.compute_dtype = discriminator.compute_dtype = torch.bfloat16
    return Networks(
        generator,
        discriminator,
        g_ema,
        FlatParameters(generator),
        FlatParameters(discriminator),
        FlatParameters(g_ema),
    )


def step_settings(config: TrainConfig) -> Settings:
    """Return the constants of the step."""
    return Settings(
        gp_weight=config.gp_weight,
        gp_target=config.gp_target,
        drift=config.drift,
        mirror=config.mirror,
        ema_kimg=config.ema_kimg,
        ema_beta=config.ema_beta,
    )
