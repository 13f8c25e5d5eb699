"""Photos of any shape and any side up: detection costs what their pixels cost, and faces keep the photo's frame."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from celebahq_builder import dlib_faces
from celebahq_builder.config import BuildConfig
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.detections import Detection
from celebahq_builder.landmarks import Face, find_faces
from celebahq_builder.photos import decode_photo
from celebahq_builder.process_photo import Task, process_photo
from celebahq_builder.sources.listing import file_stamp

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "in-the-wild"
FACE = decode_photo((EXAMPLES / "astronaut.png").read_bytes())[30:230, 120:320]


def points(pixels: np.ndarray, **options) -> Face:
    (found,) = find_faces(pixels, **options)
    assert isinstance(found, Face), found
    return found


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b, axis=1).max() / np.linalg.norm(a[1] - a[0]))


@pytest.mark.parametrize("size", [(30, 30_000), (30_000, 30), (11, 60_000), (300, 20_000), (900, 700), (2000, 8000)])
def test_pixels_that_the_detector_sees_are_bounded_by_those_of_the_photo(size, monkeypatch):
    seen = []

    def nothing(pixels, detector):
        seen.append(pixels.shape[0] * pixels.shape[1])
        return iter(())

    monkeypatch.setattr(dlib_faces, "_boxes", nothing)
    with pytest.raises(UnusablePhotoError, match="no face found"):
        find_faces(np.zeros((*size, 3), np.uint8))
    scaled = size[0] * size[1] * min(4.0, 4e6 / (size[0] * size[1]))
    assert max(seen) <= 3 * scaled + 400_000
    # Six looks: four without a canvas, and two that are turned by an angle. Where they were too coarse for the smallest
    # face, one at the scale that it needs, and at its half, quarter ..., in windows that share a sixth of their sides.
    finer = size[0] * size[1] * min(4.0, 2e8 / (size[0] * size[1]))
    assert sum(seen) <= (4 + 2 * 12) * scaled + (2.2 * finer if finer > scaled else 0)


@pytest.mark.parametrize("size", [(1, 30_000), (9, 500)])
def test_photos_too_thin_for_a_face_are_not_searched(size, monkeypatch):
    monkeypatch.setattr(dlib_faces, "_boxes", lambda *_: pytest.fail("searched"))
    with pytest.raises(UnusablePhotoError, match="too thin for one"):
        find_faces(np.zeros((*size, 3), np.uint8))


@pytest.mark.parametrize("at", [333, 1400])
def test_a_tilted_face_in_a_banner_is_found_once_wherever_it_lies(at):
    face = Image.fromarray(FACE).rotate(-38, Image.Resampling.BICUBIC)
    banner = np.full((200, 1600, 3), 128, np.uint8)
    banner[:, at : at + 200] = np.asarray(face)
    (found,) = find_faces(banner, faces="all")
    assert isinstance(found, Face) and found.turned == 0
    alone = points(np.asarray(face))
    assert distance(found.landmarks, np.add(alone.landmarks, [at, 0])) < 0.08


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_face_in_a_photo_on_its_side_is_found_in_the_frame_of_the_photo(quarters):
    upright = points(FACE).landmarks
    found = points(np.ascontiguousarray(np.rot90(FACE, -quarters)))
    assert found.turned % 360 == 90 * quarters
    height, width = FACE.shape[:2]
    x, y = upright.T
    expected = {
        1: np.stack([height - 1 - y, x], 1),
        2: np.stack([width - 1 - x, height - 1 - y], 1),
        3: np.stack([y, width - 1 - x], 1),
    }[quarters]
    assert distance(found.landmarks, expected) < 0.06


def test_the_row_says_that_the_photo_lies_on_its_side_and_the_face_stands_upright(tmp_path):
    for name, pixels in (("side.png", np.rot90(FACE, -1)), ("upright.png", FACE)):
        Image.fromarray(np.ascontiguousarray(pixels)).save(tmp_path / name)
    config = BuildConfig(input=tmp_path, resolution=64, restore="off")
    results = {}
    for name in ("side.png", "upright.png"):
        task = Task(name, config, None)
        results[name] = process_photo(task, file_stamp(tmp_path, name), (tmp_path / name).read_bytes())
    (side,), (upright,) = results["side.png"].rows, results["upright.png"].rows
    assert side.status == "aligned"
    assert side.detail == "the photo lies on its side: found after 90 degrees to the left" and upright.detail == ""
    quad = np.array(side.quad)
    assert quad[3, 1] > quad[0, 1] + 0.9 * np.hypot(*(quad[3] - quad[0]))  # its top edge runs down the stored photo
    from celebahq_builder.state.waiting_faces import decode_face

    faces = [decode_face(results[name].faces[0]).astype(int) for name in results]
    assert np.abs(faces[0] - faces[1]).mean() < 12  # both heads up


def test_nothing_is_turned_where_a_face_was_seen_upright(monkeypatch):
    turns = []
    detect = dlib_faces.detect

    def recording(image, scale, degrees, detector):
        turns.append(degrees)
        return detect(image, scale, degrees, detector)

    monkeypatch.setattr("celebahq_builder.landmarks.detect", recording)
    (refused,) = find_faces(FACE, min_face=60)
    assert isinstance(refused, UnusablePhotoError) and refused.reason == "face too small"
    assert turns == [0, 35, -35]


@pytest.mark.parametrize(("three", "usable"), [(0.09, True), (0.13, False)])
def test_one_reading_astray_does_not_cost_a_face_that_the_others_agree_on(three, usable, monkeypatch):
    detection = Detection(np.array([100.0, 100.0]), 90.0, 0.0, 1.0)
    right = np.array([(80, 90), (120, 90), (100, 110), (84, 132), (116, 132)], np.float32)

    def five_points(image, found, but_one=False):
        return (right, three) if but_one else (right + 9, 0.2)

    monkeypatch.setattr("celebahq_builder.landmarks.detect", lambda *_: [detection])
    monkeypatch.setattr("celebahq_builder.landmarks.five_points", five_points)
    (found,) = find_faces(np.zeros((200, 200, 3), np.uint8))
    if usable:
        np.testing.assert_array_equal(found.landmarks, right)
    else:
        assert isinstance(found, UnusablePhotoError) and found.reason == "uncertain landmarks"
        assert found.detail == "three of four readings differ by 0.13 eye distances, at most 0.12 is expected"


def test_the_reading_that_is_left_out_is_the_one_astray(monkeypatch):
    import dlib

    right = np.full((68, 2), 256.0)
    right[36:42], right[42:48], right[30], right[48], right[54] = (
        (200, 230),
        (310, 230),
        (255, 280),
        (215, 330),
        (295, 330),
    )
    mirror = right * [-1, 1] + [511, 0]
    mirror[[*range(36, 42), *range(42, 48)]] = mirror[[*range(42, 48), *range(36, 42)]]
    mirror[[48, 54]] = mirror[[54, 48]]
    calls = []

    def predictor(pixels, box):
        calls.append(box)
        astray = [0, 30] if len(calls) % 8 == 7 else [0, 0]  # the third of the last four
        left_out = (512 - pixels.shape[1]) / 2  # on each side of the square
        points = (mirror if len(calls) % 2 == 0 else right) + astray - left_out
        return dlib.full_object_detection(box, dlib.points([dlib.point(int(x), int(y)) for x, y in points]))

    monkeypatch.setattr(dlib_faces, "_predictor", lambda: predictor)
    found = Detection(np.array([256.0, 256.0]), 256.0, 0.0, 1.0)
    image = Image.new("RGB", (512, 512))
    _, spread = dlib_faces.five_points(image, found)
    calls.clear()
    _, but_one = dlib_faces.five_points(image, found, but_one=True)
    assert spread > 0.15 and but_one < 0.02


def test_real_frontal_portraits_with_one_reading_astray_are_used_and_a_wrong_face_is_not(real_data):
    for name in ("fddb__001243.jpg", "fddb__001853.jpg"):
        found = find_faces(decode_photo((real_data / "in_the_wild" / name).read_bytes()), faces="all")
        assert not any(isinstance(one, UnusablePhotoError) and one.reason == "uncertain landmarks" for one in found), (
            name
        )
    found = find_faces(decode_photo((real_data / "in_the_wild" / "fddb__001126.jpg").read_bytes()), faces="all")
    assert any(isinstance(one, UnusablePhotoError) and one.reason == "uncertain landmarks" for one in found)
