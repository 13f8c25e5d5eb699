"""Which way up a face is: a detector that is not sure of it is not believed against CenterFace."""

from pathlib import Path

import numpy as np
import pytest

from celebahq_builder import centerface, landmarks
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.detections import Detection
from celebahq_builder.landmarks import Face, find_faces
from celebahq_builder.photos import decode_photo

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "in-the-wild"
FACE = decode_photo((EXAMPLES / "astronaut.png").read_bytes())[30:230, 120:320]
UPSIDE_DOWN = np.ascontiguousarray(FACE[::-1, ::-1])


def points(pixels: np.ndarray, **options) -> Face:
    (found,) = find_faces(pixels, **options)
    assert isinstance(found, Face), found
    return found


def other_way_up(five: np.ndarray) -> np.ndarray:
    """The same face read upside down: eyes where the mouth is."""
    middle = (five[:2].mean(0) + five[3:].mean(0)) / 2
    return (2 * middle - five).astype(np.float32)


def seen_by_dlib(monkeypatch, degrees: int, score: float, five: np.ndarray) -> None:
    """In the photo turned by `degrees` dlib has one detection, with these points; otherwise it sees what it sees."""
    detect, read = landmarks.detect, landmarks.five_points
    one = Detection(five.mean(0) + 0.5, 90.0, degrees, score)
    monkeypatch.setattr(landmarks, "detect", lambda *args: [one] if args[2] == degrees else detect(*args))
    monkeypatch.setattr(landmarks, "five_points", lambda *args: (five, 0.01) if args[1] is one else read(*args))


@pytest.mark.parametrize("quarters", range(4))
def test_centerface_tells_the_way_up_of_points_from_another(quarters):
    turned = np.ascontiguousarray(np.rot90(FACE, quarters))
    right = points(turned).landmarks
    same, other = centerface.way_up(turned, right)
    assert same > 0.8 and other < same - 0.3
    assert centerface.way_up(turned, other_way_up(right))[1] > 0.8


@pytest.mark.parametrize("score", [0.4, -0.1])
def test_a_face_upside_down_that_hog_takes_for_upright_is_turned(score, monkeypatch):
    expected = points(UPSIDE_DOWN).landmarks
    seen_by_dlib(monkeypatch, 0, score, other_way_up(expected))
    assert np.abs(points(UPSIDE_DOWN, detector="hog").landmarks - other_way_up(expected)).max() == 0
    found = points(UPSIDE_DOWN, detector="auto")
    assert found.turned == 180
    np.testing.assert_array_equal(found.landmarks, expected)


def test_an_upright_face_that_hog_sees_upside_down_alone_is_found_upright_by_centerface(monkeypatch):
    upright = points(FACE).landmarks
    monkeypatch.setattr(landmarks, "detect", lambda *_: [])
    seen_by_dlib(monkeypatch, 180, 0.5, other_way_up(upright))
    found = points(FACE, detector="auto")
    assert (found.turned, found.found_by) == (0, "centerface")
    assert np.abs(found.landmarks - upright).max() < 0.04 * 43


@pytest.mark.parametrize(
    ("degrees", "scores", "kept"),
    [
        (180, (0.67, 0.57), False),
        (180, (0.8, 0.6), True),
        (180, (0, 0), False),
        (0, (0.6, 0.57), True),
        (0, (0, 0), True),
    ],
)
def test_a_turned_face_has_to_win_by_a_margin_and_an_upright_one_not_to_lose(degrees, scores, kept, monkeypatch):
    upright = np.array([(80, 90), (120, 90), (100, 110), (84, 132), (116, 132)], np.float32)
    monkeypatch.setattr(landmarks, "detect", lambda *_: [])
    monkeypatch.setattr(centerface, "detect", lambda *_: [])
    seen_by_dlib(monkeypatch, degrees, 0.5, other_way_up(upright) if degrees else upright)
    monkeypatch.setattr(centerface, "way_up", lambda *_: scores)
    try:
        assert points(np.zeros((200, 200, 3), np.uint8), detector="auto").turned == degrees and kept
    except UnusablePhotoError as refusal:
        assert refusal.reason == "no face found" and not kept


def test_of_a_face_that_hog_clearly_sees_upright_nobody_is_asked(monkeypatch):
    monkeypatch.setattr(centerface, "way_up", lambda *_: pytest.fail("asked"))
    assert points(FACE, detector="auto").found_by == "dlib"


def test_a_head_on_its_side_that_is_found_in_a_turn_by_35_degrees_is_called_so(monkeypatch):
    turned = np.ascontiguousarray(np.rot90(FACE, -1))
    expected = points(turned).landmarks
    seen_by_dlib(monkeypatch, 35, 1.2, expected)
    assert points(turned, detector="auto").turned == 90
