"""From a TrainConfig to networks on a device in the asked precision."""

import copy
from dataclasses import replace

import torch

from train.config import TrainConfig, TrainError
from train.initial import architecture_of, load_initial
from train.parameters import FlatParameters
from train.randomness import derived_seed
from train.schedule import at_resolution
from train.step import Networks, Settings
from zoo.progan import Discriminator, Generator


def choose_device(name: str) -> torch.device:
    """Return the device of --device auto|cpu|cuda.

    Raises:
        TrainError: CUDA is asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise TrainError(
            "--device cuda: PyTorch finds no CUDA device here, --device cpu (or auto), or a CUDA build, is wanted"
        )
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def choose_precision(name: str, device: torch.device) -> str:
    """Return fp32, tf32 or bf16 for --precision, and set what PyTorch may do with float32 products.

    Raises:
        TrainError: tf32 on a device that has none.
    """
    if name == "auto":
        name = "bf16" if device.type == "cuda" else "fp32"
    if name == "tf32" and device.type != "cuda":
        raise TrainError("--precision tf32: a CPU has no TF32, fp32 or bf16 is wanted")
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
                f"--minibatch-at: {size} images at {resolution}x{resolution}, a multiple of {group} (whole groups of "
                "this network's minibatch stddev) is wanted"
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
    with torch.random.fork_rng(devices=[]):  # on the CPU: the same weights whatever the device
        torch.manual_seed(derived_seed(config.seed, 3))
        generator, discriminator = Generator(architecture), Discriminator(architecture)
    if config.init:
        load_initial(config, generator, discriminator)
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
