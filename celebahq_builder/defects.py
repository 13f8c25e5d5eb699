"""What shows that a face was badly taken or processed: holes in its histogram, a grid of blocks, little contrast."""

from functools import cache

import numpy as np
from scipy import ndimage

from celebahq_builder.coverage import OVAL_CENTRE, OVAL_RADII

_JPEG_BLOCK = 8


def histogram_fill(face: np.ndarray, mask: np.ndarray | None = None) -> float:
    """How evenly the levels between the darkest and the brightest are used, about 1; 16 levels of 256 give 0.07.

    Effective number of levels (exponential of the entropy) over that of the smoothed histogram, least of the channels.

    Args:
        face: (R, R, 3) uint8.
        mask: (R, R) bool, False where a pixel does not count.
    """
    pixels = face.reshape(-1, 3) if mask is None else face[mask]
    fill = 1.0
    for channel in np.ascontiguousarray(pixels.T):
        counts = np.bincount(channel, minlength=256).astype(np.float64)
        low, high = np.searchsorted(np.cumsum(counts) / len(channel), (0.02, 0.98))
        used = slice(low, max(high, low + 1) + 1)
        smooth = ndimage.uniform_filter1d(counts, 17, mode="nearest")
        fill = min(fill, _effective(counts[used]) / _effective(smooth[used]))
    return fill


def _effective(counts: np.ndarray) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def block_grid(luma: np.ndarray, mask: np.ndarray | None = None) -> float:
    """How much stronger the steps between JPEG's blocks of 8 pixels are than other steps, 1 where there is no grid.

    Seen where a pixel of the face is one of the photo. The weaker of both directions: a picture frame has only one.

    Args:
        luma: (R, R) float32, 0 to 255.
        mask: (R, R) bool, False where a pixel does not count.
    """
    found = []
    for image, shown in ((luma, mask), (luma.T, None if mask is None else mask.T)):
        steps = np.abs(np.diff(image, axis=1))
        if shown is None:
            sums, counts = steps.sum(axis=0, dtype=np.float64), np.full(steps.shape[1], len(steps))
        else:
            both = shown[:, 1:] & shown[:, :-1]
            sums, counts = np.where(both, steps, 0).sum(axis=0, dtype=np.float64), both.sum(axis=0)
        phase = np.arange(len(sums)) % _JPEG_BLOCK
        means = np.bincount(phase, sums) / np.maximum(np.bincount(phase, counts), 1)
        second, first = np.sort(means)[-2:]
        found.append(first / (second + 0.01))
    return float(min(found))


def oval_levels(luma: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """5th, 50th and 95th percentile of the luma inside the oval of the face, (3,) float.

    Of a part that is not shown no contrast is known: the outer two lie nearer to the middle by its share.
    """
    inside = oval(len(luma))
    shown = inside if mask is None or not (inside & mask).any() else inside & mask
    levels = np.percentile(luma[shown], (5, 50, 95)).astype(np.float64)
    return levels[1] + (levels - levels[1]) * (shown.sum() / inside.sum())


@cache
def oval(resolution: int) -> np.ndarray:
    """(R, R) bool: the fixed oval around eyes, nose, mouth and chin (coverage.py)."""
    at = (np.arange(resolution) + 0.5) / resolution
    x, y = ((at - centre) / radius for centre, radius in zip(OVAL_CENTRE, OVAL_RADII, strict=True))
    return np.add.outer(y * y, x * x) <= 1
