"""From a TrainConfig to networks on a device in the asked precision."""

import copy
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from train.compiled import compile_networks
from train.config import TrainConfig, TrainError
from train.device import multiplies_bf16
from train.kernels import use_fused_kernels
from train.options import flag
from train.parameters import FlatParameters
from train.randomness import derived_seed
from train.state.initial import SIZES, Initial, architecture_of_checkpoint, fill, grown
from train.step_inputs import Networks, Settings
from zoo.architecture import ProGANConfig
from zoo.fused_blocks import fuse
from zoo.progan import Discriminator, Generator

LOG = logging.getLogger("celebahq.train")


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
        name = of_run or _best_precision(device)
    if of_run and name != of_run:
        raise TrainError(
            f"{folder}: got --precision {name}, expected {of_run}, as it was trained; give --name for a run of its own"
        )
    if name == "tf32" and device.type != "cuda":
        if of_run:
            raise TrainError(f"{folder}: got a run in tf32 on a CPU, expected CUDA: a CPU has no tf32")
        raise TrainError("--precision: got tf32 on a CPU, expected fp32 or bf16")
    if name != "fp32" and device.type == "cuda" and not multiplies_bf16(device):
        where = f"{folder}: was trained in" if of_run else "--precision: got"
        raise TrainError(
            f"{where} {name}, expected fp32: {torch.cuda.get_device_name(device)} has compute capability "
            f"{_capability(device)}, bf16 and TF32 begin at 8.0"
        )
    if name == "bf16" and not multiplies_bf16(device):
        LOG.info("bf16: this processor only emulates it, slower than fp32")
    # In bf16 the discriminator's 4x4 layers stay float32, and so do their products.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = name == "tf32"
    return name


def _best_precision(device: torch.device) -> str:
    if multiplies_bf16(device):
        return "bf16"
    if device.type != "cuda":
        return "fp32"
    told = f"{torch.cuda.get_device_name(device)} has compute capability {_capability(device)}"
    LOG.info("%s: it trains in fp32, because bf16 and TF32 begin at 8.0", told)
    return "fp32"


def _capability(device: torch.device) -> str:
    return ".".join(map(str, torch.cuda.get_device_capability(device)))


def architecture_of(config: TrainConfig, resolution: int = 1024) -> ProGANConfig:
    """Return the architecture that the options describe, up to a resolution; TrainError where there is none such."""
    direct = resolution if config.variant == "mnist1k" else 0
    options = {name: getattr(config, name) for name in SIZES}
    try:
        return ProGANConfig(**options, resolution=resolution, direct_input=direct)
    except ValueError as error:
        name, _, rest = str(error).partition(":")
        raise TrainError(f"{flag(name)}:{rest}") from None


def make_networks(
    config: TrainConfig,
    *,
    resolution: int,
    image_channels: int,
    label_size: int,
    device: torch.device,
    precision: str,
    initial: Initial | None = None,
    state: dict[str, Any] | None = None,
) -> Networks:
    """Build the three networks, from the seed alone or from --init, the moving average equal to the generator.

    Args:
        config, resolution, image_channels, label_size, device, precision: of the run.
        initial: networks to start from.
        state: the checkpoint whose networks they will be; it fills them later.
    """
    torch.backends.cudnn.benchmark = not config.deterministic
    torch.backends.cudnn.deterministic = config.deterministic
    if state:
        architecture = architecture_of_checkpoint(state)
    else:
        architecture = grown(initial.architecture, resolution) if initial else architecture_of(config, resolution)
    architecture = replace(architecture, resolution=resolution, image_channels=image_channels, label_size=label_size)
    put = (lambda *networks: fill(config, initial, *networks)) if initial else None
    fused = not config.compile and use_fused_kernels(config.kernels, device)
    nets = networks_of(architecture, seed=config.seed, device=device, precision=precision, put=put, fused=fused)
    if config.compile:
        compile_networks(nets.generator, nets.discriminator)
    return nets


def networks_of(
    architecture: ProGANConfig,
    *,
    seed: int,
    device: torch.device,
    precision: str,
    put: Callable[[Generator, Generator, Discriminator], None] | None = None,
    fused: bool = False,
) -> Networks:
    """Build the three networks of an architecture on a device.

    Args:
        architecture, seed, device, precision: of the networks.
        put: fills new generator, average, discriminator.
        fused: whether the two that train compute through the fused operations.
    """
    with torch.random.fork_rng(devices=[]):  # on the CPU: the same weights whatever the device
        torch.manual_seed(derived_seed(seed, 3))
        generator, discriminator = Generator(architecture), Discriminator(architecture)
    g_ema = copy.deepcopy(generator).requires_grad_(False).eval()  # batch normalization by its averaged statistics
    if put:
        put(generator, g_ema, discriminator)
    for network in (generator, discriminator, g_ema):
        network.to(device)
    if precision == "bf16":
        generator.compute_dtype = discriminator.compute_dtype = torch.bfloat16
    if fused:
        fuse(generator)
        fuse(discriminator)
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
        penalty_interval=config.penalty_interval,
        drift=config.drift,
        mirror=config.mirror,
        n_critic=config.n_critic,
        simultaneous=config.simultaneous,
        lsgan_noise=config.lsgan_noise,
        ema_kimg=config.ema_kimg,
        ema_beta=config.ema_beta,
        loss=config.loss,
        augment=config.augment,
        augment_kimg=config.augment_kimg or 500.0,
    )
