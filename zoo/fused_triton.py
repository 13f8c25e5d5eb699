"""The fused kernels in Triton: the functions of zoo.fused_plain, each one pass over memory. Linux with CUDA only.

A channels_last tensor is a matrix of pixels by channels. A program takes blocks of whole pixels, so that a pixel's norm
is a sum within it. Gradients of a bias leave one row a program, added up afterwards in a fixed order: no atomics, and
so the same bits each time. Everything is float32 inside: the interpreter, under which the tests run, has no bf16.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from zoo.triton_blocks import blocks, dense, like, sums_of
from zoo.triton_rgb import from_rgb as from_rgb
from zoo.triton_rgb import from_rgb_backward as from_rgb_backward
from zoo.triton_rgb import to_rgb as to_rgb
from zoo.triton_rgb import to_rgb_backward as to_rgb_backward


def lrelu(x: Tensor, bias: Tensor, slope: float) -> Tensor:
    """See zoo.fused_plain."""
    x, y = dense(x), like(x)
    pixels, channels, block, width = blocks(x)
    _lrelu[(triton.cdiv(pixels, block),)](x, bias, y, pixels, channels, slope, block, width)
    return y


def lrelu_backward(g: Tensor, y: Tensor, slope: float) -> tuple[Tensor, Tensor]:
    """See zoo.fused_plain."""
    g, y, out = dense(g), dense(y), like(g)
    pixels, channels, block, width = blocks(g)
    sums = sums_of(pixels, block, g)
    _lrelu_backward[(len(sums),)](g, y, out, sums, pixels, channels, slope, block, width)
    return out, sums.sum(0)


def lrelu_pixelnorm(x: Tensor, bias: Tensor, slope: float, eps: float) -> tuple[Tensor, Tensor]:
    """See zoo.fused_plain."""
    x, y = dense(x), like(x)
    factor = torch.empty(x.shape[0], 1, *x.shape[2:], dtype=torch.float32, device=x.device)
    pixels, channels, block, width = blocks(x)
    grid = (triton.cdiv(pixels, block),)
    _lrelu_pixelnorm[grid](x, bias, y, factor, pixels, channels, slope, eps, block, width)
    return y, factor


def lrelu_pixelnorm_backward(g: Tensor, y: Tensor, factor: Tensor, slope: float) -> tuple[Tensor, Tensor]:
    """See zoo.fused_plain."""
    g, y, out = dense(g), dense(y), like(g)
    pixels, channels, block, width = blocks(g)
    sums = sums_of(pixels, block, g)
    _lrelu_pixelnorm_backward[(len(sums),)](g, y, factor.contiguous(), out, sums, pixels, channels, slope, block, width)
    return out, sums.sum(0)


def lrelu_pool(x: Tensor, bias: Tensor, slope: float) -> Tensor:
    """See zoo.fused_plain."""
    return pool(x, x, bias, slope, activated=True)


def pool(g: Tensor, x: Tensor, bias: Tensor, slope: float, activated: bool = False) -> Tensor:
    """See zoo.fused_plain; activated: of x + bias itself instead of g."""
    g, x = dense(g), dense(x)
    width = x.shape[3]
    out = like(x[:, :, ::2, ::2], g.dtype)
    pixels, channels, block, columns = blocks(out)
    grid = (triton.cdiv(pixels, block),)
    _pool[grid](g, x, bias, out, pixels, channels, width // 2, slope, activated, block, columns)
    return out


def unpool(g: Tensor, x: Tensor, bias: Tensor, slope: float) -> tuple[Tensor, Tensor]:
    """See zoo.fused_plain."""
    g, x, out = dense(g), dense(x), like(x, g.dtype)
    pixels, channels, block, columns = blocks(g)
    sums = sums_of(pixels, block, g)
    _unpool[(len(sums),)](g, x, bias, out, sums, pixels, channels, g.shape[3], slope, block, columns)
    return out, sums.sum(0)


def fade(coarse: Tensor, fine: Tensor, alpha: Tensor, slope: float) -> Tensor:
    """See zoo.fused_plain."""
    return refade(coarse, fine, coarse, alpha, slope)


def refade(of_coarse: Tensor, of_fine: Tensor, coarse: Tensor, alpha: Tensor, slope: float) -> Tensor:
    """See zoo.fused_plain."""
    a, b, signs, out = dense(of_coarse), dense(of_fine), dense(coarse), like(of_fine)
    same = coarse is of_coarse
    _fade[(triton.cdiv(out.numel(), 1024),)](a, b, signs, alpha, out, out.numel(), slope, same, 1024)
    return out


def unfade(g: Tensor, coarse: Tensor, alpha: Tensor, slope: float) -> tuple[Tensor, Tensor]:
    """See zoo.fused_plain."""
    g, signs, of_coarse, of_fine = dense(g), dense(coarse), like(g), like(g)
    _unfade[(triton.cdiv(g.numel(), 1024),)](g, signs, alpha, of_coarse, of_fine, g.numel(), slope, 1024)
    return of_coarse, of_fine


def scale_cast(x: Tensor, scale: float, dtype: torch.dtype) -> Tensor:
    """See zoo.fused_plain; the result lies as x does."""
    out = torch.empty_like(x, dtype=dtype)
    if out.stride() != x.stride():
        x = x.contiguous()
        out = torch.empty_like(x, dtype=dtype)
    _scale_cast[(triton.cdiv(x.numel(), 1024),)](x, out, x.numel(), scale, 1024)
    return out


def fold(x: Tensor, scale: float, dtype: torch.dtype) -> Tensor:
    """See zoo.fused_plain."""
    x, side = dense(x), x.shape[-1]
    out = like(x.new_empty(()).expand(*x.shape[:2], 7 - side, 7 - side), dtype)
    _fold[(triton.cdiv(out.numel(), 1024),)](x, out, out.numel(), x.shape[1], scale, side, 1024)
    return out


@triton.jit
def _lrelu(x, bias, y, pixels, channels, slope, BLOCK: tl.constexpr, WIDTH: tl.constexpr):
    rows, columns = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.arange(0, WIDTH)
    at = rows[:, None].to(tl.int64) * channels + columns[None, :]
    inside = (rows[:, None] < pixels) & (columns[None, :] < channels)
    shift = tl.load(bias + columns, mask=columns < channels, other=0.0).to(tl.float32)
    a = tl.load(x + at, mask=inside, other=0.0).to(tl.float32) + shift[None, :]
    tl.store(y + at, tl.where(a > 0, a, a * slope), mask=inside)


@triton.jit
def _lrelu_backward(g, y, out, sums, pixels, channels, slope, BLOCK: tl.constexpr, WIDTH: tl.constexpr):
    columns = tl.arange(0, WIDTH)
    total = tl.zeros((WIDTH,), tl.float32)
    for start in range(tl.program_id(0) * BLOCK, pixels, tl.num_programs(0) * BLOCK):
        rows = start + tl.arange(0, BLOCK)
        at = rows[:, None].to(tl.int64) * channels + columns[None, :]
        inside = (rows[:, None] < pixels) & (columns[None, :] < channels)
        d = tl.load(g + at, mask=inside, other=0.0).to(tl.float32)
        d = tl.where(tl.load(y + at, mask=inside, other=0.0).to(tl.float32) > 0, d, d * slope)
        tl.store(out + at, d, mask=inside)
        total += tl.sum(d, axis=0)
    tl.store(sums + tl.program_id(0) * channels + columns, total, mask=columns < channels)


@triton.jit
def _lrelu_pixelnorm(x, bias, y, factor, pixels, channels, slope, eps, BLOCK: tl.constexpr, WIDTH: tl.constexpr):
    rows, columns = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.arange(0, WIDTH)
    at = rows[:, None].to(tl.int64) * channels + columns[None, :]
    inside = (rows[:, None] < pixels) & (columns[None, :] < channels)
    shift = tl.load(bias + columns, mask=columns < channels, other=0.0).to(tl.float32)
    a = tl.load(x + at, mask=inside, other=0.0).to(tl.float32) + shift[None, :]
    a = tl.where(a > 0, a, a * slope)
    scale = 1.0 / tl.sqrt(tl.sum(a * a, axis=1) / channels + eps)  # beyond the last channel a is 0
    tl.store(y + at, a * scale[:, None], mask=inside)
    tl.store(factor + rows, scale, mask=rows < pixels)


@triton.jit
def _lrelu_pixelnorm_backward(
    g, y, factor, out, sums, pixels, channels, slope, BLOCK: tl.constexpr, WIDTH: tl.constexpr
):
    columns = tl.arange(0, WIDTH)
    total = tl.zeros((WIDTH,), tl.float32)
    for start in range(tl.program_id(0) * BLOCK, pixels, tl.num_programs(0) * BLOCK):
        rows = start + tl.arange(0, BLOCK)
        at = rows[:, None].to(tl.int64) * channels + columns[None, :]
        inside = (rows[:, None] < pixels) & (columns[None, :] < channels)
        d = tl.load(g + at, mask=inside, other=0.0).to(tl.float32)
        value = tl.load(y + at, mask=inside, other=0.0).to(tl.float32)
        scale = tl.load(factor + rows, mask=rows < pixels, other=0.0)
        along = tl.sum(d * value, axis=1) / channels
        d = scale[:, None] * (d - value * along[:, None])
        d = tl.where(value > 0, d, d * slope)
        tl.store(out + at, d, mask=inside)
        total += tl.sum(d, axis=0)
    tl.store(sums + tl.program_id(0) * channels + columns, total, mask=columns < channels)


@triton.jit
def _pool(
    g, x, bias, out, pixels, channels, width, slope, ACTIVATED: tl.constexpr, BLOCK: tl.constexpr, WIDTH: tl.constexpr
):
    rows, columns = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.arange(0, WIDTH)
    inside = (rows[:, None] < pixels) & (columns[None, :] < channels)
    shift = tl.load(bias + columns, mask=columns < channels, other=0.0).to(tl.float32)
    corner = (rows // width).to(tl.int64) * 4 * width + rows % width * 2  # of the four pixels in the larger image
    total = tl.zeros((BLOCK, WIDTH), tl.float32)
    for i in tl.static_range(4):
        at = (corner + (i // 2) * 2 * width + i % 2)[:, None] * channels + columns[None, :]
        a = tl.load(x + at, mask=inside, other=0.0).to(tl.float32) + shift[None, :]
        d = a
        if not ACTIVATED:
            d = tl.load(g + at, mask=inside, other=0.0).to(tl.float32)
        total += tl.where(a > 0, d, d * slope)
    at = rows[:, None].to(tl.int64) * channels + columns[None, :]
    tl.store(out + at, total * 0.25, mask=inside)


@triton.jit
def _unpool(g, x, bias, out, sums, pixels, channels, width, slope, BLOCK: tl.constexpr, WIDTH: tl.constexpr):
    columns = tl.arange(0, WIDTH)
    shift = tl.load(bias + columns, mask=columns < channels, other=0.0).to(tl.float32)
    total = tl.zeros((WIDTH,), tl.float32)
    for start in range(tl.program_id(0) * BLOCK, pixels, tl.num_programs(0) * BLOCK):
        rows = start + tl.arange(0, BLOCK)
        inside = (rows[:, None] < pixels) & (columns[None, :] < channels)
        at = rows[:, None].to(tl.int64) * channels + columns[None, :]
        d = tl.load(g + at, mask=inside, other=0.0).to(tl.float32) * 0.25
        corner = (rows // width).to(tl.int64) * 4 * width + rows % width * 2
        for i in tl.static_range(4):
            at = (corner + (i // 2) * 2 * width + i % 2)[:, None] * channels + columns[None, :]
            a = tl.load(x + at, mask=inside, other=0.0).to(tl.float32) + shift[None, :]
            masked = tl.where(a > 0, d, d * slope)
            tl.store(out + at, masked, mask=inside)
            total += tl.sum(masked, axis=0)
    tl.store(sums + tl.program_id(0) * channels + columns, total, mask=columns < channels)


@triton.jit
def _fade(coarse, fine, x, alpha, out, count, slope, SAME: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    a = tl.load(coarse + at, mask=at < count, other=0.0).to(tl.float32)
    sign = a
    if not SAME:
        sign = tl.load(x + at, mask=at < count, other=0.0).to(tl.float32)
    a = tl.where(sign > 0, a, a * slope)
    b = tl.load(fine + at, mask=at < count, other=0.0).to(tl.float32)
    weight = tl.load(alpha)
    tl.store(out + at, tl.where(weight < 0.5, a + weight * (b - a), b - (b - a) * (1 - weight)), mask=at < count)


@triton.jit
def _unfade(g, x, alpha, coarse, fine, count, slope, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    d = tl.load(g + at, mask=at < count, other=0.0).to(tl.float32)
    sign = tl.load(x + at, mask=at < count, other=0.0).to(tl.float32)
    weight = tl.load(alpha)
    tl.store(coarse + at, tl.where(sign > 0, d, d * slope) * (1 - weight), mask=at < count)
    tl.store(fine + at, d * weight, mask=at < count)


@triton.jit
def _scale_cast(x, out, count, scale, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    a = tl.load(x + at, mask=at < count, other=0.0).to(tl.float32)
    tl.store(out + at, a * scale, mask=at < count)


@triton.jit
def _fold(x, out, count, maps, scale, SIDE: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    side = 7 - SIDE  # of the result; both lie as (out, height, width, in)
    column, row = at // maps % side, at // maps // side % side
    total = tl.zeros((BLOCK,), tl.float32)
    for i in tl.static_range(4):
        from_row, from_column = 3 - row - i // 2, 3 - column - i % 2
        inside = (at < count) & (from_row >= 0) & (from_row < SIDE) & (from_column >= 0) & (from_column < SIDE)
        place = ((at // maps // side // side * SIDE + from_row) * SIDE + from_column) * maps + at % maps
        total += tl.load(x + place, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + at, total * scale, mask=at < count)
