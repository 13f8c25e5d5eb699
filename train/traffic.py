"""Bytes that one training iteration moves through a device's memory, counted on meta tensors: no device needed."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from train.augment import DRAWS
from train.config import TrainConfig
from train.randomness import Noise
from train.setup import networks_of, step_settings
from train.state.run_state import make_optimizers
from train.step import STATISTICS, train_step
from train.step_inputs import Batch
from zoo.architecture import ProGANConfig

META = torch.device("meta")
NOT_LAUNCHED = {"detach", "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}


@dataclass
class Traffic:
    """What was counted: bytes and launches by the name of the operation."""

    bytes: Counter[str] = field(default_factory=Counter)
    launches: Counter[str] = field(default_factory=Counter)


class TrafficCounter(TorchDispatchMode):
    """Adds up inputs and outputs of every kernel, views excepted: what memory sees where no cache helps.

    A convolution counts what goes in and comes out, once, although some libraries read it again for each gradient and
    add the bias in a pass of its own: the count is a lower bound of theirs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.traffic = Traffic()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation and count it."""
        name = func.overloadpacket.__name__
        # torch's fused Adam has no meta kernel; it writes the vector and both moments.
        out = args[0] + args[2] + args[3] if name == "_fused_adam_" else func(*args, **(kwargs or {}))
        if not func.is_view and name not in NOT_LAUNCHED:
            self.traffic.launches[name] += 1
            self.traffic.bytes[name] += sum(map(bytes_of, tree_leaves((args, kwargs, out))))
        return None if name == "_fused_adam_" else out


def bytes_of(x: Any) -> int:
    """Return the bytes of a tensor's elements, those of an expanded axis once; 0 for what is no tensor."""
    if not isinstance(x, Tensor):
        return 0
    elements = 1
    for size, stride in zip(x.shape, x.stride(), strict=True):
        elements *= size if stride or not size else 1
    return elements * x.dtype.itemsize


def step_traffic(
    config: TrainConfig, architecture: ProGANConfig, resolution: int, size: int, precision: str, fading: bool = True
) -> Traffic:
    """Return what one iteration moves.

    Args:
        config: options of the step; --kernels auto counts as plain.
        architecture: of the networks, as large as they will become.
        resolution: that is trained.
        size: images of the minibatch.
        precision: fp32 or bf16.
        fading: whether the newest block fades in.
    """
    step = meta_step(config, architecture, resolution, size, precision, fading)
    with TrafficCounter() as counter:
        step()
    return counter.traffic


def meta_step(
    config: TrainConfig, architecture: ProGANConfig, resolution: int, size: int, precision: str, fading: bool = True
) -> Callable[[], None]:
    """Return a function that runs one iteration on meta tensors, of shapes and dtypes only; see step_traffic."""
    nets = networks_of(architecture, seed=0, device=META, precision=precision, fused=config.kernels == "fused")
    optimizers = make_optimizers(nets, config, resolution)
    size *= config.n_critic
    label_size, latent_size = architecture.label_size, architecture.latent_size
    reals = torch.zeros(size, architecture.image_channels, resolution, resolution, dtype=torch.uint8, device=META)
    label = torch.zeros(size, label_size, device=META) if label_size else None
    batch = Batch(reals, label, label, label if config.variant != "released" else None)
    z, uniform = torch.zeros(size, latent_size, device=META), torch.zeros(size, 1, 1, 1, device=META)
    draws = torch.zeros(2, size, DRAWS, device=META) if config.augments else None
    layers = torch.zeros(3, size, architecture.noise_channels, device=META) if config.noisy_layers else None
    noise = Noise(z, z, uniform, uniform, draws, layers)
    d_average = torch.zeros((), device=META) if config.noisy_layers else None
    statistics = torch.zeros(len(STATISTICS), device=META)
    alpha = torch.zeros((), device=META) if fading else 1.0
    ada = torch.zeros(2, device=META) if config.augment == "ada" else None
    settings = step_settings(config)
    return lambda: train_step(nets, optimizers, batch, noise, alpha, statistics, settings, ada, d_average=d_average)
