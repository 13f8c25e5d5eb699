"""How good a face is: its spectrum falls off gently and evenly (paper, Appendix C), without noise, pattern or ringing.

The paper gives one sentence and no formula. This one is ours. Its core is a slope: by what factor power falls, half
octave after half octave, over the fine detail of the face, after the floor of noise is taken off. The geometric mean
over the directions is what falls, so that motion blur and line screens do not hide in the mean. Factors lower that
where the face was worsened in a way that a spectrum rewards: edges that sharpening drove to black and white, peaks of
a halftone, a grid of JPEG blocks, holes in the histogram, little contrast; and where the fine detail is lost, as in an
enlarged face. A face without such a fault loses next to nothing by them: a cost that all pay a little of takes away
from the order.

Form and constants were chosen on 28 images of the released 30,000 whose place in the official order is known, on 600
aligned CelebA faces half of which were chosen for CelebA-HQ, and on degraded copies of crops. benchmarks/ranking.py
prints what holds where form and constants are chosen anew without what is judged: docs/measurements.md has the numbers.

What super-resolution invents is no merit of the photograph, and this score cannot tell it from detail: celebahq-build
takes the score of the same crop without super-resolution (docs/restoration.md).

Frequencies are counted in cycles a pixel: scores of one dataset are taken at one resolution, that of its faces; never
compare scores across resolutions. The official order is one at 1024. Smaller images of the same faces are all sharp.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from celebahq_builder.block_spectrum import BlockSpectrum, block_spectrum
from celebahq_builder.defects import LUMA, block_grid, histogram_fill, oval_levels, overshoot

SCORE_VERSION = 3
"""Changes with what is computed: faces that were scored by another version are scored anew."""
MIN_RESOLUTION = 16
_ROUNDING_NOISE = float((LUMA**2).sum()) / 12  # power of rounding to 8 bits
_LIMIT_POWER = 6  # where a limit begins to cost, so that ordinary contrast costs nothing
_STEEPEST = 4.0  # fall that can be told, in natural logarithms of power a half octave: a factor of 50


@dataclass(frozen=True)
class Constants:
    """What calibration chose."""

    detail: tuple[int, int] = (0, 5)
    """First and last ring whose fall counts: 0.063 to 0.5 cycles a pixel."""
    noise_floors: float = 3.0
    """Power is believed where it is above so many times the floor of noise."""
    unseen_weight: float = 0.1
    """Cost of what lies under one level of detail, by natural logarithms of power, summed over those rings: of faces
    that were enlarged, whose fine rings are all lost, those come first that still have the coarser ones."""
    half_overshoot: float = 0.005
    """Share of the strong detail that is driven to black or white, and costs half of the score."""
    peak_threshold: float = 2.0
    """A frequency that stands out by more, in natural logarithms of power, is a pattern."""
    grid_threshold: float = 1.35
    """Steps at JPEG's blocks that are stronger by more are visible."""
    grid_weight: float = 8.0
    fill_threshold: float = 0.6
    """A histogram that is filled less than this has holes."""
    half_contrast: float = 50.0
    """Levels from the 5th to the 95th percentile inside the face that cost half of the score."""


CALIBRATED = Constants()


class QualityScore(NamedTuple):
    score: float
    """0..1, larger is better: breadth, lowered by oversharpening, patterns, blocks, holes in the histogram, low
    contrast."""
    breadth: float
    """0..1: the share of its power that the spectrum keeps from one half octave to the next, noise taken off."""
    isotropy: float
    """0..1: how evenly the rings spread their power over the directions, their geometric mean."""


class Measures(NamedTuple):
    """What a score is made of."""

    spectrum: BlockSpectrum
    fill: float
    grid: float
    levels: np.ndarray
    """(2,) 5th and 95th percentile of luma inside the face."""
    overshoot: float


def quality_score(face: np.ndarray, mask: np.ndarray | None = None) -> QualityScore:
    """Score one face; the same face always scores the same, and a constant one scores 0.

    Args:
        face: (R, R, 3) uint8 RGB, R a power of two, at least 16.
        mask: (R, R) bool, False where a pixel was invented: beyond the edge of the photo. None: all are real. What is
            missing counts as smooth as the smoothest parts of what is there, so that no face gains by being cut.

    Raises:
        ValueError: another shape or dtype.
    """
    return score_measures(measure(face, mask))


def measure(face: np.ndarray, mask: np.ndarray | None = None) -> Measures:
    """Measure what `quality_score` is computed from; arguments and errors as for it."""
    resolution = face.shape[0]
    if face.shape != (resolution, resolution, 3) or face.dtype != np.uint8:
        raise ValueError(f"face: got {face.shape} {face.dtype}, expected (R, R, 3) uint8")
    if resolution < MIN_RESOLUTION or resolution & (resolution - 1):
        raise ValueError(f"face: got {resolution} pixels a side, expected a power of two from {MIN_RESOLUTION} up")
    if mask is not None and (mask.shape != face.shape[:2] or mask.dtype != np.bool_):
        raise ValueError(f"mask: got {mask.shape} {mask.dtype}, expected {face.shape[:2]} bool")
    if mask is not None and (mask.all() or not mask.any()):
        mask = None
    luma = face.astype(np.float32) @ LUMA
    return Measures(
        block_spectrum(luma, mask),
        histogram_fill(face, mask),
        block_grid(luma, mask),
        oval_levels(luma, mask),
        overshoot(face, luma, mask),
    )


def score_measures(measures: Measures, constants: Constants = CALIBRATED) -> QualityScore:
    """Score what was measured."""
    spectrum, fill, grid, (low, high), extreme = measures
    contrast = high - low
    if contrast <= 0:
        return QualityScore(0.0, 0.0, 1.0)
    logs = _signal(spectrum, constants.noise_floors)
    first, last = constants.detail
    fall = max(0.0, _slope(logs[first : last + 1]))
    breadth = float(np.exp(-fall))
    unseen = float(np.minimum(0.0, logs[first : last + 1]).sum())
    factor = np.exp(constants.unseen_weight * unseen - max(0.0, spectrum.peak - constants.peak_threshold))
    factor /= 1 + (extreme / constants.half_overshoot) ** 2
    factor /= 1 + constants.grid_weight * max(0.0, grid - constants.grid_threshold)
    factor *= min(1.0, fill / constants.fill_threshold) ** 2
    factor /= 1 + (constants.half_contrast / contrast) ** _LIMIT_POWER
    return QualityScore(breadth * float(factor), breadth, float(np.exp(np.log(spectrum.isotropy).mean())))


def _signal(spectrum: BlockSpectrum, floors: float) -> np.ndarray:
    """Logarithms of the rings' power without noise. A ring that is lost in it falls as fast as can be told."""
    power = spectrum.rings - floors * max(spectrum.floor, _ROUNDING_NOISE)
    power[-1] = max(power[-1], 1e-3 * spectrum.rings[-1])
    logs = np.log(np.maximum(power, 1e-30))
    for ring in range(len(logs) - 2, -1, -1):
        logs[ring] = max(logs[ring], logs[ring + 1] - _STEEPEST)
    return logs


def _slope(logs: np.ndarray) -> float:
    """By how much a sequence rises a step: least squares. Rings go down in frequency, so that a fall is positive."""
    steps = np.arange(len(logs)) - (len(logs) - 1) / 2
    return float((steps * logs).sum() / (steps**2).sum())
