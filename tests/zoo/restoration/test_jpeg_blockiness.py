"""Traces of JPEG: none in what never was one, plain ones in what was, wherever the grid lies."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from zoo.restoration.jpeg_blockiness import FAINT, PLAIN, blockiness, correction_weight


def jpeg(photo, quality, subsampling):
    """Pillow's libjpeg, which the networks were not trained with."""
    stream = io.BytesIO()
    Image.fromarray(photo).save(stream, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(stream).convert("RGB"))


@pytest.fixture(scope="module")
def undamaged(real_data):
    """Set14 and Set5 halved by area means, so that nothing is left of what they may have gone through."""
    paths = sorted(path for name in ("Set5", "Set14") for path in (real_data / "testsets" / name).iterdir())
    photos = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    return [cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for photo in photos]


def test_photo_that_never_was_a_jpeg_needs_no_repair(undamaged):
    assert [correction_weight(photo) for photo in undamaged] == [0.0] * len(undamaged)


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
def test_jpeg_of_quality_70_and_less_needs_all_of_it_wherever_the_grid_lies(undamaged, subsampling):
    for i, photo in enumerate(undamaged):
        damaged = jpeg(photo, (70, 40, 10)[i % 3], subsampling)[i % 8 :, 3 * i % 8 :]
        assert correction_weight(damaged) == 1.0, i


def test_traces_grow_as_quality_falls(undamaged):
    for photo in undamaged[::4]:
        strengths = [blockiness(photo), *(blockiness(jpeg(photo, quality, "4:2:0")) for quality in (95, 85, 60))]
        assert strengths == sorted(strengths)
        assert FAINT < strengths[1] < PLAIN + 0.1


def test_a_known_jpeg_among_the_test_images_is_recognised(real_data):
    # Compressing it at quality 75 once more changes next to nothing: it is a JPEG of just that quality.
    photo = np.asarray(Image.open(real_data / "testsets" / "Set5" / "woman.png").convert("RGB"))
    change = [np.abs(jpeg(photo, quality, "4:2:0").astype(int) - photo).mean() for quality in (70, 75, 80)]
    assert change[1] < 0.2 * min(change[0], change[2])
    assert correction_weight(photo) == 1.0


def test_gray_photos_count_as_color_ones_do(undamaged):
    gray = np.asarray(Image.fromarray(undamaged[0]).convert("L").convert("RGB"))
    assert correction_weight(gray) == 0.0
    assert correction_weight(jpeg(gray, 50, "4:2:0")) == 1.0


def drawn():
    """Graphics whose edges lie on grids of 2 to 12 pixels, by name; none ever was a JPEG."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:320, :320]
    graphics = {f"checkerboard of {n}": (x // n + y // n) % 2 * 200 + 20 for n in (2, 4, 7, 8)}
    for n in (4, 12):
        graphics[f"squares of {n}"] = rng.integers(0, 256, (80, 80)).repeat(n, 0).repeat(n, 1)[:320, :320]
    text = Image.new("L", (320, 320), 255)
    for line in range(20):
        ImageDraw.Draw(text).text((8, 16 * line), "The quick brown fox jumps over the lazy dog 0123", fill=20)
    graphics |= {"text": np.asarray(text), "slope": (x + y) * 255 / 640, "noise": rng.normal(128, 20, x.shape)}
    return {name: np.repeat(np.uint8(np.rint(gray))[..., None], 3, axis=2) for name, gray in graphics.items()}


@pytest.mark.parametrize("name", drawn())
def test_drawn_graphics_need_no_repair(name):
    assert correction_weight(drawn()[name]) < 0.05


@pytest.mark.parametrize("quality", [5, 20, 60])
def test_jpeg_of_a_hundred_pixels_is_not_taken_for_graphics(undamaged, quality):
    for photo in undamaged:
        damaged = jpeg(photo[-104:, -104:], quality, "4:2:0")[3:, 5:]
        assert correction_weight(damaged) == pytest.approx(min((blockiness(damaged) - FAINT) / (PLAIN - FAINT), 1))


@pytest.mark.parametrize("shape", [(1, 1), (15, 500), (16, 16), (17, 90), (3, 5000)])
def test_photo_of_any_size_has_an_answer(shape):
    photo = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert 0 <= correction_weight(photo) <= 1


def test_flat_photo_needs_nothing():
    assert correction_weight(np.full((64, 64, 3), 90, np.uint8)) == 0
