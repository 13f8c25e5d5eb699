"""Fold the equalized learning rate: the constants that scale weights at run time go into the weights, once."""

import copy

import torch
from torch import Tensor, nn

from zoo.layers import EqualizedConv2d, EqualizedLinear
from zoo.normalization import BatchNorm
from zoo.progan import Generator


class FoldedLinear(nn.Module):
    """Stands in for an EqualizedLinear whose scale is already in its weight."""

    def __init__(self, linear: EqualizedLinear, norm: BatchNorm | None = None) -> None:
        super().__init__()
        weight, bias = linear.scaled_weight(torch.float32), linear.bias.detach().clone()
        if norm is not None:  # one channel has 16 rows, its 4x4 pixels, and one bias, or one a pixel
            weight = weight * norm.factor().repeat_interleave(16)[:, None]
            bias -= (norm.mean * norm.factor()).repeat_interleave(len(bias) // len(norm.mean))
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)

    def scaled_weight(self, dtype: torch.dtype) -> Tensor:
        """Return the weight as it is, (out, in)."""
        return self.weight.to(dtype)


def folded_conv(conv: EqualizedConv2d, norm: BatchNorm | None = None) -> nn.Conv2d:
    """Return a plain convolution that computes the same, with the normalization that follows it, if any."""
    out_channels, in_channels, kernel, _ = conv.weight.shape
    plain = nn.Conv2d(in_channels, out_channels, kernel, padding=conv.padding, device="meta")
    weight, bias = conv.scaled_weight(torch.float32), conv.bias.detach().clone()
    if norm is not None:
        weight, bias = weight * norm.factor().view(-1, 1, 1, 1), bias - norm.mean * norm.factor()
    plain.weight = nn.Parameter(weight, requires_grad=False)
    plain.bias = nn.Parameter(bias, requires_grad=False)
    return plain


@torch.no_grad()
def fold_equalized_scale(generator: Generator) -> Generator:
    """Return a copy that generates the same images, bit for bit, without multiplying weights at run time.

    Batch normalization by running statistics is a factor and a shift a channel, and goes into weights and biases too:
    there the images are the same but for rounding. Neither PyTorch's exporter nor, in a browser, the runtime does it
    for us (paper, section 4.1: w' = w c).
    """
    folded = copy.deepcopy(generator)
    if generator.config.generator_norm == "batch":
        for block in folded.blocks.values():
            fold_batch_norm(block)
    for name, module in list(folded.named_modules()):
        if isinstance(module, EqualizedConv2d):
            folded.set_submodule(name, folded_conv(module))
        elif isinstance(module, EqualizedLinear):
            folded.set_submodule(name, FoldedLinear(module))
    return folded.eval()


def fold_batch_norm(block: nn.Module) -> None:
    """Put the running statistics of a block of G into its layers, in place."""
    for layer, norm in BATCH_NORMS:
        if hasattr(block, layer):
            folded = FoldedLinear if layer == "dense" else folded_conv
            setattr(block, layer, folded(getattr(block, layer), getattr(block, norm)))
            setattr(block, norm, None)


BATCH_NORMS = (("dense", "norm0"), ("conv", "norm1"), ("conv0", "norm0"), ("conv1", "norm1"))
"""Each layer that a block may have, and the batch normalization after it."""
