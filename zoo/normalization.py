"""Normalization after a layer: pixelwise, and what Table 1's rows have in its place and in minibatch stddev's.

Batch and layer normalization and minibatch discrimination are those of the Theano program, which made that table (its
network.py and minibatch_discrimination.py; Lasagne's batch_norm with its defaults). All statistics are in float32.
"""

import math
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.architecture import ProGANConfig
from zoo.layers import EqualizedConv2d, EqualizedLinear, full_precision, leaky_relu, pixel_norm

EPSILON = 1e-4
"""Added to variances by both normalizations."""
NEWEST = 0.1
"""Weight of the newest minibatch in the running statistics of batch normalization."""
KERNEL_SIZE = 5
"""Components of a kernel of minibatch discrimination."""

NormKind = Literal["none", "batch", "layer"]


class BatchNorm(nn.Module):
    """Batch normalization (Ioffe & Szegedy 2015) with a gain a channel; the layer before it keeps the bias.

    In training it takes the statistics of the minibatch, else running ones. These move where gradients are wanted: in
    G's own step, not where it makes fakes for D. A discriminator's are means over all that it was shown, reals, fakes
    and what lies between them: it trains, and goes on training, by those of each minibatch and never by these.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels))
        self.mean: Tensor
        self.variance: Tensor
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, x: Tensor, sets: int = 1) -> Tensor:
        """x: (sets * N, C, ...), each set with statistics of its own. Returns the same shape and dtype."""
        flat = full_precision(x).reshape(sets, x.shape[0] // sets, x.shape[1], math.prod(x.shape[2:]))
        if self.training:
            mean = flat.mean(dim=(1, 3), keepdim=True)
            variance = (flat - mean).square().mean(dim=(1, 3), keepdim=True)
            if torch.is_grad_enabled():
                with torch.no_grad():
                    self.mean.lerp_(mean.mean(dim=0).view(-1), NEWEST)
                    self.variance.lerp_(variance.mean(dim=0).view(-1), NEWEST)
        else:
            mean, variance = (statistic.view(1, 1, -1, 1) for statistic in (self.mean, self.variance))
        out = (flat - mean) * (torch.rsqrt(variance + EPSILON) * self.gain.view(1, 1, -1, 1))
        return out.view(x.shape).to(x.dtype)

    def factor(self) -> Tensor:
        """Return (C,): what running statistics multiply a channel with."""
        return self.gain * torch.rsqrt(self.variance + EPSILON)


class LayerNorm(nn.Module):
    """Layer normalization (Ba et al. 2016) of each sample over channels and pixels, with one gain for all."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor, sets: int = 1) -> Tensor:
        """x: (N, ...). Returns the same shape and dtype."""
        flat = full_precision(x).flatten(1)
        centered = flat - flat.mean(dim=1, keepdim=True)
        out = centered * torch.rsqrt(centered.square().mean(dim=1, keepdim=True) + EPSILON) * self.gain
        return out.view(x.shape).to(x.dtype)


def make_norm(kind: NormKind, channels: int) -> nn.Module | None:
    """Return the normalization of a layer's channels, or None."""
    return None if kind == "none" else BatchNorm(channels) if kind == "batch" else LayerNorm()


def normalized_conv(conv: EqualizedConv2d, norm: nn.Module | None, x: Tensor, sets: int = 1) -> Tensor:
    """Return a convolution's output, normalized before its bias is added."""
    if norm is None:
        return cast(Tensor, conv(x))
    x = F.conv2d(x, conv.scaled_weight(x.dtype), padding=conv.padding)
    return cast(Tensor, norm(x, sets)) + conv.bias.to(x.dtype).view(1, -1, 1, 1)


def normalized_dense(dense: EqualizedLinear, norm: nn.Module | None, x: Tensor, sets: int = 1) -> Tensor:
    """Return a dense layer's output, (N, features), normalized before its bias is added."""
    if norm is None:
        return cast(Tensor, dense(x))
    return cast(Tensor, norm(F.linear(x, dense.scaled_weight(x.dtype)), sets)) + dense.bias.to(x.dtype)


def lrelu_pixelnorm(x: Tensor, config: ProGANConfig, first: bool = False) -> Tensor:
    """Leaky ReLU, then pixelwise normalization, after a layer of G; first: after its first."""
    x = leaky_relu(x, config.generator_slope)
    if config.pixelnorm == "none" or (first and config.pixelnorm == "not_first"):
        return x
    return pixel_norm(x, config.pixelnorm_epsilon, config.epsilon_outside_root)


class MinibatchDiscrimination(nn.Module):
    """How near the other samples of a minibatch are, one number a kernel (Salimans et al. 2016, section 3.2)."""

    def __init__(self, features: int, kernels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.05 * torch.randn(kernels * KERNEL_SIZE, features))
        self.log_scale = nn.Parameter(torch.zeros(kernels * KERNEL_SIZE))
        self.bias = nn.Parameter(torch.full((kernels,), -1.0))

    def forward(self, x: Tensor, sets: int) -> Tensor:
        """x: (sets * N, features), samples of a set compared. Returns (sets * N, features + kernels)."""
        direction = self.weight * torch.rsqrt(self.weight.square().sum(dim=1, keepdim=True) + 1e-12)
        at = F.linear(x, direction * self.log_scale.exp()[:, None]).view(sets, -1, len(self.bias), KERNEL_SIZE)
        distance = (at[:, :, None] - at[:, None]).abs().sum(dim=4)  # (sets, N, N, kernels)
        others = 1 - torch.eye(at.shape[1], device=x.device)
        near = (torch.exp(-distance) * others[:, :, None]).sum(dim=2) + self.bias
        return torch.cat([x, near.flatten(0, 1)], dim=1)
