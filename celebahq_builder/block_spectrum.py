"""The power spectrum of a face, block by block: rings of frequencies, their directions, noise floor, narrow peaks."""

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import fft, ndimage

BLOCK = 64
RINGS = 8
"""Half octaves down from half a cycle a pixel: ring 0 is 0.354 to 0.5, ring 7 is 0.031 to 0.044 cycles a pixel."""
_SECTORS = 8  # over 180 degrees, centered on the axes: quarter turns and flips permute them
_PATCH = 16  # pixels a side: small enough to lie on a cheek of a face of 128 pixels
_SMOOTHEST = 0.05  # of the patches
_SEEN_INVENTED = 0.001  # of a block's weight
_SHOWN_LOW = 4  # rings from here down are supposed to be as strong as on average in blocks that the photo does not show


class BlockSpectrum(NamedTuple):
    """White noise of variance v has power v."""

    rings: np.ndarray
    """(K,) power of each ring: geometric mean over the directions, mean over the blocks; K is 8, or 6 at 16 pixels."""
    isotropy: np.ndarray
    """(K,) 0..1, the same over what it is without regard to direction."""
    floor: float
    """Of noise: the variance that the finest differences have in the smoothest twentieth of small patches."""
    peak: float
    """How far one frequency stands out of its neighborhood, natural logarithm: a screen, a halftone."""


def block_spectrum(luma: np.ndarray, mask: np.ndarray | None = None) -> BlockSpectrum:
    """Measure overlapping blocks of 64 pixels (or of the whole face, where that is less).

    Args:
        luma: (R, R) float32, 0 to 255; R a power of two from 16 up.
        mask: (R, R) bool, False where a pixel is invented. Blocks that see one do not count, but as smooth ones: no
            face gains by being cut.
    """
    block = min(BLOCK, len(luma))
    hop = 60 if len(luma) == 1024 else block // 2  # either divides what lies between the first block and the last
    window, cells, filled = _plan(block)
    views = np.lib.stride_tricks.sliding_window_view(luma, window.shape)[::hop, ::hop]
    whole = np.ones(views.shape[0] * views.shape[1], bool) if mask is None else _whole_blocks(mask, window, hop)
    blocks = views[whole.reshape(views.shape[:2])]  # (N, B, B), a copy
    blocks -= np.einsum("nij,ij->n", blocks, window / window.sum())[:, None, None]
    blocks *= window
    spectrum = fft.rfft2(blocks)
    power = (spectrum.real**2 + spectrum.imag**2).reshape(len(blocks), -1)
    by_cell = (power @ cells).reshape(len(blocks), *filled.shape)
    count = filled.sum(axis=1)
    even = by_cell.sum(axis=2) / count  # empty cells hold 0
    logs = np.log(np.maximum(by_cell, 1e-6), out=np.zeros_like(by_cell), where=filled)
    round_ = np.exp(logs.sum(axis=2) / count)
    isotropy = round_.mean(axis=0) / np.maximum(even.mean(axis=0), 1e-6)
    rings = _mean_over_blocks(round_, len(whole)).astype(np.float64)
    peak = _peak(power.mean(axis=0) / (window**2).sum(), block)
    return BlockSpectrum(rings, isotropy.astype(np.float64), noise_floor(luma, mask), peak)


def noise_floor(luma: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Variance of noise, as the smoothest patches tell it. Arguments as for `block_spectrum`.

    Of each patch second differences are taken. Blocks of 64 pixels are too large for that: of a small face they all
    hold detail, which would then be taken off as if it were noise.
    """
    second = second_differences(luma)
    side = len(luma) // _PATCH
    patches = second.reshape(side, _PATCH, side, _PATCH)
    found = np.einsum("yixj,yixj->yx", patches, patches) / (36 * _PATCH**2)
    if mask is not None:
        shown = mask.reshape(side, _PATCH, side, _PATCH).mean(axis=(1, 3))
        found = found[shown >= shown.max()]
    return float(np.quantile(found, _SMOOTHEST))


def second_differences(luma: np.ndarray) -> np.ndarray:
    """Return Immerkaer's filter of (h, w) float32 (Fast Noise Variance Estimation, 1996), the outermost pixels 0.

    The second difference in both directions: edges and slopes nearly vanish, and noise of variance v has 36 v.
    """
    rows = luma[1:] - luma[:-1]
    rows = rows[1:] - rows[:-1]
    both = rows[:, 1:] - rows[:, :-1]
    second = np.zeros_like(luma)
    np.subtract(both[:, 1:], both[:, :-1], out=second[1:-1, 1:-1])
    return second


def _whole_blocks(mask: np.ndarray, window: np.ndarray, hop: int) -> np.ndarray:
    """(N,) bool: which blocks see no invented pixel to speak of; if none, those that see least."""
    views = np.lib.stride_tricks.sliding_window_view(~mask, window.shape)[::hop, ::hop]
    share = np.einsum("ynij,ij->yn", views, window).ravel() / window.sum()
    return share <= max(_SEEN_INVENTED, float(share.min()))


def _mean_over_blocks(rings: np.ndarray, num_blocks: int) -> np.ndarray:
    """Mean of (seen blocks, K) over all blocks; those not seen are supposed to have the least high rings of any."""
    mean = rings.mean(axis=0)
    if len(rings) == num_blocks:
        return mean
    supposed = rings.min(axis=0)
    supposed[_SHOWN_LOW:] = mean[_SHOWN_LOW:]
    return mean + (supposed - mean) * (1 - len(rings) / num_blocks)


def _peak(power: np.ndarray, block: int) -> float:
    if block < 32:
        return 0.0
    half = np.log(power + 1e-3).reshape(block, -1)
    whole = np.concatenate([half, np.roll(half[::-1, 1:-1][:, ::-1], 1, axis=0)], axis=1)
    around, radius = _neighborhood(block)
    above = whole - ndimage.percentile_filter(whole, 75, footprint=around, mode="wrap")
    # Two bins: one alone may be chance. A frequency and its mirror image are one.
    return float(np.sort(above[radius > 0.07])[-3])


@cache
def _neighborhood(block: int) -> tuple[np.ndarray, np.ndarray]:
    around = np.ones((7, 7), bool)
    around[1:6, 1:6] = False  # what the window smears
    frequencies = np.fft.fftfreq(block)
    return around, np.hypot(*np.meshgrid(frequencies, frequencies))


@cache
def _plan(block: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Window (B, B); matrix (frequencies, K * 8) from the power of rfft2 to cells' means; which cells (K, 8) exist."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(block) + 0.5) / block)
    window = np.outer(hann, hann)
    y, x = np.meshgrid(np.fft.fftfreq(block), np.fft.rfftfreq(block), indexing="ij")
    radius, angle = np.hypot(x, y).ravel(), np.arctan2(y, x).ravel()
    rings = RINGS if block >= 32 else 6
    inside = np.flatnonzero((radius < 0.5) & (radius > 0.5 * 2 ** (-rings / 2) - 1e-9))
    ring = np.floor(-2 * np.log2(radius[inside] / 0.5) - 1e-9).clip(0, rings - 1).astype(int)
    cell = ring * _SECTORS + np.round(_SECTORS * angle[inside] / np.pi).astype(int) % _SECTORS
    weight = np.where((x == 0) | (x == 0.5), 1.0, 2.0).ravel()[inside]  # rfft2 leaves out the mirrored half
    count = np.bincount(cell, weight, minlength=rings * _SECTORS)
    cells = np.zeros((radius.size, rings * _SECTORS), np.float32)
    cells[inside, cell] = weight / count[cell] / (window**2).sum()
    return window.astype(np.float32), cells, (count > 0).reshape(rings, _SECTORS)
