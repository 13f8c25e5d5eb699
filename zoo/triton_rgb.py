"""From colors to the discriminator's first features and back, in Triton: functions of zoo.fused_plain.

As in zoo.fused_triton a program takes whole pixels. A pixel has at most three colors, so the product of its colors and
the weights is made while its features are in registers, and they pass through memory once.
"""

import triton
import triton.language as tl
from torch import Tensor

from zoo.triton_blocks import blocks, dense, like, sums_of


def from_rgb(x: Tensor, weight: Tensor, bias: Tensor, slope: float) -> Tensor:
    """See zoo.fused_plain."""
    x, colors = dense(x), x.shape[1]
    y = like(x.new_empty(()).expand(x.shape[0], len(weight), *x.shape[2:]))
    pixels, channels, block, width = blocks(y)
    _from_rgb[(triton.cdiv(pixels, block),)](
        x, weight.contiguous(), bias, y, pixels, channels, slope, colors, block, width
    )
    return y


def from_rgb_backward(
    g: Tensor, y: Tensor, x: Tensor, weight: Tensor, slope: float, of_x: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """See zoo.fused_plain."""
    out, sums = _through(g, y, x, weight, slope, of_x, True)
    of_weight_and_bias = sums.sum(0).view(-1, g.shape[1])
    return out, of_weight_and_bias[:-1].t().contiguous(), of_weight_and_bias[-1]


def to_rgb(g: Tensor, y: Tensor, weight: Tensor, slope: float) -> Tensor:
    """See zoo.fused_plain."""
    return _through(g, y, g, weight, slope, True, False)[0]


def to_rgb_backward(h: Tensor, g: Tensor, y: Tensor, weight: Tensor, slope: float) -> tuple[Tensor, Tensor]:
    """See zoo.fused_plain."""
    h, g, y, out = dense(h), dense(g), dense(y), like(g)
    pixels, channels, block, width = blocks(g)
    colors = h.shape[1]
    sums = sums_of(pixels, block, g, colors)
    _to_rgb_backward[(len(sums),)](
        h, g, y, weight.contiguous(), out, sums, pixels, channels, slope, colors, block, width
    )
    return out, sums.sum(0).view(colors, channels).t().contiguous()


def _through(
    g: Tensor, y: Tensor, x: Tensor, weight: Tensor, slope: float, of_x: bool, of_weight: bool
) -> tuple[Tensor, Tensor]:
    """Return the gradient of x (N, K, H, W), and rows of sums (programs, (K + 1) * C), each if asked for."""
    g, y, colors = dense(g), dense(y), weight.shape[1]
    pixels, channels, block, width = blocks(g)
    out = g.new_empty(0)
    if of_x:
        out = like(g.new_empty(()).expand(g.shape[0], colors, *g.shape[2:]))
    sums = sums_of(pixels, block, g, colors + 1)
    _from_rgb_backward[(len(sums),)](
        g, y, dense(x), weight.contiguous(), out, sums, pixels, channels, slope, colors, of_x, of_weight, block, width
    )
    return out, sums


@triton.jit
def _from_rgb(
    x, weight, bias, y, pixels, channels, slope, COLORS: tl.constexpr, BLOCK: tl.constexpr, WIDTH: tl.constexpr
):
    rows, columns = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.arange(0, WIDTH)
    rows = rows.to(tl.int64)
    a = tl.zeros((BLOCK, WIDTH), tl.float32)
    a += tl.load(bias + columns, mask=columns < channels, other=0.0).to(tl.float32)[None, :]
    for k in tl.static_range(COLORS):
        color = tl.load(x + rows * COLORS + k, mask=rows < pixels, other=0.0).to(tl.float32)
        w = tl.load(weight + columns * COLORS + k, mask=columns < channels, other=0.0)
        a += color[:, None] * w[None, :]
    inside = (rows[:, None] < pixels) & (columns[None, :] < channels)
    tl.store(y + rows[:, None] * channels + columns[None, :], tl.where(a > 0, a, a * slope), mask=inside)


@triton.jit
def _from_rgb_backward(
    g, y, x, weight, out, sums, pixels, channels, slope,
    COLORS: tl.constexpr, OF_X: tl.constexpr, OF_WEIGHT: tl.constexpr, BLOCK: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    columns, kinds = tl.arange(0, WIDTH), tl.arange(0, 4)
    total = tl.zeros((4, WIDTH), tl.float32)  # a row a color, and the bias's
    for start in range(tl.program_id(0) * BLOCK, pixels, tl.num_programs(0) * BLOCK):
        rows = (start + tl.arange(0, BLOCK)).to(tl.int64)
        at = rows[:, None] * channels + columns[None, :]
        inside = (rows[:, None] < pixels) & (columns[None, :] < channels)
        d = tl.load(g + at, mask=inside, other=0.0).to(tl.float32)
        d = tl.where(tl.load(y + at, mask=inside, other=0.0).to(tl.float32) > 0, d, d * slope)
        for k in tl.static_range(COLORS):
            if OF_X:
                w = tl.load(weight + columns * COLORS + k, mask=columns < channels, other=0.0)
                tl.store(out + rows * COLORS + k, tl.sum(d * w[None, :], axis=1), mask=rows < pixels)
            if OF_WEIGHT:
                color = tl.load(x + rows * COLORS + k, mask=rows < pixels, other=0.0).to(tl.float32)
                total += tl.where(kinds[:, None] == k, tl.sum(d * color[:, None], axis=0)[None, :], 0.0)
        if OF_WEIGHT:
            total += tl.where(kinds[:, None] == COLORS, tl.sum(d, axis=0)[None, :], 0.0)
    if OF_WEIGHT:
        place = (tl.program_id(0) * (COLORS + 1) + kinds[:, None]) * channels + columns[None, :]
        tl.store(sums + place, total, mask=(kinds[:, None] <= COLORS) & (columns[None, :] < channels))


@triton.jit
def _to_rgb_backward(
    h, g, y, weight, out, sums, pixels, channels, slope,
    COLORS: tl.constexpr, BLOCK: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    columns, kinds = tl.arange(0, WIDTH), tl.arange(0, 4)
    total = tl.zeros((4, WIDTH), tl.float32)
    for start in range(tl.program_id(0) * BLOCK, pixels, tl.num_programs(0) * BLOCK):
        rows = (start + tl.arange(0, BLOCK)).to(tl.int64)
        at = rows[:, None] * channels + columns[None, :]
        inside = (rows[:, None] < pixels) & (columns[None, :] < channels)
        positive = tl.load(y + at, mask=inside, other=0.0).to(tl.float32) > 0
        d = tl.load(g + at, mask=inside, other=0.0).to(tl.float32)
        d = tl.where(positive, d, d * slope)
        of_g = tl.zeros((BLOCK, WIDTH), tl.float32)
        for k in tl.static_range(COLORS):
            color = tl.load(h + rows * COLORS + k, mask=rows < pixels, other=0.0).to(tl.float32)
            w = tl.load(weight + columns * COLORS + k, mask=columns < channels, other=0.0)
            of_g += color[:, None] * w[None, :]
            total += tl.where(kinds[:, None] == k, tl.sum(d * color[:, None], axis=0)[None, :], 0.0)
        tl.store(out + at, tl.where(positive, of_g, of_g * slope), mask=inside)
    place = (tl.program_id(0) * COLORS + kinds[:, None]) * channels + columns[None, :]
    tl.store(sums + place, total, mask=(kinds[:, None] < COLORS) & (columns[None, :] < channels))
