"""What a detector says of a face, whichever it is: where it lies, how large it is, how the photo had to be turned."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Detection:
    """Where a detector saw something like a face.

    centre: (2,) float pixels (x, y) from the photo's corner (not from the middle of its first pixel).
    side: of the square box, in pixels of the photo.
    degrees: by which the photo had to be turned counter-clockwise to make it upright.
    score: the detector's confidence; dlib's own threshold is 0, CenterFace's runs from 0 to 1.
    points: (5, 2) float like centre, of a detector that gives some: eyes, nose, corners of the mouth.
    """

    centre: np.ndarray
    side: float
    degrees: float
    score: float
    points: np.ndarray | None = None


def inverse_rotation(degrees: float) -> np.ndarray:
    """Return the (2, 2) matrix from an image turned counter-clockwise to the original; x right, y down."""
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def without_repeats(found: list[Detection], apart: float = 0.5) -> list[Detection]:
    """Drop what was seen twice, in two windows say: of two faces nearer than `apart` sides the one of lower score."""
    kept: list[Detection] = []
    for face in sorted(found, key=lambda face: (-face.score, face.centre[1], face.centre[0])):
        if is_new(face, kept, apart):
            kept.append(face)
    return kept


def is_new(face: Detection, others: list[Detection], apart: float = 0.5) -> bool:
    """Whether no other detection is of the same face."""
    return all(np.linalg.norm(face.centre - other.centre) > apart * max(face.side, other.side) for other in others)


def largest_first(found: list[Detection]) -> list[Detection]:
    """Sort by size, then from top to bottom, then from left to right."""
    return sorted(found, key=lambda face: (-face.side, face.centre[1], face.centre[0]))


def box_around(points: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Return centre, side and turn of the box that the HOG detector would have found (median of 300 faces)."""
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    (ex, ey), (mx, my) = points[1] - points[0], mouth - eyes
    side = 2.44 * max(np.hypot(ex, ey), 0.9 * np.hypot(mx, my), 1.0)
    return eyes + 0.48 * (mouth - eyes), side, float(np.rad2deg(np.arctan2(ey - mx, ex + my)))


def mean_and_spread(readings: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the mean of (N, 5, 2) readings, and how far one of their points lies from it at most, in eye distances."""
    mean = np.mean(readings, axis=0)
    eye_distance = max(float(np.linalg.norm(mean[1] - mean[0])), 1.0)
    return mean, float(np.linalg.norm(readings - mean, axis=2).max()) / eye_distance
