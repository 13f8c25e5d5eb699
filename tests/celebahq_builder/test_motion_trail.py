"""The trail of a straight motion is measured in pixels, at any angle; softness of any kind leaves none."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from celebahq_builder.align import face_quad
from celebahq_builder.mark_measures import measure_marks
from celebahq_builder.motion_trail import motion_trail

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "in-the-wild" / "grace_hopper.jpg"
QUAD = face_quad(np.float32([(223.5, 194.2), (307.6, 189.9), (267.6, 237.5), (232.0, 278.7), (306.2, 274.0)]))
PHOTO = np.asarray(Image.open(EXAMPLE).convert("RGB"))


def moved(length, degrees):
    """The photo along a straight line, by bilinear shares of each step of an eighth of a pixel."""
    line, middle = np.zeros((41, 41), np.float32), 20
    for at in np.linspace(-length / 2, length / 2, 8 * length + 1):
        x, y = middle + at * np.cos(np.deg2rad(degrees)), middle + at * np.sin(np.deg2rad(degrees))
        left, top = int(x), int(y)
        for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
            line[top + dy, left + dx] += abs(1 - dx - (x - left)) * abs(1 - dy - (y - top))
    return to_uint8(cv2.filter2D(PHOTO.astype(np.float32), -1, line / line.sum()))


def to_uint8(image):
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def trail(photo):
    return measure_marks(np.ascontiguousarray(photo), QUAD).motion


@pytest.mark.parametrize("length", [8, 10, 12])
def test_length_of_a_trail_is_found_at_most_angles_and_never_another(length):
    found = np.array([trail(moved(length, degrees)) for degrees in (0, 35, 90, 100, 160)])
    assert (found > 0).sum() >= 4
    assert (np.abs(found[found > 0] - length) <= 1.5).all()


def test_a_trail_is_found_after_compression():
    Image.fromarray(moved(12, 100)).save(data := io.BytesIO(), "JPEG", quality=85)
    assert abs(trail(np.asarray(Image.open(data).convert("RGB"))) - 12) <= 1.5


@pytest.mark.parametrize("sigmas", [(0, 0), (1, 1), (2, 2), (3, 3), (3, 1.5), (1.5, 3)])
def test_softness_more_across_than_along_is_no_motion(sigmas):
    assert trail(to_uint8(ndimage.gaussian_filter(PHOTO.astype(np.float32), (*sigmas, 0)))) == 0


def test_a_lens_out_of_focus_is_no_motion():
    y, x = np.mgrid[-6:7, -6:7]
    disk = (np.hypot(x, y) <= 5.5).astype(np.float32)
    assert trail(to_uint8(cv2.filter2D(PHOTO.astype(np.float32), -1, disk / disk.sum()))) == 0


def test_what_shows_nothing_or_next_to_nothing_has_no_trail():
    inside = np.ones((200, 200), bool)
    assert motion_trail(np.full((200, 200), 7, np.float32), inside) == 0
    assert motion_trail(np.zeros((20, 200), np.float32), inside[:20]) == 0
    assert trail(moved(12, 90)) > 0 == measure_marks(moved(12, 90)[::2, ::2].copy(), QUAD / 2).motion, "too small"
    noise = np.random.default_rng(0).normal(128, 20, (200, 200)).astype(np.float32)
    assert motion_trail(noise, inside) == 0
