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


def fade(coarse: Tensor, fine: Tensor, alpha: Tensor) -> Tensor:
    """Return (1 - alpha) * coarse + alpha * fine; alpha is () float32."""
    return torch.lerp(full_precision(coarse), full_precision(fine), alpha).to(fine.dtype)


def unfade(g: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients of coarse and fine, of that of fade(coarse, fine, alpha)."""
    g32 = full_precision(g)
    return (g32 * (1 - alpha)).to(g.dtype), (g32 * alpha).to(g.dtype)


def scale_cast(x: Tensor, scale: float, dtype: torch.dtype) -> Tensor:
    """Return scale * x in a dtype; x of any shape."""
    return (full_precision(x) * scale).to(dtype)


def _biased(x: Tensor, bias: Tensor) -> Tensor:
    return full_precision(x) + bias.view(1, -1, 1, 1)


def _lrelu_gradient(x: Tensor, slope: float) -> Tensor:
    return torch.where(x > 0, 1.0, slope)


def _with_bias(gradient: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return gradient.to(dtype), gradient.sum(dim=(0, 2, 3))
