"""What marks are decided by: exposure, blur, motion, noise, blocks, screens of a face, in pixels of its photograph.

Restoring, turning and enlarging a face hide what was wrong with it. So the pixels measured are those of the photo as
decoded, under the fixed oval of the face (coverage.py), as they lie there; of a face that has more of them than its
crop will, means of whole blocks.
"""

from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
from scipy import fft, ndimage

from celebahq_builder.block_spectrum import second_differences
from celebahq_builder.coverage import OVAL_CENTRE, OVAL_RADII
from celebahq_builder.defects import LUMA, block_grid, histogram_fill
from celebahq_builder.motion_trail import motion_trail

_LEAST_PIXELS = 200  # of an oval
_ENOUGH_PIXELS = 50_000  # for a histogram
_SIDES = 256, 1024  # a face is measured at the resolution of its crop, but at least and at most at these


class MarkMeasures(NamedTuple):
    """Numbers about the oval of one face; levels are of 0 to 255, lengths are pixels of the photo or of the crop,
    whichever are larger."""

    side: float
    """Of the crop."""
    low: float
    """5th percentile of luma."""
    high: float
    """95th."""
    white: float
    """Share of pixels whose luma is 250 or more."""
    colors: float
    """95th percentile of what the channels of a pixel differ by."""
    fill: float
    """How evenly the levels are used, about 1; few levels give little."""
    extremes: float
    """Share of pixels within 24 levels of black or white."""
    noise: float
    """Standard deviation of luma from one pixel to the next where the face is smoothest, levels."""
    blur: float
    """Standard deviation of the Gaussian that blurs its sharpest edges, in pixels."""
    motion: float
    """Length of the trail that motion left, pixels; 0 where none is seen."""
    blocks: float
    """How much stronger the steps between JPEG's blocks are than other steps."""
    screen: float
    """How far one frequency stands out of its neighborhood, natural logarithm of power."""


def measure_marks(photo: np.ndarray, quad: np.ndarray, resolution: int = 1024) -> MarkMeasures | None:
    """Measure one face.

    Args:
        photo: (H, W, 3) uint8 RGB, as decoded.
        quad: (4, 2) corners of its crop in pixels of the photo, as `face_quad` returns them.
        resolution: side of the crop.

    Returns:
        None where the photo shows next to nothing of the face.
    """
    found = _oval_of(photo, quad, resolution)
    if found is None:
        return None
    shown = found.pixels[found.inside]
    channels = np.ascontiguousarray(shown[:: 1 + len(shown) // _ENOUGH_PIXELS].T)  # (3, N)
    luma = LUMA @ channels
    brightest, darkest = channels.max(axis=0), channels.min(axis=0)
    low, high = np.percentile(luma, (5, 95)).tolist()
    blur = _blur(found.luma, found.inside)
    return MarkMeasures(
        side=found.side,
        low=low,
        high=high,
        white=float((luma >= 250).mean()),
        colors=float(np.percentile(brightest - darkest, 95)),
        fill=_fill(channels[:, (darkest > 0) & (brightest < 255)]),
        extremes=float(((luma <= 24) | (luma >= 231)).mean()),
        noise=_noise(found.luma, found.inside),
        blur=blur,
        motion=0.0 if blur < _SHARP else motion_trail(found.luma, found.inside),
        blocks=block_grid(found.luma, found.inside),
        screen=_screen(found.luma, found.inside),
    )


class _Oval(NamedTuple):
    """The box of a face's oval, cut out of the photo."""

    pixels: np.ndarray
    """(h, w, 3) uint8, as they are in the photo; one a block of a large face."""
    luma: np.ndarray
    """(h, w) float32, means of the blocks."""
    inside: np.ndarray
    """(h, w) bool, which lie in the oval."""
    side: float
    """Of the crop, in these pixels."""


def _oval_of(photo: np.ndarray, quad: np.ndarray, resolution: int) -> _Oval | None:
    quad = np.asarray(quad, np.float64)
    right, down = quad[3] - quad[0], quad[1] - quad[0]
    centre = quad[0] + OVAL_CENTRE[0] * right + OVAL_CENTRE[1] * down
    axes = np.stack([OVAL_RADII[0] * right, OVAL_RADII[1] * down])
    reach = np.hypot(*axes)
    side = float(np.hypot(*right))
    block = max(1, int(side / min(max(resolution, _SIDES[0]), _SIDES[1])))
    first = np.maximum(np.floor((centre - reach) / block).astype(int), 0)
    last = np.minimum(np.ceil((centre + reach) / block).astype(int), np.array(photo.shape[1::-1]) // block)
    if (last - first < 16).any():
        return None
    (left, top), (width, height) = first, last - first
    part = photo[top * block : (top + height) * block, left * block : (left + width) * block]
    # Where each pixel lies, from the centre, in units of the radii.
    inverse = np.linalg.inv(axes) * block
    x = (left + np.arange(width) + 0.5 - centre[0] / block)[None, :, None] * inverse[0]
    y = (top + np.arange(height) + 0.5 - centre[1] / block)[:, None, None] * inverse[1]
    inside = np.square(x + y).sum(axis=2) <= 1
    if inside.sum() < _LEAST_PIXELS:
        return None
    if block == 1:
        return _Oval(part, part @ LUMA, inside, side)
    means = cv2.resize(part, (int(width), int(height)), interpolation=cv2.INTER_AREA)
    return _Oval(part[block // 2 :: block, block // 2 :: block], means @ LUMA, inside, side / block)


def _fill(channels: np.ndarray) -> float:
    """histogram_fill of what is not clipped, (3, N): a white face has one level."""
    return histogram_fill(channels.T) if channels.shape[1] >= _LEAST_PIXELS else 1.0


def _noise(gray: np.ndarray, inside: np.ndarray) -> float:
    # Over small blocks, of which the smoothest tenth counts.
    power = cv2.boxFilter(second_differences(gray) ** 2 / 36, -1, (7, 7))[::3, ::3]
    core = cv2.erode(inside.astype(np.uint8), np.ones((9, 9), np.uint8), borderValue=0)[::3, ::3] > 0
    if core.sum() < 10:
        return 0.0
    return float(np.sqrt(max(0.0, np.quantile(power[core], 0.1))))  # running sums end a little below 0


_FINE, _COARSE = 1.0, 2.0  # sigma of the further blurs under which gradients are compared, in pixels
_STEEP = 0.3  # levels a pixel: what is weaker is no edge
_MOST_BLUR = 20.0  # that can be told
_SHARP = 0.5  # pixels: what has edges across the trail alone is blurred by more, as a rule


def _blur(gray: np.ndarray, inside: np.ndarray) -> float:
    """How blurred the sharpest edges are."""
    core = cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0) > 0
    fine, coarse = _gradients(gray, _FINE, core), _gradients(gray, _COARSE, core)
    if len(coarse) == 0 or (steepest := float(np.quantile(coarse, 0.9))) < _STEEP:
        return _MOST_BLUR
    strong = coarse >= steepest
    return _sigma(float(np.quantile(fine[strong] / coarse[strong], 0.9)))


def _gradients(gray: np.ndarray, sigma: float, where: np.ndarray) -> np.ndarray:
    """Return the lengths of the gradients of a blurred image."""
    smooth = cv2.GaussianBlur(gray, (0, 0), sigma)
    x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8)[where]
    y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8)[where]
    return np.hypot(x, y)


def _sigma(ratio: float) -> float:
    """Return the blur of a step whose gradient is larger by a ratio under the finer of the two further blurs."""
    if ratio <= 1.001:
        return _MOST_BLUR
    return float(np.sqrt(max(0.0, (_COARSE**2 - (ratio * _FINE) ** 2) / (ratio**2 - 1))).clip(0, _MOST_BLUR))


def _screen(gray: np.ndarray, inside: np.ndarray) -> float:
    block = 64 if min(gray.shape) >= 160 else 32
    if min(gray.shape) < block:
        return 0.0
    hop = block // 2 if block == 64 else block // 4  # a small face has few blocks
    share = np.lib.stride_tricks.sliding_window_view(inside, (block, block))[::hop, ::hop].mean(axis=(2, 3))
    blocks = np.lib.stride_tricks.sliding_window_view(gray, (block, block))[::hop, ::hop]
    blocks = blocks[share >= min(0.85, share.max())]
    window, counts, around = _screen_plan(block)
    blocks = (blocks - blocks.mean(axis=(1, 2), keepdims=True)) * window
    # Mean of logarithms: a pattern is in all blocks, an edge in one.
    logs = np.log(np.square(np.abs(fft.fft2(blocks))) + 1.0).mean(axis=0)
    above = logs - ndimage.percentile_filter(logs, 75, footprint=around, mode="wrap")
    # Two bins: one alone may be chance. A frequency and its mirror image are one.
    return float(np.sort(above[counts])[-3])


@cache
def _screen_plan(block: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Window, of power 1; which frequencies count; the neighborhood of one."""
    hann = np.hanning(block + 2)[1:-1]
    window = np.outer(hann, hann).astype(np.float32)
    frequencies = np.fft.fftfreq(block)
    # JPEG's own grid lies at multiples of an eighth, on the axes.
    near = 1.01 / block
    eighths = np.abs((frequencies * 8 + 0.5) % 1 - 0.5) <= 8 * near
    axis = np.abs(frequencies) <= near
    counts = np.hypot(*np.meshgrid(frequencies, frequencies)) > 0.09
    counts &= ~(np.outer(axis, eighths) | np.outer(eighths, axis))
    around = np.ones((7, 7), bool)
    around[1:6, 1:6] = False  # what the window smears
    return window / np.sqrt(np.square(window).sum()), counts, around
