"""Fold the equalized learning rate: the constants that scale weights at run time go into the weights, once."""

import copy

import torch
from torch import Tensor, nn

from zoo.layers import EqualizedConv2d, EqualizedLinear
from zoo.progan import Generator


class FoldedLinear(nn.Module):
    """Stands in for an EqualizedLinear whose scale is already in its weight."""

    def __init__(self, linear: EqualizedLinear) -> None:
        super().__init__()
        self.weight = nn.Parameter(linear.scaled_weight(torch.float32), requires_grad=False)
        self.bias = nn.Parameter(linear.bias.detach().clone(), requires_grad=False)

    def scaled_weight(self, dtype: torch.dtype) -> Tensor:
        """Return the weight as it is, (out, in)."""
        return self.weight.to(dtype)


def folded_conv(conv: EqualizedConv2d) -> nn.Conv2d:
    """Return a plain convolution that computes the same."""
    out_channels, in_channels, kernel, _ = conv.weight.shape
    plain = nn.Conv2d(in_channels, out_channels, kernel, padding=conv.padding, device="meta")
    plain.weight = nn.Parameter(conv.scaled_weight(torch.float32), requires_grad=False)
    plain.bias = nn.Parameter(conv.bias.detach().clone(), requires_grad=False)
    return plain


@torch.no_grad()
def fold_equalized_scale(generator: Generator) -> Generator:
    """Return a copy that generates the same images, bit for bit, without multiplying weights at run time.

    Neither PyTorch's exporter nor, in a browser, the runtime does it for us (paper, section 4.1: w' = w c).
    """
    folded = copy.deepcopy(generator)
    for name, module in list(folded.named_modules()):
        if isinstance(module, EqualizedConv2d):
            folded.set_submodule(name, folded_conv(module))
        elif isinstance(module, EqualizedLinear):
            folded.set_submodule(name, FoldedLinear(module))
    return folded.eval()
