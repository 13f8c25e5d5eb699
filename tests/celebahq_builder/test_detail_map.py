"""Which of two near duplicates has something laid over it: marks of all kinds, and what is no mark."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

from celebahq_builder.align import align_face
from celebahq_builder.detail_map import detail_map, is_laid_over

PHOTO = Path(__file__).parents[2] / "examples" / "in-the-wild" / "grace_hopper.jpg"
POINTS = np.float32([(223.5, 194.2), (307.6, 189.9), (267.6, 237.5), (232.0, 278.7), (306.2, 274.0)])


@pytest.fixture(scope="module")
def face():
    return Image.fromarray(align_face(np.asarray(Image.open(PHOTO).convert("RGB")), POINTS, 512))


def words(face, text="SAMPLE PHOTO", size=46, at=(256, 330), color=(255, 255, 255), opacity=0.7):
    copy = face.copy()
    ImageDraw.Draw(copy).text(at, text, font=ImageFont.load_default(size=size), fill=color, anchor="mm")
    return Image.blend(face, copy, opacity)


def tiled(face):
    copy = face.copy()
    for i in range(100):
        at = (i % 5 * 110 + i // 5 % 2 * 50, i // 5 * 60)
        ImageDraw.Draw(copy).text(at, "sample", font=ImageFont.load_default(size=28), fill=(255, 255, 255))
    return Image.blend(face, copy, 0.6)


def jpeg(face, quality):
    face.save(data := io.BytesIO(), "JPEG", quality=quality)
    return Image.open(data)


LAID_OVER = {
    "words across the face": words,
    "a credit line": lambda face: words(face, "(c) photographer / agency 2026", 24, (256, 480)),
    "a date": lambda face: words(face, "12 31 '98", 36, (400, 470), (255, 150, 40), 1.0),
    "dark words": lambda face: words(face, "PREVIEW", 80, (256, 200), (0, 0, 0), 0.5),
    "tiled words": tiled,
}
NOTHING = {
    "half the size": lambda face: face.resize((256, 256), Image.Resampling.LANCZOS).resize((512, 512)),
    "blurred": lambda face: face.filter(ImageFilter.GaussianBlur(2)),
    "compressed": lambda face: jpeg(face, 30),
    "darker": lambda face: ImageEnhance.Brightness(face).enhance(0.7),
    "more colorful": lambda face: ImageEnhance.Color(face).enhance(1.5),
    "sharpened": lambda face: face.filter(ImageFilter.UnsharpMask(2, 100, 2)),
    "cut a little": lambda face: face.crop((2, 4, 510, 510)).resize((512, 512), Image.Resampling.BICUBIC),
}


@pytest.mark.parametrize("kind", LAID_OVER)
def test_what_lies_over_a_face_is_seen_against_a_copy_without_it(face, kind):
    one, other = detail_map(np.asarray(jpeg(LAID_OVER[kind](face), 90))), detail_map(np.asarray(face))
    assert is_laid_over(one, other) and not is_laid_over(other, one)


@pytest.mark.parametrize("kind", NOTHING)
def test_a_copy_of_other_size_sharpness_or_tones_has_nothing_laid_over_it(face, kind):
    one, other = detail_map(np.asarray(NOTHING[kind](face))), detail_map(np.asarray(face))
    assert not is_laid_over(one, other) and not is_laid_over(other, one)


def test_marked_and_halved_is_still_marked(face):
    one = detail_map(np.asarray(words(face).resize((256, 256), Image.Resampling.LANCZOS)))
    assert len(one) == 64
    assert is_laid_over(one, detail_map(np.asarray(face)))
    assert is_laid_over(detail_map(np.asarray(words(face))), detail_map(np.asarray(face.resize((256, 256)))))


def test_of_small_faces_and_of_maps_that_are_none_nothing_is_said(face):
    whole = detail_map(np.asarray(face))
    assert detail_map(np.asarray(face.resize((64, 64)))) == ""
    assert not any(is_laid_over(*pair) for pair in (("", whole), (whole, ""), ("", ""), (whole, "é" * 64)))
    assert detail_map(np.full((128, 128, 3), 90, np.uint8)) == "0" * 64
