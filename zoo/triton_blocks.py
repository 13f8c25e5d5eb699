"""How a Triton kernel sees a channels_last tensor: a matrix of pixels by channels, in blocks of whole pixels."""

import torch
import triton
from torch import Tensor

ELEMENTS = 4096
"""Of a block; a power of two."""
PROGRAMS = 2048
"""At most, where each leaves a row of sums."""


def dense(x: Tensor) -> Tensor:
    """Return x, channels_last."""
    return x.contiguous(memory_format=torch.channels_last)


def like(x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Return an empty tensor of the shape of x, channels_last."""
    return torch.empty(x.shape, dtype=dtype or x.dtype, device=x.device, memory_format=torch.channels_last)


def blocks(x: Tensor) -> tuple[int, int, int, int]:
    """Return pixels, channels, pixels of a block, channels rounded up to a power of two."""
    n, channels, height, width = x.shape
    columns = triton.next_power_of_2(channels)
    return n * height * width, channels, max(1, ELEMENTS // columns), columns


def sums_of(pixels: int, block: int, x: Tensor, kinds: int = 1) -> Tensor:
    """Return a row for each program's sums over its pixels, of each channel, or of several kinds of each."""
    programs = min(PROGRAMS, triton.cdiv(pixels, block))
    return torch.empty(programs, kinds * x.shape[1], dtype=torch.float32, device=x.device)
