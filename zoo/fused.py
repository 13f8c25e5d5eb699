"""Bias, leaky ReLU, normalization, pooling in one pass over memory each: Triton on CUDA, elsewhere plain operations.

Of the bytes that a training step moves three quarters are pointwise. These operations halve them. They differentiate
once; `unpool` and `pool`, `unfade` and `refade` are linear in g and adjoints of each other, which is what the gradient
penalty needs of them; `fold` is its own; `to_rgb` is the adjoint of `from_rgb`.
"""

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from zoo import fused_plain

MOST_COLORS = 3
"""Of the images that from_rgb and to_rgb take."""


def _kernels(x: Tensor) -> ModuleType:
    if not x.is_cuda:
        return fused_plain
    from zoo import fused_triton  # late: a CPU has no Triton

    return fused_triton


@torch.library.custom_op("celebahq::lrelu", mutates_args=())
def lrelu(x: Tensor, bias: Tensor, slope: float) -> Tensor:
    """See zoo.fused_plain."""
    return _kernels(x).lrelu(x, bias, slope)


@torch.library.custom_op("celebahq::lrelu_backward", mutates_args=())
def lrelu_backward(g: Tensor, y: Tensor, slope: float) -> tuple[Tensor, Tensor]:
    """See zoo.fused_plain."""
    return _kernels(g).lrelu_backward(g, y, slope)


@torch.library.custom_op("celebahq::lrelu_pixelnorm", mutates_args=())
def lrelu_pixelnorm(x: Tensor, bias: Tensor, slope: float, eps: float) -> tuple[Tensor, Tensor]:
    """See zoo.fused_plain."""
    return _kernels(x).lrelu_pixelnorm(x, bias, slope, eps)


@torch.library.custom_op("celebahq::lrelu_pixelnorm_backward", mutates_args=())
def lrelu_pixelnorm_backward(g: Tensor, y: Tensor, factor: Tensor, slope: float) -> tuple[Tensor, Tensor]:
    """See zoo.fused_plain."""
    return _kernels(g).lrelu_pixelnorm_backward(g, y, factor, slope)


@torch.library.custom_op("celebahq::lrelu_pool", mutates_args=())
def lrelu_pool(x: Tensor, bias: Tensor, slope: float) -> Tensor:
    """See zoo.fused_plain."""
    return _kernels(x).lrelu_pool(x, bias, slope)


@torch.library.custom_op("celebahq::unpool", mutates_args=())
def unpool(g: Tensor, x: Tensor, bias: Tensor, slope: float) -> tuple[Tensor, Tensor]:
    """See zoo.fused_plain."""
    return _kernels(x).unpool(g, x, bias, slope)


@torch.library.custom_op("celebahq::pool", mutates_args=())
def pool(g: Tensor, x: Tensor, bias: Tensor, slope: float) -> Tensor:
    """See zoo.fused_plain."""
    return _kernels(x).pool(g, x, bias, slope)


@torch.library.custom_op("celebahq::fade", mutates_args=())
def fade(coarse: Tensor, fine: Tensor, alpha: Tensor, slope: float) -> Tensor:
    """See zoo.fused_plain; alpha has no gradient."""
    return _kernels(fine).fade(coarse, fine, alpha, slope)


@torch.library.custom_op("celebahq::unfade", mutates_args=())
def unfade(g: Tensor, coarse: Tensor, alpha: Tensor, slope: float) -> tuple[Tensor, Tensor]:
    """See zoo.fused_plain."""
    return _kernels(g).unfade(g, coarse, alpha, slope)


@torch.library.custom_op("celebahq::refade", mutates_args=())
def refade(of_coarse: Tensor, of_fine: Tensor, coarse: Tensor, alpha: Tensor, slope: float) -> Tensor:
    """See zoo.fused_plain."""
    return _kernels(of_fine).refade(of_coarse, of_fine, coarse, alpha, slope)


@torch.library.custom_op("celebahq::from_rgb", mutates_args=())
def from_rgb(x: Tensor, weight: Tensor, bias: Tensor, slope: float) -> Tensor:
    """See zoo.fused_plain."""
    return _kernels(x).from_rgb(x, weight, bias, slope)


@torch.library.custom_op("celebahq::from_rgb_backward", mutates_args=())
def from_rgb_backward(
    g: Tensor, y: Tensor, x: Tensor, weight: Tensor, slope: float, of_x: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """See zoo.fused_plain."""
    return _kernels(g).from_rgb_backward(g, y, x, weight, slope, of_x)


@torch.library.custom_op("celebahq::to_rgb", mutates_args=())
def to_rgb(g: Tensor, y: Tensor, weight: Tensor, slope: float) -> Tensor:
    """See zoo.fused_plain."""
    return _kernels(g).to_rgb(g, y, weight, slope)


@torch.library.custom_op("celebahq::to_rgb_backward", mutates_args=())
def to_rgb_backward(h: Tensor, g: Tensor, y: Tensor, weight: Tensor, slope: float) -> tuple[Tensor, Tensor]:
    """See zoo.fused_plain."""
    return _kernels(g).to_rgb_backward(h, g, y, weight, slope)


@torch.library.custom_op("celebahq::scale_cast", mutates_args=())
def scale_cast(x: Tensor, scale: float, dtype: torch.dtype) -> Tensor:
    """See zoo.fused_plain."""
    return _kernels(x).scale_cast(x, scale, dtype)


@torch.library.custom_op("celebahq::fold", mutates_args=())
def fold(x: Tensor, scale: float, dtype: torch.dtype) -> Tensor:
    """See zoo.fused_plain."""
    return _kernels(x).fold(x, scale, dtype)


# Shapes, for tensors without data; everything lies channels_last.


def _like(x: Tensor, *shape: int) -> Tensor:
    return torch.empty(shape or x.shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


def _like_with_bias(g: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    return _like(g, *x.shape), torch.empty(x.shape[1], dtype=torch.float32, device=x.device)


def _normalized_like(x: Tensor, bias: Tensor, slope: float, eps: float) -> tuple[Tensor, Tensor]:
    return _like(x), torch.empty(x.shape[0], 1, *x.shape[2:], dtype=torch.float32, device=x.device)


def _half(x: Tensor) -> Tensor:
    return _like(x, *x.shape[:2], x.shape[2] // 2, x.shape[3] // 2)


lrelu.register_fake(lambda x, bias, slope: _like(x))
lrelu_backward.register_fake(lambda g, y, slope: _like_with_bias(g, y))
lrelu_pixelnorm.register_fake(_normalized_like)
lrelu_pixelnorm_backward.register_fake(lambda g, y, factor, slope: _like_with_bias(g, y))
lrelu_pool.register_fake(lambda x, bias, slope: _half(x))
unpool.register_fake(lambda g, x, bias, slope: _like_with_bias(g, x))
pool.register_fake(lambda g, x, bias, slope: _half(g))
fade.register_fake(lambda coarse, fine, alpha, slope: _like(fine))
unfade.register_fake(lambda g, coarse, alpha, slope: (_like(g), _like(g)))
refade.register_fake(lambda of_coarse, of_fine, coarse, alpha, slope: _like(of_fine))
from_rgb.register_fake(lambda x, weight, bias, slope: _like(x, x.shape[0], len(weight), *x.shape[2:]))
from_rgb_backward.register_fake(
    lambda g, y, x, weight, slope, of_x: (
        _like(g, *x.shape) if of_x else g.new_empty(0), torch.empty_like(weight), weight.new_empty(len(weight))
    )
)  # fmt: skip
to_rgb.register_fake(lambda g, y, weight, slope: _like(g, g.shape[0], weight.shape[1], *g.shape[2:]))
to_rgb_backward.register_fake(lambda h, g, y, weight, slope: (_like(g), torch.empty_like(weight)))
scale_cast.register_fake(lambda x, scale, dtype: torch.empty_like(x, dtype=dtype))
fold.register_fake(lambda x, scale, dtype: _like(x, *x.shape[:2], *(7 - side for side in x.shape[2:])).to(dtype))


# Derivatives.


def _keep_output(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.slope = inputs[2]
    ctx.save_for_backward(*(output if isinstance(output, tuple) else (output,)))


def _keep_input(ctx: Any, inputs: Any, output: Any) -> None:
    *tensors, ctx.slope = inputs
    ctx.save_for_backward(*tensors[-2:])


def _keep_tensors(ctx: Any, inputs: Any, output: Any) -> None:
    *tensors, ctx.slope = inputs
    ctx.save_for_backward(*tensors)


def _keep_fade(ctx: Any, inputs: Any, output: Any) -> None:
    coarse, _, alpha, ctx.slope = inputs
    ctx.save_for_backward(coarse, alpha)


def _keep_rgb(ctx: Any, inputs: Any, output: Any) -> None:
    x, weight, _, ctx.slope = inputs
    ctx.save_for_backward(output, x, weight)


def _keep_scale(ctx: Any, inputs: Any, output: Any) -> None:
    x, ctx.scale, _ = inputs
    ctx.dtype = x.dtype


def _of_lrelu(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    return (*lrelu_backward(g, *ctx.saved_tensors, ctx.slope), None)


def _of_lrelu_pixelnorm(ctx: Any, g: Tensor, of_factor: Tensor) -> tuple[Tensor | None, ...]:
    return (*lrelu_pixelnorm_backward(g, *ctx.saved_tensors, ctx.slope), None, None)


def _of_lrelu_pool(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    return (*unpool(g, *ctx.saved_tensors, ctx.slope), None)


def _of_unpool(ctx: Any, g: Tensor, of_bias: Tensor) -> tuple[Tensor | None, ...]:
    return pool(g, *ctx.saved_tensors, ctx.slope), None, None, None


def _of_pool(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    return unpool(g, *ctx.saved_tensors, ctx.slope)[0], None, None, None


def _of_fade(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    return (*unfade(g, *ctx.saved_tensors, ctx.slope), None, None)


def _of_unfade(ctx: Any, of_coarse: Tensor, of_fine: Tensor) -> tuple[Tensor | None, ...]:
    return refade(of_coarse, of_fine, *ctx.saved_tensors, ctx.slope), None, None, None


def _of_from_rgb(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    of_x, *others = from_rgb_backward(g, *ctx.saved_tensors, ctx.slope, ctx.needs_input_grad[0])
    return of_x if ctx.needs_input_grad[0] else None, *others, None


def _of_to_rgb(ctx: Any, h: Tensor) -> tuple[Tensor | None, ...]:
    of_g, of_weight = to_rgb_backward(h, *ctx.saved_tensors, ctx.slope)
    return of_g, None, of_weight, None


def _of_fold(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    return fold(g, ctx.scale, ctx.dtype), None, None


def _of_scale_cast(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    return scale_cast(g, ctx.scale, ctx.dtype), None, None


lrelu.register_autograd(_of_lrelu, setup_context=_keep_output)
lrelu_pixelnorm.register_autograd(_of_lrelu_pixelnorm, setup_context=_keep_output)
lrelu_pool.register_autograd(_of_lrelu_pool, setup_context=_keep_input)
unpool.register_autograd(_of_unpool, setup_context=_keep_input)
pool.register_autograd(_of_pool, setup_context=_keep_input)
fade.register_autograd(_of_fade, setup_context=_keep_fade)
unfade.register_autograd(_of_unfade, setup_context=_keep_input)
from_rgb.register_autograd(_of_from_rgb, setup_context=_keep_rgb)
to_rgb.register_autograd(_of_to_rgb, setup_context=_keep_tensors)
fold.register_autograd(_of_fold, setup_context=_keep_scale)
scale_cast.register_autograd(_of_scale_cast, setup_context=_keep_scale)
