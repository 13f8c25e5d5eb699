"""How good a face is, by its power spectrum: broad and round is good (paper, Appendix C); blur and halftones are not.

The paper gives one sentence and no formula. This one is ours, calibrated on 28 images of the released 30,000 whose
place in the official order is known: Spearman's rho -0.80 (95 % bootstrap interval -0.91..-0.59; benchmarks/quality.py
prints it). 28 images fix a trend, not the third decimal: the constants are round numbers, and rho stays within -0.76
and -0.82 when any one of them moves by the steps that the benchmark prints.

What super-resolution paints is no merit of the photograph, and this score cannot tell it from detail: of 20 official
faces reduced to a quarter and enlarged by the adversarial network all 20 outranked their originals. So celebahq-build
takes the score of the same crop without super-resolution (artifacts removed, as block edges would count as detail):
then none of the 20 does (benchmarks/restoration.py ranking, docs/restoration.md).

The spectrum is that of overlapping blocks which wrap around the borders, so that every part of a face counts the same
wherever it lies. A block counts by the cube root of its power: the mean of the power would be that of the few strongest
edges, the mean of its logarithm that of the plain wall behind the face.

On 67 real crops at 1024 (28 official, 39 cut from photographs, most of those enlarged) a roll by 37 pixels changes the
score by at most 0.0039 and brightness +20 by 0.0044. Contrast x0.6, rounded to 8 bits again, changes it by at most
0.010 on 65; on two faces enlarged 13 and 32 times by up to 0.016, because most of their spectrum is rounding noise.

Scores of one dataset are always taken at one resolution, that of its faces, so that they can be compared; never compare
scores across resolutions. Rings are counted in cycles an image, from 8 up to half the resolution. The calibration holds
at 1024. A smaller file is asked the same question of its own finest pixels, and what they cannot show no longer counts:
the same 28 images, shrunk, give rho -0.62 at 512 and none at 256, where all of them are sharp.
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import fft, sparse

SCORE_VERSION = 1
"""Of the formula: files record it, and faces that another one scored are scored anew before they are compared."""
MIN_RESOLUTION = 16
_LUMA = np.array([0.299, 0.587, 0.114])
_SECTORS = 16  # over 180 degrees, centred on the axes: quarter turns and flips permute them exactly
_ROUNDING_NOISE = (_LUMA**2).sum() / 12  # power of rounding to 8 bits
_SEEN_INVENTED = 0.001  # of a block's weight
_SMOOTHEST = 0.1
_LOWEST = 4  # rings
_FLOORS = 2.0  # power is believed where it is above so many times that noise


@dataclass(frozen=True)
class Constants:
    """What calibration chose; benchmarks/quality.py prints how little the ranking depends on them.

    All but softness, reach_weight and roundness are distances in natural logarithms of power.
    """

    reach_threshold: float = 9.5
    """A ring counts half when its power is e^-reach_threshold of that of the lowest four rings."""
    detail_threshold: float = 2.5
    """One of the four highest rings counts half when its power is e^-detail_threshold of that of the two rings below
    them."""
    softness: float = 2.0
    """From a half to three quarters takes 1.1 times this: less would make small changes of the photo large ones."""
    noise_threshold: float = 10.0
    """A high ring this far below the lowest four is half lost: what is left down there is noise."""
    faint_threshold: float = 7.0
    """Directions count half in a ring this far below the lowest four; so faint a ring is no reference for detail."""
    reach_weight: float = 0.25
    """How much of the breadth is reach; the rest is detail."""
    roundness: float = 0.5
    """A ring less even than this lowers the score in proportion; photographs without a pattern lie above."""


CALIBRATED = Constants()


class QualityScore(NamedTuple):
    score: float
    """0..1, larger is better: breadth, lowered where one ring of the spectrum is not round."""
    breadth: float
    """0..1: how far up the spectrum there is more than rounding noise."""
    isotropy: float
    """0..1: how evenly the rings spread their power over the directions, their geometric mean."""


def quality_score(face: np.ndarray, mask: np.ndarray | None = None) -> QualityScore:
    """Score one face; the same face always scores the same, and a constant one scores 0.

    Args:
        face: (R, R, 3) uint8 RGB, R a power of two, at least 16.
        mask: (R, R) bool, False where a pixel was invented: beyond the edge of the photo. None: all are real. What is
            missing counts as smooth as the smoothest parts of what is there, so that no face gains by being cut.

    Raises:
        ValueError: another shape or dtype.
    """
    resolution = face.shape[0]
    if face.shape != (resolution, resolution, 3) or face.dtype != np.uint8:
        raise ValueError(f"face: got {face.shape} {face.dtype}, expected (R, R, 3) uint8")
    if resolution < MIN_RESOLUTION or resolution & (resolution - 1):
        raise ValueError(f"face: got {resolution} pixels a side, expected a power of two from {MIN_RESOLUTION} up")
    if mask is not None and (mask.shape != face.shape[:2] or mask.dtype != np.bool_):
        raise ValueError(f"mask: got {mask.shape} {mask.dtype}, expected {face.shape[:2]} bool")
    return score_spectrum(ring_power(face, mask))


def ring_power(face: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Return the power in half-octave rings and sectors, (K, 16) float64; NaN where a sector has no frequency.

    A generalized mean over the blocks of the image: of cube roots, so that a few blocks of much detail do not decide.

    K is 12 at 1024: rings from 8 to 512 cycles an image, without 512 itself. Below 128 pixels the rings start lower, at
    an eighth of the highest frequency, so that there are six. White noise of variance v has power v.
    """
    resolution = face.shape[0]
    window, cells, empty = _plan(resolution)
    block = len(window)
    hop = block // 2
    red, green, blue = np.moveaxis(face, 2, 0)
    luma = _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue  # faster than face @ _LUMA
    luma = np.pad(luma, ((0, hop), (0, hop)), mode="wrap")
    blocks = np.empty((resolution // hop, block, block))
    total = np.zeros(len(empty))
    roots = []
    for row in np.lib.stride_tricks.sliding_window_view(luma, window.shape)[::hop, ::hop]:  # (N, B, B), a view
        mean = np.einsum("nij,ij->n", row, window) / window.sum()
        np.subtract(row, mean[:, None, None], out=blocks)
        blocks *= window
        spectrum = fft.rfft2(blocks)  # float64: float32 would change the score in the ninth digit
        power = (spectrum.real**2 + spectrum.imag**2).reshape(len(row), -1)
        root = np.cbrt(cells @ power.T)
        total += root.sum(axis=1)
        if mask is not None:
            roots.append(root)
    if mask is not None and not mask.all():
        total = _without_invented(np.concatenate(roots, axis=1), _whole_blocks(mask, window, hop))
    generalized_mean = (total / (resolution // hop) ** 2) ** 3
    return np.where(empty, np.nan, generalized_mean).reshape(-1, _SECTORS)


def _whole_blocks(mask: np.ndarray, window: np.ndarray, hop: int) -> np.ndarray:
    """(N * N,) bool: which blocks, row by row, see no invented pixel to speak of; if none, those that see least."""
    invented = np.pad(~mask, ((0, hop), (0, hop)), mode="wrap").astype(np.float64)
    blocks = np.lib.stride_tricks.sliding_window_view(invented, window.shape)[::hop, ::hop]
    share = np.einsum("ynij,ij->yn", blocks, window).ravel() / window.sum()
    return share <= max(_SEEN_INVENTED, share.min())


def _without_invented(roots: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Sum (cells, blocks) over the blocks; of those that are not whole the worst is supposed.

    Their lowest rings, against which the others are measured, are as strong as on average; the others as weak as in the
    smoothest tenth.
    """
    seen = roots[:, whole]
    supposed = np.quantile(seen, _SMOOTHEST, axis=1)
    supposed[: _LOWEST * _SECTORS] = seen[: _LOWEST * _SECTORS].mean(axis=1)
    return seen.sum(axis=1) + (~whole).sum() * supposed


def score_spectrum(power: np.ndarray, constants: Constants = CALIBRATED) -> QualityScore:
    """Score rings of power, (K, 16) as ring_power returns them.

    Of each ring only the geometric mean over the directions counts as signal, the part that is radially symmetric: a
    screen or halftone puts its power in a few directions. Noise from rounding to 8 bits is taken off first, or a small
    photo enlarged 32 times would rank first. Breadth has two parts: how many of all the rings are reached, and how
    gently power falls over the last two octaves. The first keeps order among poor faces, the second among good ones.
    Directions count only in rings that can be seen, and lower the score only below `roundness`: above, they are a
    property of the motif, and grow more even under blur.
    """
    symmetric = np.exp(np.nanmean(np.log(np.maximum(power, 1e-9)), axis=1))
    signal = np.maximum(symmetric - _FLOORS * _ROUNDING_NOISE, 0)
    if not signal[:4].all():
        return QualityScore(0.0, 0.0, 1.0)
    with np.errstate(divide="ignore"):
        depth = np.log(signal)
    depth -= depth[:4].mean()

    reached = _sigmoid(depth + constants.reach_threshold, constants.softness).mean()
    below = np.logaddexp(depth[-6:-4].mean(), -constants.faint_threshold)  # or the noise of a blurred face were detail
    detail = _sigmoid(depth[-4:] - below + constants.detail_threshold, constants.softness) * _sigmoid(
        depth[-4:] + constants.noise_threshold
    )
    breadth = float(constants.reach_weight * reached + (1 - constants.reach_weight) * detail.mean())

    whole = np.nanmean(power, axis=1)
    visible = _sigmoid(np.log(whole) - np.log(symmetric[:4]).mean() + constants.faint_threshold)
    evenness = 1 - visible * (1 - symmetric / whole)
    penalty = min(1.0, float(evenness.min()) / constants.roundness)
    return QualityScore(breadth * penalty, breadth, float(np.exp(np.log(evenness).mean())))


def _sigmoid(above: np.ndarray, softness: float = 1.0) -> np.ndarray:
    """Return a smooth 0..1: 0.5 where a log power is on its threshold."""
    return 1 / (1 + np.exp(-above / softness))


@cache
def _plan(n: int) -> tuple[np.ndarray, sparse.csr_array, np.ndarray]:
    """Return window (B, B), the matrix from the power of rfft2 to means of cells (ring x sector), which are empty.

    A block is a quarter of the face, and at least 64 pixels where there are so many.
    """
    block = max(n // 4, min(n, 64))
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(block) + 0.5) / block)
    window = np.outer(hann, hann)
    y, x = np.meshgrid(np.fft.fftfreq(block, 1 / n), np.fft.rfftfreq(block, 1 / n), indexing="ij")  # cycles an image
    radius_squared = (x * x + y * y).ravel()
    lowest = min(8.0, n / 16)
    rings = round(2 * np.log2(n / 2 / lowest))
    inside = np.flatnonzero((radius_squared >= lowest**2) & (radius_squared < (n / 2) ** 2))
    # Half an octave of the radius is one of its square.
    ring = np.floor(np.log2(radius_squared[inside] / lowest**2) + 1e-9).astype(np.int64)
    angle = np.arctan2(y, x).ravel()[inside]
    cell = ring * _SECTORS + np.round(_SECTORS * angle / np.pi).astype(np.int64) % _SECTORS
    weight = np.where((x == 0) | (x == n // 2), 1.0, 2.0).ravel()[inside]  # rfft2 leaves out the mirrored half
    count = np.bincount(cell, weight, minlength=rings * _SECTORS)
    mean = weight / count[cell] / (window**2).sum()
    return window, sparse.csr_array((mean, (cell, inside)), shape=(len(count), radius_squared.size)), count == 0
