"""A network's parameters in one buffer, coarse layers first: what grows is a prefix, and updates are single kernels."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.architecture import size_key
from zoo.progan import Discriminator, Generator


class FlatParameters:
    """All parameters of a network as one float32 vector; the network's own are views into it.

    The parameters that a resolution trains are a prefix of the vector, so Adam, the moving average, the check for
    overflow and (on several devices) the all-reduce are each one operation on a slice. Convolution weights lie in it
    as (out, height, width, in), the order that channels_last convolutions read without a copy: faster on CUDA and on
    a CPU, and one order everywhere, since the optimizers' state in a checkpoint follows it.

    Args:
        network: its parameters are re-pointed into the vector; it must already be on its device.
    """

    def __init__(self, network: Generator | Discriminator) -> None:
        self.resolutions = network.config.resolutions
        rgb = network.to_rgb if isinstance(network, Generator) else network.from_rgb
        groups = [
            [*network.blocks[key].parameters(), *(rgb[key].parameters() if key in rgb else ())]
            for key in map(size_key, self.resolutions)
        ]
        self.parameters: list[nn.Parameter] = [p for group in groups for p in group]
        self._ends = [sum(p.numel() for group in groups[: i + 1] for p in group) for i in range(len(groups))]
        self._counts = [sum(len(group) for group in groups[: i + 1]) for i in range(len(groups))]
        self.vector = torch.cat([self._physical(p.detach()) for p in self.parameters])
        start = 0
        for p in self.parameters:
            p.data = self._view(self.vector[start : start + p.numel()], p.shape)
            start += p.numel()

    def active(self, resolution: int) -> list[nn.Parameter]:
        """Return the parameters up to a resolution, in the vector's order."""
        return self.parameters[: self._counts[self.resolutions.index(resolution)]]

    def prefix(self, resolution: int) -> Tensor:
        """Return the part of the vector that holds them: a view."""
        return self.vector[: self._ends[self.resolutions.index(resolution)]]

    def flatten(self, gradients: Sequence[Tensor | None], resolution: int) -> Tensor:
        """Return the gradients of active(resolution) as one vector; None (a layer not used now) becomes zeros."""
        parts = [
            torch.zeros(p.numel(), dtype=p.dtype, device=p.device) if g is None else self._physical(g)
            for p, g in zip(self.active(resolution), gradients, strict=True)
        ]
        return torch.cat(parts)

    def _physical(self, x: Tensor) -> Tensor:
        """Return a tensor's elements in the order in which the vector holds them."""
        if x.ndim == 4:
            x = x.permute(0, 2, 3, 1)
        return x.reshape(-1)

    def _view(self, part: Tensor, shape: torch.Size) -> Tensor:
        """Return the inverse of _physical, as a view."""
        if len(shape) == 4:
            out, inner, height, width = shape
            return part.view(out, height, width, inner).permute(0, 3, 1, 2)
        return part.view(shape)
