"""Marks of one sharp face of examples/, worsened by known amounts; the measures under them on made images."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from celebahq_builder.align import face_quad
from celebahq_builder.mark_measures import MarkMeasures, _noise, measure_marks
from celebahq_builder.marks import MARKS, blur_limit, evaluate_marks, marks_text, refusing_mark

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "in-the-wild" / "grace_hopper.jpg"
QUAD = face_quad(np.float32([(223.5, 194.2), (307.6, 189.9), (267.6, 237.5), (232.0, 278.7), (306.2, 274.0)]))
PHOTO = np.asarray(Image.open(EXAMPLE).convert("RGB"))
RNG = np.random.default_rng(0)


def to_uint8(image):
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def blurred(photo, sigma):
    return to_uint8(ndimage.gaussian_filter(photo.astype(np.float32), (sigma, sigma, 0)))


def jpeg(photo, quality):
    Image.fromarray(photo).save(data := io.BytesIO(), "JPEG", quality=quality)
    return np.asarray(Image.open(data).convert("RGB"))


def waves(photo):
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]]
    return (np.cos(1.3 * x + 0.5 * y) * np.cos(1.3 * y - 0.5 * x))[..., None]


def marks(photo, quad=QUAD, resolution=1024):
    return marks_text(measure_marks(np.ascontiguousarray(photo), quad, resolution)).split()


def test_a_good_photograph_has_no_mark_nor_has_it_as_a_jpeg_or_reduced():
    assert marks(PHOTO) == []
    assert marks(jpeg(PHOTO, 85)) == []
    half = np.asarray(Image.fromarray(PHOTO).resize((PHOTO.shape[1] // 2, PHOTO.shape[0] // 2)))
    assert marks(half, QUAD / 2) == []


@pytest.mark.parametrize(
    ("mark", "worsen"),
    [
        ("blurred", lambda photo: blurred(photo, 3)),
        ("blurred", lambda photo: to_uint8(blurred(photo, 3) + RNG.normal(0, 3, photo.shape))),
        ("motion", lambda photo: to_uint8(ndimage.uniform_filter1d(photo.astype(np.float32), 13, axis=0))),
        ("dark", lambda photo: photo // 4),
        ("bright", lambda photo: to_uint8(photo * 2.5)),
        ("noisy", lambda photo: to_uint8(photo + RNG.normal(0, 12, photo.shape))),
        ("noisy", lambda photo: jpeg(to_uint8(photo + RNG.normal(0, 12, photo.shape)), 85)),
        ("blocks", lambda photo: jpeg(photo, 8)),
        ("screen", lambda photo: to_uint8(photo + 20 * waves(photo))),
        ("posterized", lambda photo: photo // 32 * 32 + 16),
        ("dithered", lambda photo: np.asarray(Image.fromarray(photo).convert("1").convert("RGB"))),
        ("gray", lambda photo: np.asarray(Image.fromarray(photo).convert("L").convert("RGB"))),
        ("gray", lambda photo: np.asarray(Image.fromarray(photo // 4).convert("L").convert("RGB"))),
    ],
)  # fmt: skip
def test_a_worsened_photograph_gets_the_mark_of_what_was_done_to_it(mark, worsen):
    given = marks(worsen(PHOTO))
    assert mark in given
    assert "screen" not in given or mark == "screen"
    assert "noisy" not in given or mark == "noisy"
    assert "posterized" not in given or mark in ("posterized", "bright")


def test_every_mark_is_tested_here_and_means_something_else():
    tested = {"blurred", "motion", "dark", "bright", "noisy", "blocks", "screen", "posterized", "dithered", "gray"}
    assert set(MARKS) == tested
    assert not any(one in other for one in MARKS for other in MARKS if one != other), "`marks has` would find both"


def test_blur_is_measured_in_pixels_whatever_noise_and_compression_came_after():
    for sigma in (2.0, 3.0):
        soft = blurred(PHOTO, sigma)
        for photo in (soft, jpeg(soft, 85), to_uint8(soft + RNG.normal(0, 4, soft.shape))):
            measures = measure_marks(photo, QUAD)
            assert 0.6 * sigma < measures.blur < 1.2 * sigma


def test_a_small_face_may_be_less_blurred_than_a_large_one():
    assert blur_limit(100) == blur_limit(256) < blur_limit(600) < blur_limit(1024) < 4 * blur_limit(256)
    fine = MarkMeasures(900, 20, 220, 0, 90, 1, 0, 1, 1.8, 0, 1, 0)
    assert evaluate_marks(fine) == () and evaluate_marks(fine._replace(side=200)) == ("blurred",)


def test_what_a_smaller_crop_does_not_show_is_no_mark():
    large = np.asarray(
        Image.fromarray(PHOTO).resize((4 * PHOTO.shape[1], 4 * PHOTO.shape[0]), Image.Resampling.BICUBIC)
    )
    noisy = to_uint8(large + RNG.normal(0, 12, large.shape))
    assert "noisy" in marks(noisy, 4 * QUAD) and "noisy" not in marks(noisy, 4 * QUAD, resolution=256)
    assert marks(noisy, 4 * QUAD, 16) == marks(noisy, 4 * QUAD, 256), "a face has to have pixels to be measured"


def test_only_the_oval_counts():
    photo = np.zeros_like(PHOTO)
    left, top, right, bottom = (*QUAD.min(axis=0).astype(int), *QUAD.max(axis=0).astype(int))
    photo[top + 90 : bottom, left + 70 : right - 70] = PHOTO[top + 90 : bottom, left + 70 : right - 70]
    assert marks(photo) == []


def test_face_of_a_few_pixels_and_one_beyond_the_photo_cannot_be_measured():
    assert marks(PHOTO[::16, ::16], QUAD / 16) == ["unmeasurable"]
    assert marks(PHOTO, QUAD + 5000) == ["unmeasurable"]
    assert marks(np.full((400, 400, 3), 128, np.uint8), np.float64([(0, 0), (0, 400), (400, 400), (400, 0)])) != []


def test_the_first_mark_that_is_named_refuses():
    assert refusing_mark("blurred dark gray", ("gray", "dark")) == "dark"
    assert refusing_mark("blurred", ("dark",)) == "" == refusing_mark("", ("dark",))


def test_help_needs_no_image_library():
    import subprocess

    code = "import celebahq_builder.config, sys; assert not {'cv2', 'scipy'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.filterwarnings("error")
def test_noise_of_flat_blocks_below_rough_ones_is_zero_though_running_sums_end_below_it():
    gray = np.full((300, 300), 77.7, np.float32)
    rough = np.float32(222) * np.random.default_rng(9).standard_normal((300, 300), np.float32)
    gray[:60] += (np.round(rough / 32) * np.float32(118.4))[:60]
    assert 0 <= _noise(gray, np.ones(gray.shape, bool)) < 0.05
