"""How far a network has grown, as its config says, and the weight of a block that fades in."""

from torch import Tensor

from zoo.architecture import ProGANConfig


def growth_of(config: ProGANConfig) -> tuple[int, float]:
    """Return (halvings of the full resolution, weight of the newest block) that the config's lod stands for."""
    halvings = int(config.lod)
    return halvings, 1.0 - (config.lod - halvings)


def fades(config: ProGANConfig, resolution: int, alpha: Tensor | float) -> bool:
    """Whether D computes the faded path at this resolution."""
    return resolution >= config.discriminator_fades_from and is_fading(alpha)


def is_fading(alpha: Tensor | float) -> bool:
    """Whether the faded path is computed: a tensor always does, so that one captured graph serves fade and stable."""
    return isinstance(alpha, Tensor) or alpha < 1


def as_weight(alpha: Tensor | float, like: Tensor) -> Tensor | float:
    """Return alpha as torch.lerp wants it: a number, or a tensor of the images' dtype."""
    return alpha.to(like.dtype) if isinstance(alpha, Tensor) else alpha
