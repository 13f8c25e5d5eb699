"""What of a crop and of its face a photo shows, and which faces are refused because it shows too little."""

import numpy as np
import pytest

from celebahq_builder.align import align_face, face_quad
from celebahq_builder.coverage import Coverage, check_coverage, coverage, inside_photo
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.detections import Detection
from celebahq_builder.landmarks import Face, find_faces
from celebahq_builder.quality import quality_score

SQUARE = np.array([[0, 0], [0, 100], [100, 100], [100, 0]], float)


def test_a_crop_inside_the_photo_has_no_padding():
    assert coverage(SQUARE + 5, (200, 200)) == (0, 0)


@pytest.mark.parametrize("turn", [0, 30, 77])
def test_padding_is_the_share_of_the_crop_beyond_the_edge(turn):
    a = np.radians(turn)
    quad = (SQUARE - 50) @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]) + [0, 500]
    assert coverage(quad, (1000, 1000)).padding == pytest.approx(0.5, abs=0.01)


def test_invented_counts_the_face_and_not_the_background():
    below, above, left = SQUARE + np.array([0, 109]), SQUARE - [0, 37], SQUARE - [28, 0]
    size = (100, 200)
    assert coverage(below, size).padding == pytest.approx(0.09, abs=0.01)  # up to below the chin
    assert coverage(below, size).invented == 0
    assert coverage(above, size).invented == pytest.approx(0, abs=0.001)  # hair and forehead
    assert coverage(left, size).invented == 0  # an ear
    assert coverage(SQUARE - [50, 0], size).invented == pytest.approx(0.5, abs=0.01)
    assert coverage(SQUARE - [0, 64.5], size).invented == pytest.approx(0.5, abs=0.01)


def test_pixels_shown_by_the_photo_are_those_of_the_crop():
    photo = np.full((120, 90, 3), 200, np.uint8)
    landmarks = np.array([[20, 50], [50, 52], [34, 66], [22, 80], [46, 82]], float)
    shown = inside_photo(face_quad(landmarks), (90, 120), 64)
    black = np.zeros((320, 290, 3), np.uint8)
    black[100:220, 100:190] = photo
    crop = align_face(black, landmarks + 100, 64)  # what lies beyond is black here
    assert np.array_equal(shown, crop[..., 0] > 100)


def test_each_limit_has_its_reason():
    check_coverage(SQUARE - [28, 0], (100, 200), 1.0, 0.0)
    with pytest.raises(UnusablePhotoError, match=r"cut by the edge of the photo: 50\.0% of the face and 50% of"):
        check_coverage(SQUARE - [50, 0], (100, 200), 1.0, 0.1)
    with pytest.raises(UnusablePhotoError, match=r"too much padding: 0\.0% of the face and 28% of"):
        check_coverage(SQUARE - [28, 0], (100, 200), 0.0, 0.1)


def test_a_smaller_whole_face_is_taken_instead_of_a_larger_cut_one(monkeypatch):
    from celebahq_builder import landmarks

    faces = [np.full((5, 2), 1.0), np.full((5, 2), 2.0)]

    def evaluated(image, found, min_face, check, *_):
        try:
            check(faces[int(found.score)])
        except UnusablePhotoError as refusal:
            return refusal
        return Face(faces[int(found.score)])

    seen = [Detection(np.array([50.0, 50.0]), 90.0, 0.0, 0), Detection(np.array([150.0, 150.0]), 40.0, 0.0, 1)]
    monkeypatch.setattr(landmarks, "detect", lambda *_: seen)
    monkeypatch.setattr(landmarks, "_evaluate_detection", evaluated)

    def check(points):
        if points[0, 0] == 1:
            raise UnusablePhotoError("cut by the edge of the photo")

    photo = np.zeros((200, 200, 3), np.uint8)
    (face,) = find_faces(photo, check=check)
    assert face.landmarks is faces[1]
    assert [type(face) for face in find_faces(photo, "all", check=check)] == [UnusablePhotoError, Face]


# The score sees no invented pixel.


def face_like(seed: int = 0) -> np.ndarray:
    """1/f noise, sharp in the middle and smooth around it, as a portrait is."""
    n, rng = 256, np.random.default_rng(seed)
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(n), np.fft.fftfreq(n))) + 1 / n

    def noise(power):
        x = np.fft.ifft2(np.fft.fft2(rng.normal(size=(n, n))) / f**power).real
        return x / x.std()

    y, x = (np.mgrid[:n, :n] - n / 2) / n
    sharp = np.exp(-(x**2 + y**2) / 0.06)
    gray = 128 + 35 * (sharp * noise(1.1) + (1 - sharp) * noise(2.2))
    return np.clip(gray, 0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)


def test_a_mask_of_nothing_changes_no_bit():
    face = face_like()
    assert quality_score(face, np.ones((256, 256), bool)) == quality_score(face)


def test_invented_pixels_do_not_count():
    face, mask = face_like(), np.ones((256, 256), bool)
    mask[:, :70] = False
    other = face.copy()
    other[:, :70] = np.random.default_rng(1).integers(0, 256, (256, 70, 3))
    assert quality_score(face, mask) == quality_score(other, mask)
    assert abs(quality_score(other).score - quality_score(face).score) > 0.02


@pytest.mark.parametrize("seed", range(4))
def test_no_face_gains_by_being_cut(seed):
    face, whole = face_like(seed), quality_score(face_like(seed)).score
    for columns in range(16, 128, 16):
        mask = np.ones((256, 256), bool)
        mask[:, :columns] = False
        assert quality_score(face, mask).score <= whole + 0.01


def test_a_face_of_which_no_block_is_whole_is_scored_by_those_that_see_least():
    mask = np.ones((64, 64), bool)
    mask[:, :3] = False  # one block is the whole face
    face = face_like()[96:160, 96:160]
    assert 0 < quality_score(face, mask).score <= quality_score(face).score + 0.01


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="mask: got"):
        quality_score(face_like(), np.ones((4, 4), bool))


def test_what_is_hardly_too_much_is_told_apart_from_what_is_allowed(monkeypatch):
    monkeypatch.setattr("celebahq_builder.coverage.coverage", lambda *_: Coverage(0.2504, 0.0104))
    for max_padding, max_invented, words in [
        (1, 0.01, "1.04% of the face and 25% of the crop lie outside the photo; of the face at most 1.00% may"),
        (0.25, 0.02, "1.0% of the face and 25.04% of the crop lie outside the photo; of the crop at most 25.00% may"),
        (0.2503, 1, "1.0% of the face and 25.04% of the crop lie outside the photo; of the crop at most 25.03% may"),
    ]:
        with pytest.raises(UnusablePhotoError) as refused:
            check_coverage(SQUARE, (100, 100), max_padding, max_invented)
        assert refused.value.detail == words
