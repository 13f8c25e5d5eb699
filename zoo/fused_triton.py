"""The fused kernels in Triton: the functions of zoo.fused_plain, each one pass over memory. Linux with CUDA only.

A channels_last tensor is a matrix of pixels by channels. A program takes blocks of whole pixels, so that a pixel's norm
is a sum within it. Gradients of a bias leave one row a program, added up afterwards in a fixed order: no atomics, and
so the same bits each time. Everything is float32 inside: the interpreter, under which the tests run, has no bf16.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

ELEMENTS = 4096
"""Of a block; a power of two."""
PROGRAMS = 2048
"""At most, where each leaves a row of sums."""


def lrelu(x: Tensor, bias: Tensor, slope: float) -> Tensor:
    """See zoo.fused_plain."""
    x, y = _dense(x), _like(x)
    pixels, channels, block, width = _blocks(x)
    _lrelu[(triton.cdiv(pixels, block),)](x, bias, y, pixels, channels, slope, block, width)
    return y


def lrelu_backward(g: Tensor, y: Tensor, slope: float) -> tuple[Tensor, Tensor]:
    """See zoo.fused_plain."""
    g, y, out = _dense(g), _dense(y), _like(g)
    pixels, channels, block, width = _blocks(g)
    sums = _sums(pixels, block, g)
    _lrelu_backward[(len(sums),)](g, y, out, sums, pixels, channels, slope, block, width)
    return out, sums.sum(0)


def lrelu_pixelnorm(x: Tensor, bias: Tensor, slope: float, eps: float) -> tuple[Tensor, Tensor]:
    """See zoo.fused_plain."""
    x, y = _dense(x), _like(x)
    factor = torch.empty(x.shape[0], 1, *x.shape[2:], dtype=torch.float32, device=x.device)
    pixels, channels, block, width = _blocks(x)
    grid = (triton.cdiv(pixels, block),)
    _lrelu_pixelnorm[grid](x, bias, y, factor, pixels, channels, slope, eps, block, width)
    return y, factor


def lrelu_pixelnorm_backward(g: Tensor, y: Tensor, factor: Tensor, slope: float) -> tuple[Tensor, Tensor]:
    """See zoo.fused_plain."""
    g, y, out = _dense(g), _dense(y), _like(g)
    pixels, channels, block, width = _blocks(g)
    sums = _sums(pixels, block, g)
    _lrelu_pixelnorm_backward[(len(sums),)](g, y, factor.contiguous(), out, sums, pixels, channels, slope, block, width)
    return out, sums.sum(0)


def lrelu_pool(x: Tensor, bias: Tensor, slope: float) -> Tensor:
    """See zoo.fused_plain."""
    return pool(x, x, bias, slope, activated=True)


def pool(g: Tensor, x: Tensor, bias: Tensor, slope: float, activated: bool = False) -> Tensor:
    """See zoo.fused_plain; activated: of x + bias itself instead of g."""
    g, x = _dense(g), _dense(x)
    width = x.shape[3]
    out = _like(x[:, :, ::2, ::2], g.dtype)
    pixels, channels, block, columns = _blocks(out)
    grid = (triton.cdiv(pixels, block),)
    _pool[grid](g, x, bias, out, pixels, channels, width // 2, slope, activated, block, columns)
    return out


def unpool(g: Tensor, x: Tensor, bias: Tensor, slope: float) -> tuple[Tensor, Tensor]:
    """See zoo.fused_plain."""
    g, x, out = _dense(g), _dense(x), _like(x, g.dtype)
    pixels, channels, block, columns = _blocks(g)
    sums = _sums(pixels, block, g)
    _unpool[(len(sums),)](g, x, bias, out, sums, pixels, channels, g.shape[3], slope, block, columns)
    return out, sums.sum(0)


def fade(coarse: Tensor, fine: Tensor, alpha: Tensor) -> Tensor:
    """See zoo.fused_plain."""
    coarse, fine, out = _dense(coarse), _dense(fine), _like(fine)
    _fade[(triton.cdiv(out.numel(), 1024),)](coarse, fine, alpha, out, out.numel(), 1024)
    return out


def unfade(g: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    """See zoo.fused_plain."""
    g, coarse, fine = _dense(g), _like(g), _like(g)
    _unfade[(triton.cdiv(g.numel(), 1024),)](g, alpha, coarse, fine, g.numel(), 1024)
    return coarse, fine


def scale_cast(x: Tensor, scale: float, dtype: torch.dtype) -> Tensor:
    """See zoo.fused_plain; the result lies as x does."""
    out = torch.empty_like(x, dtype=dtype)
    if out.stride() != x.stride():
        x = x.contiguous()
        out = torch.empty_like(x, dtype=dtype)
    _scale_cast[(triton.cdiv(x.numel(), 1024),)](x, out, x.numel(), scale, 1024)
    return out


def _dense(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _like(x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    return torch.empty(x.shape, dtype=dtype or x.dtype, device=x.device, memory_format=torch.channels_last)


def _blocks(x: Tensor) -> tuple[int, int, int, int]:
    """Return pixels, channels, pixels of a block, channels rounded up to a power of two."""
    n, channels, height, width = x.shape
    columns = triton.next_power_of_2(channels)
    return n * height * width, channels, max(1, ELEMENTS // columns), columns


def _sums(pixels: int, block: int, x: Tensor) -> Tensor:
    return torch.empty(min(PROGRAMS, triton.cdiv(pixels, block)), x.shape[1], dtype=torch.float32, device=x.device)


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
def _fade(coarse, fine, alpha, out, count, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    a = tl.load(coarse + at, mask=at < count, other=0.0).to(tl.float32)
    b = tl.load(fine + at, mask=at < count, other=0.0).to(tl.float32)
    weight = tl.load(alpha)
    tl.store(out + at, tl.where(weight < 0.5, a + weight * (b - a), b - (b - a) * (1 - weight)), mask=at < count)


@triton.jit
def _unfade(g, alpha, coarse, fine, count, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    d = tl.load(g + at, mask=at < count, other=0.0).to(tl.float32)
    weight = tl.load(alpha)
    tl.store(coarse + at, d * (1 - weight), mask=at < count)
    tl.store(fine + at, d * weight, mask=at < count)


@triton.jit
def _scale_cast(x, out, count, scale, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    a = tl.load(x + at, mask=at < count, other=0.0).to(tl.float32)
    tl.store(out + at, a * scale, mask=at < count)
