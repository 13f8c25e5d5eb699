"""Whether a face moved: the trail of a straight motion leaves zeros in the spectrum, which softness does not.

A trail of length L along a direction multiplies the spectrum by sinc(L f), f the frequency along it: dark stripes
across the direction, 1/L apart. The falling of the spectrum, whatever blurs alike in all directions, and what differs
smoothly from one direction to the other (brows and mouth lie across, a lens may blur more across than along) are taken
off; what is left is compared with the stripes of each length and direction.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import fft

LENGTHS = 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 18, 20
"""Pixels. The shortest are there to be told from: softness resembles them."""
_SHORTEST = 6
_ANGLES = 12  # over 180 degrees
_DEPTH = 0.03  # of the stripes: noise and curved paths fill them
_LEAST_SHARE = 0.25  # of what is left that stripes explain
_STRENGTH = 0.3, 1.3  # of stripes of this depth: others are chance
_LEAST_BINS = 80
_CLEAR = 2.0  # natural logarithm of power above the floor of noise from which a frequency counts in full
_FAINT = 0.3  # of power: of rounding; of a frequency's weight
_BLOCK, _HOP = 64, 16
_LEAST_SIDE = 80  # of an oval: in smaller ones chance looks like stripes


def motion_trail(gray: np.ndarray, inside: np.ndarray) -> float:
    """Return the length of the trail that motion left, in pixels.

    Args:
        gray: (H, W) float32, 0 to 255.
        inside: (H, W) bool, what of it is the face.

    Returns:
        One of LENGTHS; 0 where no trail of 6 pixels or more is seen, or fewer than 80 x 80 pixels are there.
    """
    if min(gray.shape) < _LEAST_SIDE:
        return 0.0
    plan = _plan()
    windows = np.lib.stride_tricks.sliding_window_view
    share = windows(inside, (_BLOCK, _BLOCK))[::_HOP, ::_HOP].mean(axis=(2, 3))
    blocks = windows(gray, (_BLOCK, _BLOCK))[::_HOP, ::_HOP][share >= min(0.85, share.max())]
    blocks = (blocks - blocks.mean(axis=(1, 2), keepdims=True)) * plan.window
    power = np.square(np.abs(fft.fft2(blocks))).reshape(len(blocks), -1)[:, plan.bins]
    # Mean of logarithms: the stripes are in all blocks, an edge in one.
    logs = np.log(power + _FAINT).mean(axis=0)

    floor = np.median(logs[plan.high])
    fitted = plan.rings @ (plan.rings.T @ logs / plan.rings.sum(axis=0))
    for _ in range(2):  # what falls below the floor in one direction does so there alone
        weight = np.clip((fitted - floor) / _CLEAR, 0, 1)
        if (weight > _FAINT).sum() < _LEAST_BINS:
            return 0.0
        root = np.sqrt(weight)[:, None]
        smooth = np.hstack([plan.rings[:, plan.rings.T @ weight > 1e-3], plan.directions])
        base, triangle = np.linalg.qr(smooth * root)
        left = logs * root[:, 0]
        fitted = np.where(weight > 0, smooth @ np.linalg.lstsq(triangle, base.T @ left, rcond=None)[0], fitted)
    left = left - base @ (base.T @ left)
    stripes = plan.stripes * root
    stripes = stripes - base @ (base.T @ stripes)
    own, along = np.square(stripes).sum(axis=0), stripes.T @ left
    strength = np.zeros_like(own)
    np.divide(along, own, out=strength, where=own > 1e-3 * len(logs))
    best = int((strength * np.maximum(along, 0)).argmax())
    explained = strength[best] * along[best] / max(float(left @ left), 1e-9)
    length = float(plan.lengths[best])
    is_seen = explained >= _LEAST_SHARE and _STRENGTH[0] <= strength[best] <= _STRENGTH[1]
    return length if is_seen and length >= _SHORTEST else 0.0


class _Plan(NamedTuple):
    """What is the same for all faces; B frequencies of half a plane."""

    window: np.ndarray
    """(64, 64), of power 1."""
    bins: np.ndarray
    """(B,) which frequencies of a block count."""
    high: np.ndarray
    """(B,) bool, the highest."""
    rings: np.ndarray
    """(B, R) 1 where a frequency lies in a ring."""
    directions: np.ndarray
    """(B, D) what differs smoothly between directions."""
    stripes: np.ndarray
    """(B, T) logarithm of power of each trail."""
    lengths: np.ndarray
    """(T,) of the trails."""


@cache
def _plan() -> _Plan:
    hann = np.hanning(_BLOCK + 2)[1:-1]
    window = np.outer(hann, hann).astype(np.float32)
    f = np.fft.fftfreq(_BLOCK)
    y, x = np.meshgrid(f, f, indexing="ij")
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    # JPEG's own grid lies at multiples of an eighth, on the axes.
    near = 1.01 / _BLOCK
    eighths, axis = np.abs((f * 8 + 0.5) % 1 - 0.5) <= 8 * near, np.abs(f) <= near
    counts = (radius >= 1.9 / _BLOCK) & (radius < 0.47) & ((y > 0) | ((y == 0) & (x > 0)))
    counts &= ~(np.outer(axis, eighths) | np.outer(eighths, axis))
    x, y, radius, angle = x[counts], y[counts], radius[counts], angle[counts]
    ring = np.round(radius * _BLOCK / 1.25)
    turns = [turn(times * angle) for times in (2, 4) for turn in (np.cos, np.sin)]
    directions = [turn * radius**power for turn in turns for power in (0, 1, 2)]
    along = [np.cos(a) * x + np.sin(a) * y for a in np.arange(_ANGLES) * np.pi / _ANGLES]
    stripes = [np.log(np.square(np.sinc(length * f)) + _DEPTH) for length in LENGTHS for f in along]
    return _Plan(
        window=window / np.sqrt(np.square(window).sum()),
        bins=np.flatnonzero(counts),
        high=radius > 0.42,
        rings=(ring[:, None] == np.unique(ring)).astype(np.float32),
        directions=np.stack(directions, axis=1).astype(np.float32),
        stripes=np.stack(stripes, axis=1).astype(np.float32),
        lengths=np.repeat(LENGTHS, _ANGLES),
    )
