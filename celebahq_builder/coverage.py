"""How much of a crop, and of the face in it, the photo shows: what lies beyond its edge is mirrored, invented."""

from functools import cache
from typing import NamedTuple

import numpy as np

from celebahq_builder.decoding.unusable_photo import UnusablePhotoError, found_beside

_GRID = 128
OVAL_CENTRE, OVAL_RADII = (0.5, 0.645), (0.215, 0.265)
"""In crops of side 1: from above the brows to below the chin, cheek to cheek, without ears and hair."""


class Coverage(NamedTuple):
    """What of a crop lies outside its photo, 0 to 1."""

    padding: float
    """Of the whole crop."""
    invented: float
    """Of the face: of a fixed oval around eyes, nose, mouth and chin."""


def coverage(quad: np.ndarray, size: tuple[int, int]) -> Coverage:
    """Measure one crop.

    Args:
        quad: (4, 2) corners in pixels of the photo, as `face_quad` returns them.
        size: (width, height) of the photo.
    """
    outside = ~inside_photo(quad, size, _GRID)
    return Coverage(float(outside.mean()), float(outside[_oval(_GRID)].mean()))


def check_coverage(quad: np.ndarray, size: tuple[int, int], max_padding: float, max_invented: float) -> Coverage:
    """Measure a crop, and refuse a face of which the photo does not show enough.

    Raises:
        UnusablePhotoError: "cut by the edge of the photo", or "too much padding" where only background is missing.
    """
    padding, invented = shown = coverage(quad, size)
    of_face, of_crop = found_beside(max_invented, invented, 1, "%"), found_beside(max_padding, padding, 0, "%")
    found = f"{of_face} of the face and {of_crop} of the crop lie outside the photo"
    if invented > max_invented:
        most = found_beside(invented, max_invented, 1, "%")
        raise UnusablePhotoError("cut by the edge of the photo", f"{found}; of the face at most {most} may")
    if padding > max_padding:
        most = found_beside(padding, max_padding, 0, "%")
        raise UnusablePhotoError("too much padding", f"{found}; of the crop at most {most} may")
    return shown


def inside_photo(quad: np.ndarray, size: tuple[int, int], resolution: int) -> np.ndarray:
    """Which pixels of a crop the photo shows, by their centres: (resolution, resolution) bool.

    Args:
        quad, size: as for `coverage`.
    """
    corners = np.asarray(quad, np.float64)
    steps = (np.arange(resolution) + 0.5) / resolution
    right, down = corners[3] - corners[0], corners[1] - corners[0]
    shown = np.ones((resolution, resolution), bool)
    for axis in (0, 1):
        across, along = corners[0, axis] + steps * right[axis], steps * down[axis]
        ends = np.add.outer(along[[0, -1]], across[[0, -1]])  # rows and columns rise or fall: the extremes are here
        below, beyond = not ends.min() >= 0, not ends.max() <= size[axis]
        if below or beyond:
            at = np.add.outer(along, across)
            if below:
                shown &= at >= 0
            if beyond:
                shown &= at <= size[axis]
    return shown


@cache
def _oval(resolution: int) -> np.ndarray:
    at = (np.arange(resolution) + 0.5) / resolution
    x, y = ((at - centre) / radius for centre, radius in zip(OVAL_CENTRE, OVAL_RADII, strict=True))
    return np.add.outer(y * y, x * x) <= 1
