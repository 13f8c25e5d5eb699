"""A network's parameters in one buffer, coarse layers first: what grows is a prefix, and updates are single kernels."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.architecture import size_key
from zoo.progan import Discriminator, Generator

ALIGNMENT = 4
"""Floats between two places where a parameter may begin: 16 bytes, what a GPU loads and stores at once."""


class FlatParameters:
    """All parameters of a network as one float32 vector; the network's own are views into it.

    The parameters that a resolution trains are a prefix of the vector, so Adam, the moving average, the check for
    overflow and (on several devices) the all-reduce are each one operation on a slice. Convolution weights lie in it
    as (out, height, width, in), the order that channels_last convolutions read without a copy: faster on CUDA and on
    a CPU, and one order everywhere, since the optimizers' state in a checkpoint follows it.

    Each parameter begins at a multiple of 16 bytes, with zeros before it that stay zeros: an output layer's three
    biases, or the one of the score, would shift all that follows, and then neither Triton's kernels nor PyTorch's
    would read weights four floats at a time. Files hold no such zeros; see dense.

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
        self._counts = [sum(len(group) for group in groups[: i + 1]) for i in range(len(groups))]
        self._zeros = self.parameters[0].detach().new_zeros(ALIGNMENT)
        self.vector = self._joined([p.detach() for p in self.parameters])
        self._starts = [0]
        for p in self.parameters:
            start = self._starts[-1]
            p.data = self._view(self.vector[start : start + p.numel()], p.shape)
            self._starts.append(start + p.numel() + _padding(p))

    def active(self, resolution: int) -> list[nn.Parameter]:
        """Return the parameters up to a resolution, in the vector's order."""
        return self.parameters[: self._counts[self.resolutions.index(resolution)]]

    def prefix(self, resolution: int) -> Tensor:
        """Return the part of the vector that holds them: a view."""
        return self.vector[: self._starts[len(self.active(resolution))]]

    def flatten(self, gradients: Sequence[Tensor | None], resolution: int) -> Tensor:
        """Return the gradients of active(resolution) as one vector; None (a layer not used now) becomes zeros."""
        pairs = zip(self.active(resolution), gradients, strict=True)
        return self._joined([torch.zeros_like(p) if g is None else g for p, g in pairs])

    def dense(self, vector: Tensor) -> Tensor:
        """Return a prefix of the vector, or what is laid out like one, as files hold it: without the zeros between."""
        places = zip(self.parameters, self._starts, strict=False)
        return torch.cat([vector[start : start + p.numel()] for p, start in places if start < len(vector)])

    def spread(self, dense: Tensor) -> Tensor:
        """Return the inverse of dense.

        Raises:
            ValueError: it is as long as the parameters of no resolution.
        """
        count = len(self.active(self.resolution_of(dense)))
        parts = dense.split([p.numel() for p in self.parameters[:count]])
        return _with_zeros(parts, dense.new_zeros(ALIGNMENT))

    def resolution_of(self, dense: Tensor) -> int:
        """Return the resolution whose parameters, without zeros between, are as many as a vector has.

        Raises:
            ValueError: there is none.
        """
        for resolution in self.resolutions:
            if sum(p.numel() for p in self.active(resolution)) == len(dense):
                return resolution
        raise ValueError(f"got {len(dense)} parameters, expected those of a resolution")

    def _joined(self, tensors: Sequence[Tensor]) -> Tensor:
        """Return tensors of the shapes of the first parameters as one vector, zeros between them."""
        return _with_zeros([self._physical(x) for x in tensors], self._zeros)

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


def _with_zeros(parts: Sequence[Tensor], zeros: Tensor) -> Tensor:
    """Return one-dimensional tensors as one, each from a place where a parameter may begin."""
    padded = ((part, zeros[: _padding(part)]) for part in parts)
    return torch.cat([x for pair in padded for x in pair if len(x)])


def _padding(x: Tensor) -> int:
    """Return the floats between the end of a parameter and the next place where one may begin."""
    return -x.numel() % ALIGNMENT
