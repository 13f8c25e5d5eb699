"""How good a face is, by its power spectrum: broad and round is good (paper, Appendix C); blur and halftones are not.

The paper gives one sentence and no formula. This one is ours, calibrated on 28 images of the released 30,000 whose
place in the official order is known: Spearman's rho -0.82 (95 % bootstrap interval -0.92..-0.60; benchmarks/quality.py
prints it). 28 images fix a trend, not the third decimal: the constants are round numbers from the middle of a plateau.

Scores of one dataset are always taken at one resolution, that of its faces, so that they can be compared; never compare
scores across resolutions. Rings are counted in cycles an image, from 8 up to half the resolution. The calibration holds
at 1024. A smaller file is asked the same question of its own finest pixels, and what they cannot show no longer counts:
the same 28 images, shrunk, give rho -0.59 at 512 and none at 256, where all of them are sharp.
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import fft

MIN_RESOLUTION = 16
_LUMA = np.array([0.299, 0.587, 0.114])
_SECTORS = 16  # over 180 degrees, centred on the axes: quarter turns and flips permute them exactly
_FLOORS = 4.0  # power is believed where it is above so many times the noise of rounding to 8 bits


@dataclass(frozen=True)
class Constants:
    """What calibration chose; benchmarks/quality.py prints how little the ranking depends on them."""

    reach: float = 9.5
    """A ring counts half when its power is e^-reach of that of the lowest four rings."""
    detail: float = 4.5
    """One of the four highest rings counts half when its power is e^-detail of that of the two rings below them."""
    roundness: float = 0.5
    """Isotropy below this lowers the score in proportion; photographs without a pattern lie above."""


CALIBRATED = Constants()


class QualityScore(NamedTuple):
    score: float
    """0..1, larger is better: breadth, lowered where the spectrum is not round."""
    breadth: float
    """0..1: how far up the spectrum there is more than rounding noise."""
    isotropy: float
    """0..1: how evenly the least even ring spreads its power over the directions."""


def quality_score(face: np.ndarray) -> QualityScore:
    """Score one face; the same face always scores the same, and a constant one scores 0.

    Args:
        face: (R, R, 3) uint8 RGB, R a power of two, at least 16.

    Raises:
        ValueError: another shape or dtype.
    """
    resolution = face.shape[0]
    if face.shape != (resolution, resolution, 3) or face.dtype != np.uint8:
        raise ValueError(f"face: {face.shape} {face.dtype}, (R, R, 3) uint8 is wanted")
    if resolution < MIN_RESOLUTION or resolution & (resolution - 1):
        raise ValueError(f"face: {resolution} pixels a side, a power of two from {MIN_RESOLUTION} up is wanted")
    return score_spectrum(ring_power(face), resolution)


def ring_power(face: np.ndarray) -> np.ndarray:
    """Return the mean power in half-octave rings and sectors, (K, 16) float64; NaN where a sector has no frequency.

    K is 12 at 1024: rings from 8 to 512 cycles an image, without 512 itself. Below 128 pixels the rings start lower, at
    an eighth of the highest frequency, so that there are six.
    """
    resolution = face.shape[0]
    window, cell, weight, count = _plan(resolution)
    luma = face @ _LUMA
    luma = (luma - (window * luma).sum() / window.sum()) * window
    spectrum = fft.rfft2(luma)  # float64: in float32 a quarter turn would change the score in the ninth digit
    power = (spectrum.real**2 + spectrum.imag**2) * weight
    total = np.bincount(cell.ravel(), power.ravel(), minlength=len(count) + 1)[:-1]  # the last cell is "elsewhere"
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0).reshape(-1, _SECTORS)


def score_spectrum(power: np.ndarray, resolution: int, constants: Constants = CALIBRATED) -> QualityScore:
    """Score rings of power, (K, 16) as ring_power returns them.

    Of each ring only the geometric mean over the directions counts as signal, the part that is radially symmetric: a
    screen or halftone puts its power in a few directions. Noise from rounding to 8 bits is taken off first, or a small
    photo enlarged 32 times would rank first. Breadth is the mean of two: how many of all the rings are reached, and how
    gently power falls over the last two octaves. The first keeps order among poor faces, the second among good ones.
    Isotropy counts only below `roundness`: above, it is a property of the motif, and rises under blur.
    """
    symmetric = np.exp(np.nanmean(np.log(np.maximum(power, 1e-9)), axis=1))
    rounding_noise = (3 * resolution / 8) ** 2 * (_LUMA**2).sum() / 12
    signal = symmetric - _FLOORS * rounding_noise
    seen = signal > 0
    log_signal = np.log(signal, out=np.full(len(signal), -np.inf), where=seen)

    reached = _share(log_signal, log_signal[:4], constants.reach)
    detail = _share(log_signal[-4:], log_signal[-6:-4], constants.detail)
    breadth = float(reached + detail) / 2

    evenness = symmetric[seen] / np.nanmean(power, axis=1)[seen]
    isotropy = float(evenness.min(initial=1.0))
    return QualityScore(breadth * min(1.0, isotropy / constants.roundness), breadth, isotropy)


def _share(rings: np.ndarray, reference: np.ndarray, half: float) -> float:
    """Return the mean over rings of a smooth 0..1: 0.5 where the log power is `half` below that of the reference."""
    if np.isneginf(reference).any():
        return 0.0
    return float(np.mean(1 / (1 + np.exp(-(rings - reference.mean() + half)))))


@cache
def _plan(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return window, cell (ring x sector) of each frequency of rfft2, its weight, and the weight of each cell."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(n) + 0.5) / n)
    y, x = np.meshgrid(np.fft.fftfreq(n, 1 / n), np.arange(n // 2 + 1), indexing="ij")
    radius_squared = x * x + y * y
    lowest = min(8.0, n / 16)
    rings = round(2 * np.log2(n / 2 / lowest))
    with np.errstate(divide="ignore"):
        ring = np.floor(np.log2(radius_squared / lowest**2) + 1e-9)  # half an octave of the radius is one of its square
    sector = np.round(_SECTORS * np.arctan2(y, x) / np.pi).astype(np.int64) % _SECTORS
    inside = (radius_squared >= lowest**2) & (radius_squared < (n / 2) ** 2)
    cell = np.where(inside, np.where(inside, ring, 0).astype(np.int64) * _SECTORS + sector, rings * _SECTORS)
    weight = np.where((x == 0) | (x == n // 2), 1.0, 2.0)  # rfft2 leaves out the mirrored half
    count = np.bincount(cell.ravel(), weight.ravel(), minlength=rings * _SECTORS + 1)[:-1]
    return np.outer(hann, hann), cell, weight, count
