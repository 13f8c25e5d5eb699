"""The thresholds that a face must pass, --min-face, --max-padding and --max-invented, and the numbers they look at."""

from typing import TYPE_CHECKING, Any

import numpy as np

from celebahq_builder.config import BuildConfig
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.state.manifest import Row

if TYPE_CHECKING:
    from celebahq_builder.landmarks import Face

MAY_BE_INCLUDED = (
    *("face too small", "cut by the edge of the photo", "too much padding"),
    *("profile", "uncertain landmarks"),
)
"""Reasons that --include overrides: of faces whose landmarks are known, and which can be cropped by them."""

Points = tuple[tuple[float, float], ...]


class Thresholds:
    """Checks the faces of one photo and counts those that it refuses.

    Args:
        size: (width, height) of the photo.
    """

    def __init__(self, config: BuildConfig, size: tuple[int, int]) -> None:
        self._config = config
        self._size = size
        self.num_refused = 0
        """Faces so far; other thresholds may choose another face of this photo where it is not 0."""
        self._quads: dict[bytes, np.ndarray] = {}

    def check(self, landmarks: np.ndarray) -> None:
        """Check one face.

        Args:
            landmarks: (5, 2) float, pixels of the photo.

        Raises:
            UnusablePhotoError: "face too small", "cut by the edge of the photo" or "too much padding".
        """
        from celebahq_builder.coverage import check_coverage
        from celebahq_builder.landmarks import check_size

        config = self._config
        try:
            check_size(landmarks, config.min_face)
            check_coverage(self._quad(landmarks), self._size, config.max_padding, config.invented_limit)
        except UnusablePhotoError:
            self.num_refused += 1
            raise

    def facts(self, face: "Face | None") -> dict[str, Any]:
        """Return what a row says of a face, used or not: landmarks, quad, scale, padding, invented, turned."""
        from celebahq_builder.coverage import coverage

        if face is None or not np.isfinite(face.landmarks).all():
            return {}
        facts: dict[str, Any] = {"landmarks": _points(face.landmarks), "turned": face.turned % 360}
        try:
            quad = self._quad(face.landmarks)
        except ValueError:  # all points in one place
            return facts
        scale = float(np.hypot(*(quad[3] - quad[0]))) / self._config.resolution
        shown = coverage(quad, self._size)
        return facts | {"quad": _points(quad), "scale": scale, "padding": shown.padding, "invented": shown.invented}

    def _quad(self, landmarks: np.ndarray) -> np.ndarray:
        from celebahq_builder.align import face_quad

        key = landmarks.tobytes()
        if key not in self._quads:
            self._quads[key] = face_quad(landmarks, self._config.geometry)
        return self._quads[key]


def fulfils(row: Row, config: BuildConfig) -> bool:
    """Say whether an aligned face passes the thresholds, by the numbers in its row."""
    from celebahq_builder.landmarks import eye_distance

    if row.padding is None or row.invented is None or row.landmarks is None:
        return False
    large = eye_distance(np.array(row.landmarks)) >= config.min_face
    return large and row.padding <= config.max_padding and row.invented <= config.invented_limit


def _points(points: np.ndarray) -> Points:
    return tuple((float(x), float(y)) for x, y in points)
