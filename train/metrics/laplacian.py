"""The Laplacian pyramid of a batch of images (Burt & Adelson 1983), with the borders of cv2.pyrDown and cv2.pyrUp.

Plain sums of slices: no convolution that a GPU may round to TF32, and the first two levels are exact in float32.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

SMALLEST = 16
"""Side of the last level (paper, Section 5)."""


def level_resolutions(resolution: int) -> tuple[int, ...]:
    """Return R, R/2, ..., 16.

    Raises:
        ValueError: not a power of two from 16.
    """
    if resolution < SMALLEST or resolution & (resolution - 1):
        raise ValueError(f"resolution: got {resolution}, expected a power of two from {SMALLEST}")
    return tuple(resolution >> k for k in range((resolution // SMALLEST).bit_length()))


def laplacian_pyramid(images: Tensor) -> dict[int, Tensor]:
    """Return the band-pass levels R, R/2, ..., 32 and the low-pass level 16.

    Args:
        images: (N, C, R, R) in 0..255, any dtype.

    Returns:
        resolution r -> (N, C, r, r) float32, in gray levels.
    """
    levels = {}
    x = images.float()
    for resolution in level_resolutions(images.shape[-1])[:-1]:
        smaller = pyramid_down(x)
        levels[resolution] = x - pyramid_up(smaller)
        x = smaller
    levels[SMALLEST] = x
    return levels


def pyramid_down(x: Tensor) -> Tensor:
    """Blur with the 5x5 binomial, keep every other pixel; (N, C, 2r, 2r) -> (N, C, r, r)."""
    rows = F.pad(x, (0, 0, 2, 2), mode="reflect")
    columns = F.pad(_binomial(rows.transpose(2, 3)).transpose(2, 3), (2, 2, 0, 0), mode="reflect")
    return _binomial(columns) / 256


def _binomial(x: Tensor) -> Tensor:
    """1 4 6 4 1 along the last axis at every other place: (..., 2r + 4) -> (..., r)."""
    r2 = x.shape[-1] - 4
    a, b, c, d, e = (x[..., k : k + r2 : 2] for k in range(5))
    return (a + e) + 4 * (b + d) + 6 * c


def pyramid_up(x: Tensor) -> Tensor:
    """Put zeros between the pixels, blur with 4 times the same kernel; (N, C, r, r) -> (N, C, 2r, 2r)."""
    return _spread(_spread(x.transpose(2, 3)).transpose(2, 3)) / 64


def _spread(x: Tensor) -> Tensor:
    # Mirroring the row with its zeros: pixel -1 is pixel 1, but pixel r is pixel r - 1.
    before = torch.cat([x[..., 1:2], x[..., :-1]], dim=-1)
    after = torch.cat([x[..., 1:], x[..., -1:]], dim=-1)
    return torch.stack([before + 6 * x + after, 4 * (x + after)], dim=-1).flatten(-2)
