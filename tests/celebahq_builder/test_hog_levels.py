"""dlib's levels one after the other: its own boxes and scores, and no more work than the largest face needs."""

from pathlib import Path

import dlib
import numpy as np
import pytest
from PIL import Image

from celebahq_builder import hog_levels
from celebahq_builder.hog_levels import hog_boxes
from celebahq_builder.landmarks import find_faces

PHOTOS = sorted((Path(__file__).parents[2] / "examples" / "in-the-wild").glob("*.jpg"))


def read_photo(path: Path, side: int = 500) -> np.ndarray:
    with Image.open(path) as image:
        small = image.convert("RGB")
        small.thumbnail((side, side))
        return np.ascontiguousarray(small)


def by_dlib(pixels: np.ndarray, least: float = -0.2) -> list[tuple[int, int, int, int, float]]:
    boxes, scores, _ = dlib.get_frontal_face_detector().run(pixels, 0, least)
    found = [(b.left(), b.top(), b.right(), b.bottom(), s) for b, s in zip(boxes, scores, strict=True)]
    return sorted(found, key=lambda box: (box[0] - box[2], box[1] + box[3], box[0] + box[2]))


def crowd() -> np.ndarray:
    """Faces of several sizes side by side."""
    row = [Image.fromarray(read_photo(path, side)) for path, side in zip(PHOTOS, (500, 300, 200, 400), strict=False)]
    canvas = Image.new("RGB", (sum(one.width for one in row), max(one.height for one in row)))
    at = 0
    for one in row:
        canvas.paste(one, (at, 0))
        at += one.width
    return np.ascontiguousarray(canvas)


class Recording:
    """Stands for the detector of one level; notes the width of each image that it looks at."""

    def __init__(self, plan) -> None:
        self.plan, self.widths = plan, []

    def run(self, pixels, *args):
        self.widths.append(pixels.shape[1])
        return self.plan.detector.run(pixels, *args)


def test_boxes_and_scores_are_those_of_dlib_s_own_run():
    pixels = crowd()
    expected = by_dlib(pixels)
    assert len(expected) >= 3
    assert list(hog_boxes(pixels, -0.2)) == expected


@pytest.mark.parametrize("shape", [(64, 64), (77, 300), (131, 90), (200, 190), (1, 1)])
def test_levels_and_roundings_are_dlib_s_on_images_in_which_boxes_reach_beyond_every_edge(shape, monkeypatch):
    monkeypatch.setattr(hog_levels, "DECIDED", 99)  # in noise, far below any face, nothing is clear before the end
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert list(hog_boxes(pixels, -5.0)) == by_dlib(pixels, -5.0)


def test_boxes_are_rounded_as_in_dlib_s_run_halves_away_from_0():
    assert [hog_levels._rounded(value) for value in (-22.5, -22.4, 121.49999999999999, 121.5)] == [-23, -22, 121, 122]


def test_whoever_wants_the_largest_face_pays_for_no_finer_level_than_two_below_it(monkeypatch):
    pixels = read_photo(PHOTOS[0])
    recording = Recording(hog_levels._one_level())
    monkeypatch.setattr(hog_levels, "_one_level", lambda: recording.plan._replace(detector=recording))
    left, _, right, _, _ = next(hog_boxes(pixels, -0.2))
    level = round(np.log((right - left + 1) / 72) / np.log(1.2))
    assert level > hog_levels.DECIDED
    finest = recording.widths[-1]
    assert finest == pytest.approx(pixels.shape[1] / 1.2 ** (level - hog_levels.DECIDED), rel=0.02)


def test_the_largest_face_of_a_photo_is_found_without_the_finest_level(monkeypatch):
    pixels = read_photo(PHOTOS[0])
    recording = Recording(hog_levels._one_level())
    monkeypatch.setattr(hog_levels, "_one_level", lambda: recording.plan._replace(detector=recording))
    (found,) = find_faces(pixels, "largest")
    looked_at = max(recording.widths)
    (same,) = find_faces(pixels, "center")
    assert looked_at < max(recording.widths)
    np.testing.assert_array_equal(found.landmarks, same.landmarks)


def test_a_dlib_that_saves_its_detector_in_another_form_looks_at_all_levels_at_once(monkeypatch):
    pixels = read_photo(PHOTOS[0])
    expected = list(hog_boxes(pixels, -0.2))
    monkeypatch.setattr(hog_levels, "_EXPECTED", {0: 3})
    hog_levels._one_level.cache_clear()
    try:
        assert hog_levels._one_level() is None
        assert list(hog_boxes(pixels, -0.2)) == expected == by_dlib(pixels)
    finally:
        hog_levels._one_level.cache_clear()
