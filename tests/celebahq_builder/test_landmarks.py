"""Five points a face: where they lie and whose they are."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.landmarks import Face, find_faces
from celebahq_builder.photos import decode_photo

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "in-the-wild"
PHOTOS = sorted(path.name for path in EXAMPLES.iterdir() if path.suffix != ".md")


def photo(name: str = "astronaut.png") -> np.ndarray:
    return decode_photo((EXAMPLES / name).read_bytes())


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """The largest distance of two sets of points, in distances between the eyes."""
    return float(np.linalg.norm(a - b, axis=1).max() / np.linalg.norm(a[1] - a[0]))


def face(pixels: np.ndarray, **options) -> Face:
    (found,) = find_faces(pixels, **options)
    assert isinstance(found, Face), found
    return found


@pytest.mark.parametrize("name", PHOTOS)
def test_every_example_has_a_face_where_plain_dlib_sees_it(name):
    import dlib

    from celebahq_builder.dlib_faces import _model

    pixels = photo(name)
    box = max(dlib.get_frontal_face_detector()(pixels), key=lambda box: box.area())
    parts = dlib.shape_predictor(str(_model("shape_predictor_68_face_landmarks.dat")))(pixels, box).parts()
    p = np.array([(part.x, part.y) for part in parts])
    expected = np.stack([p[36:42].mean(0), p[42:48].mean(0), p[30], p[48], p[54]])
    found = face(pixels)
    assert found.landmarks.dtype == np.float32 and found.landmarks.shape == (5, 2)
    assert distance(found.landmarks, expected) < 0.12
    assert np.abs(np.array(found.box) - [box.left(), box.top(), box.right(), box.bottom()]).max() < 0.2 * box.width()


def test_points_lie_where_celeba_aligned_them(real_data):
    # The aligned images have their eyes at (69, 111) and (108, 111), by people's landmarks. Some are profiles.
    paths = sorted((real_data / "celeba_aligned").glob("*.jpg"))[::10]
    found = []
    for path in paths:
        try:
            found += [one.landmarks for one in find_faces(decode_photo(path.read_bytes())) if isinstance(one, Face)]
        except UnusablePhotoError as refused:
            assert refused.reason == "no face found"
    assert len(found) >= 0.9 * len(paths)
    eyes = np.array(found)[:, :2]
    np.testing.assert_allclose(np.median(eyes, axis=0), [(69, 111), (108, 111)], atol=2)
    assert np.abs(eyes - np.median(eyes, axis=0)).max() < 12


@pytest.mark.parametrize("degrees", [25, -25, 45, -45])
def test_landmarks_turn_with_the_photo(degrees):
    pixels = photo()
    turned = np.asarray(Image.fromarray(pixels).rotate(degrees, Image.Resampling.BICUBIC))
    angle, middle = np.deg2rad(degrees), (np.array(pixels.shape[1::-1]) - 1) / 2
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    expected = (face(pixels).landmarks - middle) @ turn.T + middle
    assert distance(face(turned).landmarks, expected) < 0.06


def test_landmarks_of_a_mirrored_photo_are_mirrored_with_left_and_right_exchanged():
    pixels = photo()
    mirrored = face(np.ascontiguousarray(pixels[:, ::-1])).landmarks
    expected = (face(pixels).landmarks * [-1, 1] + [pixels.shape[1] - 1, 0])[[1, 0, 2, 4, 3]]
    assert distance(mirrored, expected) < 0.04


def test_landmarks_scale_with_the_photo_about_its_corner():
    pixels = photo()
    height, width = pixels.shape[:2]
    doubled = np.asarray(Image.fromarray(pixels).resize((2 * width, 2 * height), Image.Resampling.BICUBIC))
    expected = 2 * (face(pixels).landmarks + 0.5) - 0.5  # a pixel's middle is at a half
    assert distance(face(doubled).landmarks, expected) < 0.04


def test_a_face_in_a_large_photo_is_found_at_full_precision():
    doubled = np.asarray(Image.fromarray(photo()).resize((1024, 1024), Image.Resampling.BICUBIC))
    pixels = np.full((4000, 5000, 3), 128, np.uint8)  # looked at in a fifth of its pixels
    pixels[2900:3924, 3900:4924] = doubled
    assert distance(face(pixels).landmarks, np.add(face(doubled).landmarks, [3900, 2900])) < 0.04


def two_people() -> np.ndarray:
    """Left Grace Hopper, eyes 84 px apart; right Eileen Collins, eyes 43 px apart, nearer to the middle."""
    pixels = np.full((600, 1424, 3), 90, np.uint8)
    pixels[:, :512] = photo("grace_hopper.jpg")
    pixels[80:592, 512:1024] = photo("astronaut.png")
    return pixels


def test_all_faces_come_largest_first_and_one_can_be_chosen():
    everybody = find_faces(two_people(), faces="all")
    assert all(isinstance(found, Face) for found in everybody)
    hopper, collins = (found.landmarks for found in everybody)
    assert distance(hopper, face(photo("grace_hopper.jpg")).landmarks) < 0.04
    assert distance(collins, np.add(face(photo()).landmarks, [512, 80])) < 0.04
    np.testing.assert_array_equal(face(two_people(), faces="largest").landmarks, hopper)
    np.testing.assert_array_equal(face(two_people(), faces="center").landmarks, collins)


def test_a_refused_face_keeps_its_place_and_the_usable_one_is_chosen():
    hopper, collins = find_faces(two_people(), faces="all", min_face=60)
    assert isinstance(hopper, Face) and isinstance(collins, UnusablePhotoError)
    assert collins.reason == "face too small"
    assert face(two_people(), faces="center", min_face=60).landmarks[0, 0] < 512
    (only,) = find_faces(photo(), min_face=60)
    assert isinstance(only, UnusablePhotoError) and only.reason == "face too small"


def test_every_run_finds_the_same():
    first, second = (find_faces(two_people(), faces="all") for _ in range(2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.landmarks, b.landmarks)
        assert a.box == b.box


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (200, 200)])
def test_no_face_is_found_in_gray_and_noise(size):
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    for pixels in (noise, np.full_like(noise, 128)):
        with pytest.raises(UnusablePhotoError) as refused:
            find_faces(pixels)
        assert refused.value.reason == "no face found"


def test_cnn_detector_finds_the_same_face():
    pixels = photo()[:256, 60:316]
    np.testing.assert_array_less(distance(face(pixels, detector="cnn").landmarks, face(pixels).landmarks), 0.05)


@pytest.mark.slow
def test_real_profiles_are_refused(real_data):
    found = find_faces(decode_photo((real_data / "in_the_wild" / "human__stock-group-2.jpg").read_bytes()), faces="all")
    assert all(isinstance(one, UnusablePhotoError) for one in found)
    assert {one.reason for one in found} == {"profile", "face too small"}


def test_real_news_photographs_yield_their_face(real_data):
    for path in sorted((real_data / "in_the_wild").glob("fddb__*.jpg"))[::16]:
        assert isinstance(find_faces(decode_photo(path.read_bytes()))[0], Face), path.name


def test_real_landscapes_yield_none(real_data):
    # Animals, buildings and landscapes; nobody is in them.
    names = ["2018.jpg", "3063.jpg", "5096.jpg", "6046.jpg", "8068.jpg", "10081.jpg"]
    for name in names:
        pixels = decode_photo((real_data / "photos" / "bsds500_test" / name).read_bytes())
        with pytest.raises(UnusablePhotoError, match="no face found"):
            find_faces(pixels)


def test_models_load_without_importing_their_package_and_dlib_only_when_needed():
    program = """
import sys, numpy as np
import celebahq_builder.landmarks as landmarks
assert "dlib" not in sys.modules
try:
    landmarks.find_faces(np.zeros((99, 99, 3), np.uint8))
except landmarks.UnusablePhotoError:
    pass
from celebahq_builder.dlib_faces import _predictor
assert _predictor() is _predictor()
assert "dlib" in sys.modules and "face_recognition_models" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
