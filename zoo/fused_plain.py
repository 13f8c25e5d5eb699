"""What the fused kernels compute, in plain PyTorch, which run where Triton does not.

x, y, g are (N, C, H, W), channels_last, of any float dtype; arithmetic is in float32 and rounds once, at the end. bias
is (C,) float32. The slope of the leaky ReLU at 0 is `slope`, as PyTorch has it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.layers import full_precision


def lrelu(x: Tensor, bias: Tensor, slope: float) -> Tensor:
    """Return the leaky ReLU of x + bias."""
    return F.leaky_relu(_biased(x, bias), slope).to(x.dtype)


def lrelu_backward(g: Tensor, y: Tensor, slope: float) -> tuple[Tensor, Tensor]:
    """Return the gradients of x and bias, of that of y = lrelu(x, bias)."""
    return _with_bias(full_precision(g) * _lrelu_gradient(y, slope), g.dtype)


def lrelu_pixelnorm(x: Tensor, bias: Tensor, slope: float, eps: float) -> tuple[Tensor, Tensor]:
    """Return lrelu(x + bias), each pixel's vector scaled to unit mean square, and the factors (N, 1, H, W) float32."""
    a = F.leaky_relu(_biased(x, bias), slope)
    factor = torch.rsqrt(a.square().mean(dim=1, keepdim=True) + eps)
    return (a * factor).to(x.dtype), factor


def lrelu_pixelnorm_backward(g: Tensor, y: Tensor, factor: Tensor, slope: float) -> tuple[Tensor, Tensor]:
    """Return the gradients of x and bias, of that of y; its own values are all that it needs of the forward pass."""
    g32, y32 = full_precision(g), full_precision(y)
    through_norm = factor * (g32 - y32 * (g32 * y32).mean(dim=1, keepdim=True))
    return _with_bias(through_norm * _lrelu_gradient(y, slope), g.dtype)


def lrelu_pool(x: Tensor, bias: Tensor, slope: float) -> Tensor:
    """Return 2x2 means of the leaky ReLU of x + bias: (N, C, H/2, W/2)."""
    return F.avg_pool2d(F.leaky_relu(_biased(x, bias), slope), 2).to(x.dtype)


def unpool(g: Tensor, x: Tensor, bias: Tensor, slope: float) -> tuple[Tensor, Tensor]:
    """Return the gradients of x and bias, of that of lrelu_pool(x, bias): g is (N, C, H/2, W/2)."""
    spread = F.interpolate(full_precision(g) * 0.25, scale_factor=2, mode="nearest")
    return _with_bias(spread * _lrelu_gradient(_biased(x, bias), slope), g.dtype)


def pool(g: Tensor, x: Tensor, bias: Tensor, slope: float) -> Tensor:
    """Return the adjoint of unpool in g: 2x2 means of g times the slopes at x + bias. g is (N, C, H, W)."""
    return F.avg_pool2d(full_precision(g) * _lrelu_gradient(_biased(x, bias), slope), 2).to(g.dtype)


def fade(coarse: Tensor, fine: Tensor, alpha: Tensor, slope: float) -> Tensor:
    """Return (1 - alpha) * the leaky ReLU of coarse + alpha * fine; alpha is () float32."""
    return torch.lerp(F.leaky_relu(full_precision(coarse), slope), full_precision(fine), alpha).to(fine.dtype)


def unfade(g: Tensor, coarse: Tensor, alpha: Tensor, slope: float) -> tuple[Tensor, Tensor]:
    """Return the gradients of coarse and fine, of that of fade(coarse, fine, alpha, slope)."""
    g32 = full_precision(g)
    return (g32 * ((1 - alpha) * _lrelu_gradient(coarse, slope))).to(g.dtype), (g32 * alpha).to(g.dtype)


def refade(of_coarse: Tensor, of_fine: Tensor, coarse: Tensor, alpha: Tensor, slope: float) -> Tensor:
    """Return the adjoint of unfade in g."""
    through = full_precision(of_coarse) * _lrelu_gradient(coarse, slope)
    return torch.lerp(through, full_precision(of_fine), alpha).to(of_fine.dtype)


def scale_cast(x: Tensor, scale: float, dtype: torch.dtype) -> Tensor:
    """Return scale * x in a dtype; x of any shape."""
    return (full_precision(x) * scale).to(dtype)


def from_rgb(x: Tensor, weight: Tensor, bias: Tensor, slope: float) -> Tensor:
    """Return the leaky ReLU of what a 1x1 convolution makes of colors; x is (N, K, H, W), weight (C, K) float32.

    Here and below color by color: a GPU may round products of matrices to TF32, and the kernels are compared to this.
    """
    return _laid(F.leaky_relu(_biased(_mixed(x, weight), bias), slope).to(x.dtype))


def from_rgb_backward(
    g: Tensor, y: Tensor, x: Tensor, weight: Tensor, slope: float, of_x: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of x (without elements unless of_x), weight and bias, of that of y = from_rgb(x, ...)."""
    through = full_precision(g) * _lrelu_gradient(y, slope)
    of_x_or_none = to_rgb(g, y, weight, slope) if of_x else g.new_empty(0)
    return of_x_or_none, _correlated(through, x), through.sum(dim=(0, 2, 3))


def to_rgb(g: Tensor, y: Tensor, weight: Tensor, slope: float) -> Tensor:
    """Return the gradient of x, of that of y = from_rgb(x, weight, bias, slope): (N, K, H, W)."""
    through = full_precision(g) * _lrelu_gradient(y, slope)
    return _laid(_mixed(through, weight.t()).to(g.dtype))


def to_rgb_backward(h: Tensor, g: Tensor, y: Tensor, weight: Tensor, slope: float) -> tuple[Tensor, Tensor]:
    """Return the gradients of g and weight, of that of to_rgb(g, y, weight, slope): h is (N, K, H, W)."""
    slopes = _lrelu_gradient(y, slope)
    return _laid((_mixed(h, weight) * slopes).to(g.dtype)), _correlated(full_precision(g) * slopes, h)


def _mixed(x: Tensor, weight: Tensor) -> Tensor:
    """Return sums over the channels of x (N, I, H, W), weighted by each row of weight (O, I): (N, O, H, W)."""
    x = full_precision(x)
    if weight.shape[1] > len(weight):  # many to few
        return torch.stack([(x * row.view(1, -1, 1, 1)).sum(dim=1) for row in weight], dim=1)
    parts = [x[:, i : i + 1] * weight[:, i].view(1, -1, 1, 1) for i in range(weight.shape[1])]
    return torch.stack(parts).sum(dim=0)


def _correlated(many: Tensor, few: Tensor) -> Tensor:
    """Return the sums over all pixels of products of many (N, C, H, W) and few (N, K, H, W) channels: (C, K)."""
    products = [(many * full_precision(few)[:, k : k + 1]).sum(dim=(0, 2, 3)) for k in range(few.shape[1])]
    return torch.stack(products, dim=1)


def fold(x: Tensor, scale: float, dtype: torch.dtype) -> Tensor:
    """Return scale times the kernels (O, I, 4, 4) in a dtype that enlarge 2x and convolve with x (O, I, 3, 3) at once.

    Each is a 3x3 one turned by half a turn and added up over the 2x2 places where a pixel stands four times. Of (O, I,
    4, 4) it returns the adjoint, (O, I, 3, 3).
    """
    turned = (full_precision(x) * scale).flip(2, 3)
    folded = F.avg_pool2d(turned, 2, stride=1, padding=int(x.shape[-1] == 3), divisor_override=1)
    return _laid(folded.to(dtype))


def _laid(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _biased(x: Tensor, bias: Tensor) -> Tensor:
    return full_precision(x) + bias.view(1, -1, 1, 1)


def _lrelu_gradient(x: Tensor, slope: float) -> Tensor:
    return torch.where(x > 0, 1.0, slope)


def _with_bias(gradient: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return gradient.to(dtype), gradient.sum(dim=(0, 2, 3))
