"""Blocks and layers of ProGAN that work through the fused operations; a network is switched over and back in place."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo import fused
from zoo.fading import blend_activated
from zoo.layers import EqualizedConv2d, EqualizedLinear, LayerNoise, downsample, upsample
from zoo.progan import Discriminator, DiscriminatorBlock, Generator, GeneratorBlock

FOLD_FROM = 64
"""Resolution from which upsampling is folded into the convolution after it; below, the larger kernel costs more."""


class _Shared:
    """Scaled weights that are made once where they are asked for several times; see shared_weights."""

    shared: dict[Hashable, Tensor] | None = None
    weight: nn.Parameter
    scale: float

    def scaled_weight(self, dtype: torch.dtype) -> Tensor:
        """Return the weight that is computed with."""
        return self._once(fused.scale_cast, dtype)

    def _once(self, operation: Callable[[Tensor, float, torch.dtype], Tensor], dtype: torch.dtype) -> Tensor:
        if self.shared is None:
            return operation(self.weight, self.scale, dtype)
        if (operation, dtype) not in self.shared:
            with torch.enable_grad():  # who asks first may not want a gradient
                self.shared[operation, dtype] = operation(self.weight, self.scale, dtype)
        return self.shared[operation, dtype]


class FusedConv2d(_Shared, EqualizedConv2d):
    """An equalized convolution whose weights are shared, and whose bias others add."""

    def linear(self, x: Tensor) -> Tensor:
        """Return the convolution without its bias."""
        return F.conv2d(x, self.scaled_weight(x.dtype), padding=self.padding)

    def of_upsampled(self, x: Tensor) -> Tensor:
        """Return linear(upsample(x)), from x: each 2x2 of the result sees 2x2 pixels of x, with sums of the weights."""
        kernel = self._once(fused.fold, x.dtype)
        return F.conv_transpose2d(x, kernel.transpose(0, 1), stride=2, padding=1)

    def activated(self, x: Tensor, slope: float) -> Tensor:
        """See EqualizedConv2d; what makes features of colors does so in one pass."""
        if self.padding or x.shape[1] > fused.MOST_COLORS:
            return super().activated(x, slope)
        return fused.from_rgb(x, self.scaled_weight(torch.float32).flatten(1), self.bias, slope)


class FusedLinear(_Shared, EqualizedLinear):
    """An equalized dense layer whose weights are shared."""


class FusedGeneratorBlock(GeneratorBlock):
    """A block of G: bias, leaky ReLU and pixelwise normalization in one pass."""

    conv0: FusedConv2d
    conv1: FusedConv2d

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, C, R/2, R/2). Returns (N, C', R, R)."""
        if 2 * x.shape[-1] >= FOLD_FROM:
            x = self._activated(self.conv0, self.conv0.of_upsampled(x))
        else:
            x = self._activated(self.conv0, self.conv0.linear(upsample(x)))
        return self._activated(self.conv1, self.conv1.linear(x))

    def _activated(self, conv: EqualizedConv2d, x: Tensor) -> Tensor:
        config = self.config
        if config.pixelnorm == "none":
            return fused.lrelu(x, conv.bias, config.generator_slope)
        return fused.lrelu_pixelnorm(x, conv.bias, config.generator_slope, config.pixelnorm_epsilon)[0]


def fused_blend(coarse: Tensor, fine: Tensor, alpha: Tensor | float, slope: float) -> Tensor:
    """Return what zoo.fading.blend_activated does, in one pass."""
    if isinstance(alpha, Tensor):
        return fused.fade(coarse, fine, alpha, slope)
    return blend_activated(coarse, fine, alpha, slope)


class FusedDiscriminatorBlock(DiscriminatorBlock):
    """A block of D: bias, leaky ReLU and pooling in one pass. It leaves on the tape what unpool wants."""

    conv0: FusedConv2d
    conv1: FusedConv2d

    def forward(
        self, x: Tensor, tape: list[Tensor] | None = None, sets: int = 1, noise: LayerNoise | None = None
    ) -> Tensor:
        """x: (N, C, R, R). Returns (N, C', R/2, R/2)."""
        x = noise(x) if noise else x
        hidden = fused.lrelu(self.conv0.linear(x), self.conv0.bias, self.slope)
        x = self.conv1.linear(noise(hidden) if noise else hidden)
        if self.pool_first:
            out = kept = fused.lrelu(downsample(x), self.conv1.bias, self.slope)
        else:
            out, kept = fused.lrelu_pool(x, self.conv1.bias, self.slope), x
        if tape is not None:
            tape += [hidden, kept]
        return out


FUSED = {
    EqualizedConv2d: FusedConv2d,
    EqualizedLinear: FusedLinear,
    GeneratorBlock: FusedGeneratorBlock,
    DiscriminatorBlock: FusedDiscriminatorBlock,
}
"""What stands for what."""


def fuse(network: Generator | Discriminator) -> None:
    """Let a network compute through the fused operations, in place; parameters and their names stay.

    A block with other layers than convolutions, or another normalization, stays as it is; and so does a discriminator
    whose penalty takes double backward, which does not pass through these operations.
    """
    if isinstance(network, Discriminator) and not network.config.has_adjoint:
        return
    for module in list(network.modules()):
        plain = not (isinstance(module, GeneratorBlock) and module.config.epsilon_outside_root)
        inside = all(isinstance(child, EqualizedConv2d) for child in module.children())
        if type(module) in FUSED and plain and inside:
            module.__class__ = FUSED[type(module)]
    if isinstance(network, Discriminator):
        network.blend = fused_blend  # its own class stays: files are named by it


@contextmanager
def shared_weights(network: Generator | Discriminator, on: bool = True) -> Iterator[None]:
    """Within, each layer of a fused network scales its weights once; gradients flow through them once, too."""
    layers = [module for module in network.modules() if isinstance(module, _Shared)] if on else []
    for layer in layers:
        layer.shared = {}
    try:
        yield
    finally:
        for layer in layers:
            layer.shared = None
