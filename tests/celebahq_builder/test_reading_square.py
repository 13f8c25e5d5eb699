"""Of the square in which dlib reads points the middle is made: the same bits, and all of it where points are near."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from celebahq_builder import dlib_faces
from celebahq_builder.detections import Detection
from celebahq_builder.dlib_faces import five_points
from celebahq_builder.photos import decode_photo

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "in-the-wild"
CENTRE, SIDE = np.array([223.0, 119.0]), 110.0  # of the astronaut's face


@pytest.fixture
def read(monkeypatch):
    """Reads a face, and tells how much of the square was left out, square by square."""
    readings = dlib_faces._readings
    made: list[tuple[int, bool]] = []

    def noting(crop, middle, degrees, shifts, unread):
        result = readings(crop, middle, degrees, shifts, unread)
        made.append((unread, result is not None))
        return result

    def read(degrees: float, away: float = 0.0, whole: bool = False):
        made.clear()
        with monkeypatch.context() as patch:
            patch.setattr(dlib_faces, "_readings", noting)
            if whole:
                patch.setattr(dlib_faces, "_UNREAD", 0)
            image = Image.fromarray(decode_photo((EXAMPLES / "astronaut.png").read_bytes()))
            found = Detection(CENTRE + away, SIDE, degrees, 1.0)
            return *five_points(image.rotate(-degrees, center=tuple(CENTRE)), found), list(made)

    return read


@pytest.mark.parametrize("degrees", [0, 23, -90])
def test_points_are_the_same_bits_though_most_of_the_square_was_not_made(degrees, read):
    points, spread, made = read(degrees)
    expected, expected_spread, _ = read(degrees, whole=True)
    assert made == [(dlib_faces._UNREAD, True)] * 3
    np.testing.assert_array_equal(points, expected)
    assert spread == expected_spread


def test_points_near_the_edge_of_the_middle_are_read_in_the_whole_square(read, monkeypatch):
    monkeypatch.setattr(dlib_faces, "_NEAR", 75)
    points, spread, made = read(11)
    expected, expected_spread, _ = read(11, whole=True)
    assert (64, False) in made and (0, True) in made
    np.testing.assert_array_equal(points, expected)
    assert spread == expected_spread
