"""Two decoders give libjpeg 8d's pixels, and neither fills in what a broken file lacks."""

import contextlib
import io

import numpy as np
import pytest
from PIL import Image

from celebahq_builder.released.jpeg8d_pixels import pixels
from celebahq_builder.released.jpeg_coefficients import DamagedJPEGError, UnsupportedJPEGError, read_coefficients
from celebahq_builder.released.libjpeg8d import decode_libjpeg8d


def photo(height: int = 75, width: int = 93) -> Image.Image:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.int16)
    return Image.fromarray(np.clip(smooth + rng.integers(-40, 41, smooth.shape), 0, 255).astype(np.uint8))


def jpeg(image: Image.Image | None = None, **options) -> bytes:
    stream = io.BytesIO()
    (image or photo()).save(stream, "JPEG", **options)
    return stream.getvalue()


def by_numpy(data: bytes) -> np.ndarray:
    return pixels(read_coefficients(data, 1e8))


KINDS = [
    {"subsampling": subsampling, "progressive": progressive, "quality": quality}
    for subsampling in ("4:4:4", "4:2:2", "4:2:0")
    for progressive in (False, True)
    for quality in (12, 96)
]


@pytest.mark.parametrize(
    "options", [*KINDS, {"optimize": True}, {"restart_marker_blocks": 3}, {"keep_rgb": True}], ids=str
)
def test_numpy_decodes_as_jpeglib_does(options):
    pytest.importorskip("jpeglib")
    data = jpeg(**options)
    np.testing.assert_array_equal(by_numpy(data), decode_libjpeg8d(data))


def test_pillow_decodes_subsampled_chroma_differently():
    """The reason for all this: where this fails, Pillow has a libjpeg of another kind."""
    data = jpeg(subsampling="4:2:0", quality=90)
    assert (by_numpy(data) != np.asarray(Image.open(io.BytesIO(data)))).mean() > 0.05


def test_photographs_are_decoded_alike_by_both(real_data):
    pytest.importorskip("jpeglib")
    for path in sorted((real_data / "official_vectors").glob("*.jpg")):
        np.testing.assert_array_equal(by_numpy(path.read_bytes()), decode_libjpeg8d(path.read_bytes()))


def test_numpy_steps_in_where_jpeglib_is_missing(monkeypatch):
    data = jpeg()
    expected = decode_libjpeg8d(data)
    monkeypatch.setattr("celebahq_builder.released.libjpeg8d.has_jpeglib", lambda: False)
    monkeypatch.setattr("celebahq_builder.released.libjpeg8d._decode_by_jpeglib", None)
    np.testing.assert_array_equal(decode_libjpeg8d(data), expected)


def test_another_version_set_in_between_does_not_matter():
    jpeglib = pytest.importorskip("jpeglib")
    data = jpeg()
    jpeglib.version.set("6b")
    np.testing.assert_array_equal(decode_libjpeg8d(data), by_numpy(data))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("share", [0.4, 0.7, 0.95])
def test_a_cut_short_file_is_refused_by_both(progressive, share):
    data = jpeg(photo(200, 200), progressive=progressive)
    data = data[: int(len(data) * share)]
    with pytest.raises(DamagedJPEGError):
        by_numpy(data)
    with pytest.raises(DamagedJPEGError):
        decode_libjpeg8d(data)


def test_data_that_end_before_the_image_does_are_damaged():
    data = jpeg(photo(200, 200))
    with pytest.raises(DamagedJPEGError, match="end too early"):
        by_numpy(data[: len(data) // 2] + b"\xff\xd9")


def test_flipped_bytes_never_raise_anything_but_a_reason():
    rng = np.random.default_rng(1)
    for progressive in (False, True):
        data = jpeg(progressive=progressive)
        for _ in range(60):
            broken = bytearray(data)
            for at in rng.integers(2, len(data), 3):
                broken[at] = rng.integers(256)
            with contextlib.suppress(DamagedJPEGError, UnsupportedJPEGError):
                by_numpy(bytes(broken))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_anything_but_three_colors_is_refused_by_both(mode):
    data = jpeg(photo().convert(mode))
    with pytest.raises(UnsupportedJPEGError, match="components"):
        by_numpy(data)
    with pytest.raises(DamagedJPEGError, match=f"mode {mode}"):
        decode_libjpeg8d(data)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"GIF89a", b"\xff\xd8\xff\xd9", jpeg()[:-2000]])
def test_no_jpeg_is_no_crash(data):
    with pytest.raises(DamagedJPEGError):
        by_numpy(data)
    with pytest.raises(DamagedJPEGError):
        decode_libjpeg8d(data)
