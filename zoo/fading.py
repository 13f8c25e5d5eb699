"""How far a network has grown, as its config says, and the weight of a block that fades in."""

import torch
from torch import Tensor

from zoo.architecture import ProGANConfig
from zoo.layers import leaky_relu


def fade_state(config: ProGANConfig) -> tuple[int, float]:
    """Return (halvings of the full resolution, weight of the newest block) that the config's lod stands for."""
    halvings = int(config.lod)
    return halvings, 1.0 - (config.lod - halvings)


def fades(config: ProGANConfig, resolution: int, alpha: Tensor | float) -> bool:
    """Whether D computes the faded path at this resolution."""
    return resolution >= config.discriminator_fades_from and is_fading(alpha)


def is_fading(alpha: Tensor | float) -> bool:
    """Whether the faded path is computed: a tensor always does, so that one captured graph serves fade and stable."""
    return isinstance(alpha, Tensor) or alpha < 1


def blend(coarse: Tensor, fine: Tensor, alpha: Tensor | float) -> Tensor:
    """Return (1 - alpha) * coarse + alpha * fine in their dtype; alpha counts in float32, however they are kept.

    bf16 has 8 bits: as a tensor of that dtype alpha would stand still for a 256th of the fade and more at its end.

    Args:
        coarse, fine: of one shape and dtype.
        alpha: a number or a () float32 tensor.
    """
    if isinstance(alpha, Tensor) and alpha.dtype.itemsize > fine.dtype.itemsize:
        return torch.lerp(coarse.to(alpha.dtype), fine.to(alpha.dtype), alpha).to(fine.dtype)
    return torch.lerp(coarse, fine, alpha.to(fine.dtype) if isinstance(alpha, Tensor) else alpha)


def blend_activated(coarse: Tensor, fine: Tensor, alpha: Tensor | float, slope: float) -> Tensor:
    """Return blend(leaky ReLU of coarse, fine, alpha): how D's input of half the size joins its newest block."""
    return blend(leaky_relu(coarse, slope), fine, alpha)


def weighted(x: Tensor, weight: Tensor | float) -> Tensor:
    """Return weight * x in the dtype of x; the weight counts in its own, as in blend, whose adjoint this is."""
    if isinstance(weight, Tensor) and weight.dtype.itemsize > x.dtype.itemsize:
        return (x.to(weight.dtype) * weight).to(x.dtype)
    return x * weight
