"""What shows that a face was badly taken or processed: holes in its histogram, blocks, oversharpening, contrast."""

from functools import cache

import cv2
import numpy as np
from scipy import ndimage

from celebahq_builder.coverage import OVAL_CENTRE, OVAL_RADII

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""What R, G and B weigh in the luma of JPEG (ITU-R BT.601)."""
_JPEG_BLOCK = 8
_STRONG = 30  # levels from the mean around
_FEW = 0.003  # of all pixels: of less strong detail no share is told


def histogram_fill(face: np.ndarray, mask: np.ndarray | None = None) -> float:
    """How evenly the levels between the darkest and the brightest are used, about 1; 16 levels of 256 give 0.07.

    Effective number of levels (exponential of the entropy) over that of the smoothed histogram, least of the channels.

    Args:
        face: (R, R, 3) uint8.
        mask: (R, R) bool, False where a pixel does not count.
    """
    rows = slice(None, None, _every(len(face)))
    pixels = face[rows].reshape(-1, 3) if mask is None else face[rows][mask[rows]]
    fill = 1.0
    if not len(pixels):
        return 1.0
    row = np.ascontiguousarray(pixels)[None]
    for channel in range(3):
        counts = cv2.calcHist([row], [channel], None, [256], [0, 256]).ravel().astype(np.float64)
        low, high = np.searchsorted(np.cumsum(counts) / len(pixels), (0.02, 0.98))
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


def overshoot(face: np.ndarray, luma: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Which share of the face's strong detail is black or white, 0 to 1: sharpening drives edges beyond both ends.

    Strong detail differs from the mean of its block of 8 pixels by more than 30 levels. In photographs that were not
    sharpened next to none of it is so, inside the oval of the face: where hair meets a white wall it is, too.

    Args:
        face: (R, R, 3) uint8; R is a multiple of 8.
        luma: (R, R) float32, of the same face.
        mask: (R, R) bool, False where a pixel does not count.
    """
    side = len(luma) // _JPEG_BLOCK
    every = _every(side * _JPEG_BLOCK)
    blocks = luma.reshape(side, _JPEG_BLOCK, side, _JPEG_BLOCK)[::every]
    strong = np.abs(blocks - blocks.mean(axis=(1, 3), keepdims=True)) > _STRONG
    strong &= oval(len(luma)).reshape(side, _JPEG_BLOCK, side, _JPEG_BLOCK)[::every]
    if mask is not None:
        strong &= mask.reshape(side, _JPEG_BLOCK, side, _JPEG_BLOCK)[::every]
    ends = face.reshape(side, _JPEG_BLOCK, side, _JPEG_BLOCK, 3)[::every][strong & ((blocks < 2) | (blocks > 253))]
    extreme = int(((ends <= 1).all(axis=1) | (ends >= 254).all(axis=1)).sum())
    return extreme / (np.count_nonzero(strong) + _FEW * strong.size)


def oval_levels(luma: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """5th and 95th percentile of the luma inside the oval of the face, (2,) float.

    Of a part that is not shown no contrast is known: both lie nearer to the median by its share.
    """
    rows = slice(None, None, _every(len(luma)))
    inside, luma, mask = oval(len(luma))[rows], luma[rows], None if mask is None else mask[rows]
    shown = inside if mask is None or not (inside & mask).any() else inside & mask
    levels = np.percentile(luma[shown], (5, 50, 95)).astype(np.float64)
    return levels[1] + (levels[[0, 2]] - levels[1]) * (shown.sum() / inside.sum())


def _every(resolution: int) -> int:
    """One row of how many is enough."""
    return 2 if resolution >= 512 else 1


@cache
def oval(resolution: int) -> np.ndarray:
    """(R, R) bool: the fixed oval around eyes, nose, mouth and chin (coverage.py)."""
    at = (np.arange(resolution) + 0.5) / resolution
    x, y = ((at - centre) / radius for centre, radius in zip(OVAL_CENTRE, OVAL_RADII, strict=True))
    return np.add.outer(y * y, x * x) <= 1
