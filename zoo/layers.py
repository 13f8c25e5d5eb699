"""The layers of ProGAN: equalized convolution and dense, pixelwise normalization, minibatch stddev, resampling."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.architecture import NEGATIVE_SLOPE


class EqualizedConv2d(nn.Module):
    """Convolution with N(0, 1) weights that He's constant scales at run time (paper, section 4.1).

    The bias starts at zero and is not scaled. Padding keeps the size. It computes in the dtype of its input.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: side of the square kernel, odd.
        gain: numerator of He's constant, gain / sqrt(fan_in): sqrt(2) before a leaky ReLU, 1 where nothing follows.
        equalized: False scales the initial weights instead, once (He et al. 2015).
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, gain: float = math.sqrt(2), equalized: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.scale = gain / math.sqrt(in_channels * kernel * kernel)
        if not equalized:
            self.weight.data.mul_(self.scale)
            self.scale = 1.0
        self.padding = kernel // 2

    def scaled_weight(self, dtype: torch.dtype) -> Tensor:
        """Return the weight that is convolved with, (out, in, kernel, kernel)."""
        return (self.weight * self.scale).to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, in, H, W). Returns (N, out, H, W), linear."""
        return F.conv2d(x, self.scaled_weight(x.dtype), self.bias.to(x.dtype), padding=self.padding)

    def activated(self, x: Tensor, slope: float) -> Tensor:
        """Return the leaky ReLU of that."""
        return leaky_relu(self(x), slope)


class EqualizedLinear(nn.Module):
    """Dense layer with N(0, 1) weights that He's constant scales at run time (paper, section 4.1).

    Args:
        in_features: size of the input.
        out_features: size of the output.
        gain: numerator of He's constant, gain / sqrt(in_features).
        bias_size: entries of the bias; fewer than out_features when the caller adds it itself, one a feature map.
        equalized: False scales the initial weights instead, once.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        gain: float = math.sqrt(2),
        bias_size: int | None = None,
        equalized: bool = True,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(bias_size or out_features))
        self.scale = gain / math.sqrt(in_features)
        if not equalized:
            self.weight.data.mul_(self.scale)
            self.scale = 1.0

    def scaled_weight(self, dtype: torch.dtype) -> Tensor:
        """Return the weight that is multiplied with, (out, in)."""
        return (self.weight * self.scale).to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, in). Returns (N, out), linear."""
        return F.linear(x, self.scaled_weight(x.dtype), self.bias.to(x.dtype))


class Across(NamedTuple):
    """A minibatch that lies in several processes."""

    total: Callable[[Tensor], Tensor]
    """Sum of a tensor over all of them, the same in each; differentiable to any order."""
    samples: int
    """Of the whole minibatch."""


LayerNoise = Callable[[Tensor], Tensor]
"""From what goes into a layer to the same with noise in it."""


def full_precision(x: Tensor) -> Tensor:
    """Return x in float32, or as it is where it has more: what statistics, scores and norms are computed in."""
    return x if x.dtype == torch.float64 else x.float()


def leaky_relu(x: Tensor, slope: float = NEGATIVE_SLOPE) -> Tensor:
    """Return x where it is positive and slope * x elsewhere."""
    return F.leaky_relu(x, slope)


def pixel_norm(x: Tensor, eps: float = 1e-8, outside_root: bool = False) -> Tensor:
    """Normalize the feature vector of each pixel to unit mean square (paper, section 4.2).

    Args:
        x: (N, C, ...) any float dtype; the statistics are taken in float32.
        eps: added to the mean square, or
        outside_root: to its root, as MMGeneration does.
    """
    mean_square = full_precision(x).square().mean(dim=1, keepdim=True)
    if outside_root:
        return x / (torch.sqrt(mean_square) + eps).to(x.dtype)
    return x * torch.rsqrt(mean_square + eps).to(x.dtype)


def stddev_groups(x: Tensor, group_size: int | None, sets: int = 1, contiguous: bool = False) -> Tensor:
    """View a batch as (sets, group, groups, ...): sample n of a set belongs to group n mod groups.

    Args:
        x: (sets * N, ...), the sets (say reals, fakes and mixtures) one after the other: they never share a group.
        group_size: samples a group; None is the whole set.
        contiguous: sample n belongs to group n // group instead.

    Raises:
        ValueError: the samples of a set do not fill whole groups.
    """
    n = x.shape[0] // sets
    group = min(group_size or n, n)
    if n % group:
        raise ValueError(f"minibatch: got {n} samples, expected whole groups of {group} for its stddev")
    if contiguous:
        return x.reshape(sets, n // group, group, *x.shape[1:]).transpose(1, 2)
    return x.reshape(sets, group, n // group, *x.shape[1:])


def ungrouped(x: Tensor, contiguous: bool = False) -> Tensor:
    """Return the batch (sets * N, ...) that stddev_groups made groups of."""
    return (x.transpose(1, 2) if contiguous else x).flatten(0, 2)


def mean_over_group(grouped: Tensor, across: Across | None = None) -> Tensor:
    """Return the mean over the group, kept as an axis of 1; across: the group is a minibatch in several processes."""
    if across is None:
        return grouped.mean(dim=1, keepdim=True)
    return across.total(grouped.sum(dim=1, keepdim=True)) / across.samples


def minibatch_stddev(
    x: Tensor,
    group_size: int | None = None,
    sets: int = 1,
    contiguous: bool = False,
    unbiased: bool = False,
    across: Across | None = None,
) -> Tensor:
    """Append one map: the standard deviation over the group, averaged over features and pixels (paper, section 3).

    Args:
        x: (sets * N, C, H, W).
        group_size: samples that share a value, strided as the released program does; None is the paper's whole batch.
        sets: batches merged into one for speed, each with groups of its own.
        contiguous: groups of neighbours instead.
        unbiased: divide by one less than the samples of a group; the value of one sample alone is then 0.
        across: where the rest of the batch lies; counts where the group is the whole batch.

    Returns:
        (sets * N, C + 1, H, W), the statistics in float32, biased variance plus 1e-8.
    """
    grouped = stddev_groups(full_precision(x), group_size, sets, contiguous)
    across = across if group_size is None else None
    here = grouped.shape[1]
    members = here if across is None else across.samples
    variance = mean_over_group((grouped - mean_over_group(grouped, across)).square(), across).squeeze(1)
    if unbiased:
        variance = variance * (members / max(members - 1, 1))
    value = torch.sqrt(variance + 1e-8).mean(dim=(2, 3, 4))  # (sets, groups)
    if unbiased and members == 1:
        value = torch.zeros_like(value)
    per_sample = ungrouped(value[:, None].expand(-1, here, -1), contiguous).reshape(-1, 1, 1, 1)
    return torch.cat([x, per_sample.to(x.dtype).expand(-1, 1, *x.shape[2:])], dim=1)


def upsample(x: Tensor) -> Tensor:
    """Double the size, nearest neighbour (paper, Appendix A). (N, C, H, W) -> (N, C, 2H, 2W)."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def downsample(x: Tensor) -> Tensor:
    """Halve the size by 2x2 means (paper, Appendix A). (N, C, H, W) -> (N, C, H/2, W/2)."""
    return F.avg_pool2d(x, 2)
