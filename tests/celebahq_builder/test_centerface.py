"""CenterFace: its maps are read as they are meant, in photos of any size, in bounded memory, without dlib."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from celebahq_builder import centerface
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.landmarks import Face, find_faces
from celebahq_builder.photos import decode_photo

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "in-the-wild"
PHOTOS = sorted(path.name for path in EXAMPLES.iterdir() if path.suffix != ".md")


def photo(name: str = "astronaut.png") -> np.ndarray:
    return decode_photo((EXAMPLES / name).read_bytes())


def face(pixels: np.ndarray, **options) -> Face:
    (found,) = find_faces(pixels, **({"detector": "centerface"} | options))
    assert isinstance(found, Face), found
    return found


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """The largest distance of two sets of points, in distances between the eyes."""
    return float(np.linalg.norm(a - b, axis=1).max() / np.linalg.norm(a[1] - a[0]))


class Maps:
    """In place of the network: nothing anywhere, but for the cells that are given."""

    def __init__(self, *cells):
        self.cells, self.seen = cells, []

    def run(self, names, given):
        assert names == ["heatmap", "size", "offset", "landmarks"]
        count, channels, height, width = given["photos"].shape
        assert (count, channels, height % 32, width % 32) == (1, 3, 0, 0) and given["photos"].dtype == np.float32
        self.seen.append((height, width))
        maps = [np.zeros((1, c, height // 4, width // 4), np.float32) for c in (1, 2, 2, 10)]
        for (row, column), *values in self.cells:
            for part, value in zip(maps, values, strict=True):
                part[0, :, row, column] = value
        return maps


@pytest.fixture
def maps(monkeypatch):
    def use(*cells) -> Maps:
        session = Maps(*cells)
        monkeypatch.setattr(centerface, "_session", lambda: session)
        return session

    return use


def test_a_cell_means_the_box_and_the_points_that_the_paper_says(maps):
    shares = [0.3, 0.2, 0.3, 0.8, 0.5, 0.5, 0.7, 0.25, 0.7, 0.75]  # y before x
    maps(((10, 20), 0.9, np.log([12, 8]), (0.25, -0.25), shares))
    (found,) = centerface.detect(np.zeros((128, 192, 3), np.uint8), 1.0)
    # centre: cell 10.5 + 0.25 down, 20.5 - 0.25 to the right; 48 pixels high and 32 wide
    np.testing.assert_allclose(found.centre, (81, 43), atol=1e-4)
    assert found.side == pytest.approx(48) and found.score == pytest.approx(0.9) and found.degrees == 0
    left, top = 81 - 16, 43 - 24
    expected = [(left + 32 * x, top + 48 * y) for y, x in zip(shares[::2], shares[1::2], strict=True)]
    np.testing.assert_allclose(found.points, expected, atol=1e-3)


def test_of_cells_whose_boxes_overlap_the_best_counts_and_below_the_threshold_none(maps):
    box, none = np.log([8, 8]), np.zeros(10)
    below = centerface.MIN_SCORE - 0.01
    maps(
        ((10, 10), 0.7, box, 0, none), ((10, 11), 0.9, box, 0, none), ((10, 30), 0.5, box, 0, none),
        ((25, 30), below, box, 0, none),
    )  # fmt: skip
    found = centerface.detect(np.zeros((128, 192, 3), np.uint8), 1.0)
    assert sorted(round(one.score, 3) for one in found) == [0.5, 0.9]


@pytest.mark.parametrize("name", PHOTOS)
def test_every_example_has_its_face_where_dlib_has_it(name):
    pixels = photo(name)
    by_dlib = face(pixels, detector="hog")
    assert distance(by_dlib.landmarks, face(pixels).landmarks) < 0.05
    own = face(pixels, landmarks_from="detector")
    assert own.landmarks.dtype == np.float32 and own.found_by == "centerface"
    assert distance(by_dlib.landmarks, own.landmarks) < 0.25


def test_a_face_in_a_large_photo_is_found_once_wherever_the_windows_meet():
    small = np.asarray(Image.fromarray(photo()).resize((320, 320), Image.Resampling.BOX))
    expected = face(small, landmarks_from="detector", min_face=9).landmarks
    for left, top in ((700, 650), (870, 40)):
        pixels = np.full((1100, 1300, 3), 128, np.uint8)
        pixels[top : top + 320, left : left + 320] = small
        found = find_faces(pixels, "all", detector="centerface", landmarks_from="detector", min_face=9)
        assert len(found) == 1
        assert distance(found[0].landmarks, np.add(expected, [left, top])) < 0.06


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_face_in_a_photo_on_its_side_is_found_in_the_frame_of_the_photo(quarters):
    pixels = photo()[30:230, 120:320]
    upright = face(pixels, landmarks_from="detector").landmarks
    found = face(np.ascontiguousarray(np.rot90(pixels, -quarters)), landmarks_from="detector")
    assert found.turned % 360 == 90 * quarters
    height, width = pixels.shape[:2]
    x, y = upright.T
    expected = {
        1: np.stack([height - 1 - y, x], 1),
        2: np.stack([width - 1 - x, height - 1 - y], 1),
        3: np.stack([y, width - 1 - x], 1),
    }[quarters]
    assert distance(found.landmarks, expected) < 0.1


@pytest.mark.parametrize("degrees", [25, -25, 45, -45])
def test_landmarks_turn_with_the_photo(degrees):
    pixels = photo()
    turned = np.asarray(Image.fromarray(pixels).rotate(degrees, Image.Resampling.BICUBIC))
    angle, middle = np.deg2rad(degrees), (np.array(pixels.shape[1::-1]) - 1) / 2
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    expected = (face(pixels, landmarks_from="detector").landmarks - middle) @ turn.T + middle
    assert distance(face(turned, landmarks_from="detector").landmarks, expected) < 0.1


@pytest.mark.parametrize("size", [(30, 30_000), (30_000, 30), (900, 700), (3000, 5000)])
def test_what_the_network_sees_is_bounded(size, maps):
    session = maps()
    with pytest.raises(UnusablePhotoError, match="no face found"):
        find_faces(np.zeros((*size, 3), np.uint8), detector="centerface")
    assert max(height * width for height, width in session.seen) <= 1024 * 1024
    # Four looks, upright and by quarters, each at 0.45 of the sides and at a half, a quarter ... of that; windows share
    # a quarter of their sides, and a thin photo is filled up to 32 pixels.
    share = sum(height * width for height, width in session.seen) / (size[0] * size[1])
    assert share < 4 * 0.45**2 * (4 / 3) * (1.8 if min(size) > 500 else 10)


def test_no_face_is_found_in_gray_and_noise():
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    for pixels in (noise, np.full_like(noise, 128)):
        with pytest.raises(UnusablePhotoError, match="no face found"):
            find_faces(pixels, detector="centerface", landmarks_from="detector")


def test_without_dlib68_nothing_of_dlib_is_even_imported():
    program = """
import sys
from pathlib import Path
from celebahq_builder.config import BuildConfig
from celebahq_builder.process_photo import Task, process_photo
from celebahq_builder.sources.listing import file_stamp
folder = Path("examples/in-the-wild")
config = BuildConfig(
    input=folder, resolution=64, restore="off", detector="centerface", landmarks_from="detector"
)
task = Task("astronaut.png", config, None)
result = process_photo(task, file_stamp(folder, task.name), (folder / task.name).read_bytes())
assert [row.status for row in result.rows] == ["aligned"]
assert not {"dlib", "_dlib_pybind11", "face_recognition_models", "torch"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
