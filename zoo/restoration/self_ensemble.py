"""Self-ensemble (x8): restore a photo as it lies and in its seven other positions, and average (EDSR, section 3.3)."""

from collections.abc import Callable

import numpy as np

Box = tuple[int, int, int, int]
"""(left, top, right, bottom), pixels."""


def self_ensemble(
    restore: Callable[[np.ndarray, Box | None], np.ndarray], photo: np.ndarray, part: Box | None = None
) -> np.ndarray:
    """Average what a function makes of a photo turned by 0, 90, 180 and 270 degrees, and of its mirror image so turned.

    Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", 2017. It takes eight times as long.
    The sum is one of whole numbers, and so exact: the result for a turned or mirrored photo is the turned or mirrored
    result, bit for bit.

    Args:
        restore: (h, w, 3) uint8, and the part of it that is wanted, to (s h, s w, 3) uint8, for any h and w; the same
            for the same photo.
        photo: (H, W, 3) uint8.
        part: what is wanted; None: all.

    Returns:
        (s H, s W, 3) uint8.
    """
    width = photo.shape[1]
    total: np.ndarray | None = None
    for mirrored in (False, True):
        given, wanted = photo, part
        if mirrored:
            given = photo[:, ::-1]
            wanted = part and (width - part[2], part[1], width - part[0], part[3])
        for quarters in range(4):
            made = np.rot90(restore(np.ascontiguousarray(given), wanted), -quarters)
            made = made[:, ::-1] if mirrored else made
            total = made.astype(np.uint16) if total is None else np.add(total, made, out=total)
            side = given.shape[1]
            given = np.rot90(given)
            wanted = wanted and (wanted[1], side - wanted[2], wanted[3], side - wanted[0])
    assert total is not None
    return ((total + 4) >> 3).astype(np.uint8)
