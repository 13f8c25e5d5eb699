"""Small faces of large photos, and CenterFace where dlib finds none: a second look adds faces and changes none."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from celebahq_builder import centerface, dlib_faces
from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.detections import Detection
from celebahq_builder.landmarks import Face, find_faces
from celebahq_builder.photos import decode_photo
from celebahq_builder.process_photo import Task, process_photo
from celebahq_builder.sources.listing import file_stamp

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "in-the-wild"


def photo(name: str = "astronaut.png") -> np.ndarray:
    return decode_photo((EXAMPLES / name).read_bytes())


def usable(pixels: np.ndarray, **options) -> list[Face]:
    return [one for one in find_faces(pixels, **options) if isinstance(one, Face)]


@pytest.fixture
def small_first_look(monkeypatch):
    """A first look at a tenth of the pixels, so that a photo that is quick to look at is as one of 12 megapixels."""
    monkeypatch.setattr("celebahq_builder.landmarks._MAX_DETECTION_PX", {"hog": 4e5})


def crowd(large: bool) -> np.ndarray:
    """A face whose eyes are 26 px apart, and one of 84 px where `large`."""
    pixels = np.full((800, 1000, 3), 128, np.uint8)
    pixels[450:757, 640:947] = np.asarray(Image.fromarray(photo()).resize((307, 307), Image.Resampling.BOX))
    if large:
        pixels[100:700, 20:532] = photo("grace_hopper.jpg")
    return pixels


@pytest.mark.parametrize("detector", ["hog", "centerface"])
def test_a_small_face_of_a_large_photo_is_found_where_it_is_the_only_one(detector, small_first_look, monkeypatch):
    (found,) = usable(crowd(large=False), detector=detector)
    eyes = (usable(photo())[0].landmarks[:2] + 0.5) * 307 / 512 + np.array([639.5, 449.5])
    assert np.abs(found.landmarks[:2] - eyes).max() < 2
    if detector == "hog":
        monkeypatch.setattr("celebahq_builder.landmarks.detect_finer", lambda *_: [])
        with pytest.raises(UnusablePhotoError, match="no face found"):
            find_faces(crowd(large=False))


def test_of_all_faces_the_small_one_comes_as_well_and_the_large_one_is_untouched(small_first_look, monkeypatch):
    pixels = crowd(large=True)
    first, second = usable(pixels, faces="all")
    assert second.landmarks[0, 0] > 640
    (center,) = usable(pixels, faces="center")
    (largest,) = usable(pixels)
    monkeypatch.setattr("celebahq_builder.landmarks.detect_finer", lambda *_: [])
    (coarse,) = usable(pixels, faces="all")
    for face in (first, center, largest):
        np.testing.assert_array_equal(face.landmarks, coarse.landmarks)
        assert face.box == coarse.box


def test_windows_of_the_finer_look_cover_the_photo_and_none_is_large(monkeypatch):
    seen = np.zeros((3000, 5000), np.uint8)

    def detect(image, scale, degrees, detector):
        assert (image.width * scale) * (image.height * scale) <= 1610**2
        return []

    class Photo:
        width, height = 5000, 3000

        def crop(self, box):
            seen[box[1] : box[3], box[0] : box[2]] = 1
            return Image.new("1", (box[2] - box[0], box[3] - box[1]))

    monkeypatch.setattr(dlib_faces, "detect", detect)
    assert dlib_faces.detect_finer(Photo(), 0.5, 2.0) == []
    assert seen.all()


@pytest.mark.parametrize("faces", ["largest", "all", "center"])
def test_faces_that_dlib_decided_stay_pixel_for_pixel(faces, tmp_path, monkeypatch):
    if faces == "largest":
        monkeypatch.setattr(centerface, "detect", lambda *_: pytest.fail("looked at by CenterFace"))
    Image.fromarray(photo()).save(tmp_path / "a.png")
    results = []
    for detector in ("hog", "auto"):
        config = BuildConfig(input=tmp_path, resolution=64, restore="off", detector=detector, faces=faces)
        task = Task("a.png", config, None)
        results.append(process_photo(task, file_stamp(tmp_path, "a.png"), (tmp_path / "a.png").read_bytes()))
    assert results[0] == results[1] and results[0].faces


def test_auto_adds_to_all_faces_those_that_dlib_does_not_see(monkeypatch):
    pixels = crowd(large=True)
    hopper, collins = usable(pixels, faces="all")
    boxes = dlib_faces._boxes
    monkeypatch.setattr(dlib_faces, "_boxes", lambda *args: (box for box in boxes(*args) if box[2] - box[0] > 180))
    (alone,) = usable(pixels, faces="all")
    first, second = usable(pixels, faces="all", detector="auto")
    np.testing.assert_array_equal(first.landmarks, alone.landmarks)
    np.testing.assert_array_equal(first.landmarks, hopper.landmarks)
    assert (first.found_by, second.found_by) == ("dlib", "centerface")
    assert np.abs(second.landmarks - collins.landmarks).max() < 0.04 * 26


@pytest.mark.parametrize(("moved", "reason"), [(0.5, "uncertain landmarks"), (0.2, None)])
def test_two_detectors_have_to_agree_on_a_face_that_only_one_found(moved, reason, monkeypatch):
    points = np.array([(80, 90), (120, 90), (100, 110), (84, 132), (116, 132)], float)
    found_by_centerface(monkeypatch, points)
    placed = np.add(points, [[0, 0], [0, 0], [0, 0], [0, 0], [0, 40 * moved]])
    monkeypatch.setattr("celebahq_builder.landmarks.five_points", lambda *_: (placed.astype(np.float32), 0.02))
    (one,) = find_faces(np.zeros((200, 200, 3), np.uint8), detector="auto")
    assert (one.reason if isinstance(one, UnusablePhotoError) else None) == reason


def test_a_profile_is_refused_by_centerface_s_own_points_for_which_dlib_invents_a_far_side(monkeypatch):
    found_by_centerface(monkeypatch, np.array([(80, 90), (95, 90), (75, 110), (84, 132), (95, 132)], float))
    monkeypatch.setattr("celebahq_builder.landmarks.five_points", lambda *_: pytest.fail("asked dlib"))
    (one,) = find_faces(np.zeros((200, 200, 3), np.uint8), detector="auto")
    assert isinstance(one, UnusablePhotoError) and one.reason == "profile"
    assert one.face.found_by == "centerface"


def nobody(monkeypatch):
    monkeypatch.setattr(dlib_faces, "_boxes", lambda *_: iter(()))


def found_by_centerface(monkeypatch, points: np.ndarray, score: float = 0.9) -> None:
    """A photo in which CenterFace alone sees a face, at these points."""
    nobody(monkeypatch)
    found = Detection(np.array([100.0, 100.0]), 90.0, 0.0, score, points + 0.5)
    monkeypatch.setattr(centerface, "detect", lambda *_: [found])
    monkeypatch.setattr(centerface, "five_points", lambda *_: (points.astype(np.float32), 0.02))


def test_auto_finds_by_centerface_what_dlib_does_not_and_dlib_places_the_points(monkeypatch):
    by_hog = usable(photo())[0]
    nobody(monkeypatch)
    (found,) = usable(photo(), detector="auto")
    assert found.found_by == "centerface" and by_hog.found_by == "dlib"
    assert np.abs(found.landmarks - by_hog.landmarks).max() < 0.04 * 43
    with pytest.raises(UnusablePhotoError, match="no face found"):
        find_faces(photo(), detector="hog")


def test_a_row_says_which_network_found_its_face(tmp_path, monkeypatch):
    Image.fromarray(photo()).save(tmp_path / "a.png")
    config = BuildConfig(input=tmp_path, resolution=64, restore="off")
    said = []
    for _ in range(2):
        result = process_photo(
            Task("a.png", config, None), file_stamp(tmp_path, "a.png"), (tmp_path / "a.png").read_bytes()
        )
        said.append([row.detail for row in result.rows])
        nobody(monkeypatch)
    assert said == [[""], ["found by CenterFace"]]


def test_auto_keeps_dlib_s_reason_where_centerface_finds_nothing_either(monkeypatch):
    monkeypatch.setattr(centerface, "detect", lambda *_: [])
    (refused,) = find_faces(photo(), detector="auto", min_face=60)
    assert isinstance(refused, UnusablePhotoError) and refused.reason == "face too small"


def test_a_face_that_centerface_is_not_sure_of_needs_readings_that_agree(monkeypatch):
    points = np.array([(80, 90), (120, 90), (100, 110), (84, 132), (116, 132)], float)
    for score, spread, kept in ((0.9, 0.1, True), (0.4, 0.1, False), (0.4, 0.04, True)):
        found_by_centerface(monkeypatch, points, score)
        monkeypatch.setattr(
            "celebahq_builder.landmarks.five_points", lambda *_, spread=spread: (points.astype(np.float32), spread)
        )
        try:
            faces = usable(np.zeros((200, 200, 3), np.uint8), detector="centerface")
        except UnusablePhotoError:
            faces = []
        assert bool(faces) == kept


@pytest.mark.parametrize("detector", ["hog", "cnn", "auto"])
def test_points_of_a_detector_that_has_none_are_refused_in_a_line(detector, tmp_path):
    with pytest.raises(BuildError, match=f"--landmarks-from: got detector with --detector {detector}, expected dlib68"):
        BuildConfig(input=tmp_path, detector=detector, landmarks_from="detector")


def test_options_of_before_are_those_of_builds_of_before(tmp_path):
    assert "landmarks_from" not in BuildConfig(input=tmp_path).face_options()
    own = BuildConfig(input=tmp_path, detector="centerface", landmarks_from="detector")
    assert own.face_options()["landmarks_from"] == "detector"
