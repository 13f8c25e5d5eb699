"""AVIF, HEIC, GIF, PNM and BMP photos, which came after the others."""

import importlib.util
import io
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.photos import decode_photo


def smooth(height: int = 64, width: int = 96) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    colors = [255 * x / (width - 1), 255 * y / (height - 1), 255 * (x + y) / (width + height - 2)]
    return np.stack(colors, -1).round().astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def heic():
    pytest.importorskip("pi_heif", reason="pi-heif has no wheel here")
    spec = importlib.util.spec_from_file_location("heic_file", Path(__file__).with_name("heic_file.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.heic


def off(data: bytes, expected: np.ndarray) -> int:
    return int(np.abs(decode_photo(data).astype(int) - expected).max())


def test_heic_gives_the_pixels_that_were_written_turned_as_it_says(heic):
    assert off(heic(smooth()), smooth()) <= 4
    assert off(heic(smooth(), turns=1), np.rot90(smooth())) <= 4


def test_heic_color_codes_are_applied(heic):
    # The same samples seen as BT.2020 are more colorful; as sRGB they are what they are.
    assert off(heic(smooth(), colr=b"nclx" + struct.pack(">HHHB", 1, 13, 5, 0x80)), smooth()) <= 4
    gray = np.full((64, 96, 3), 128, np.uint8)
    assert off(heic(gray, colr=b"nclx" + struct.pack(">HHHB", 12, 13, 5, 0x80)), gray) <= 2
    assert off(heic(smooth(), colr=b"nclx" + struct.pack(">HHHB", 12, 13, 5, 0x80)), smooth()) > 30
    with pytest.raises(UnusablePhotoError, match=r"HEIC of high dynamic range \(PQ\)"):
        decode_photo(heic(smooth(), colr=b"nclx" + struct.pack(">HHHB", 9, 16, 9, 0x80)))


def test_heic_without_its_library_is_refused_with_what_to_install(heic, monkeypatch):
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(
        UnusablePhotoError, match="unsupported format: HEIC, which takes a library: pip install pi-heif"
    ):
        decode_photo(heic(smooth()))


def test_avif_gives_the_pixels_that_were_written_turned_as_it_says():
    image, exif = Image.fromarray(smooth()), Image.Exif()
    assert off(encoded(image, "AVIF", quality=95, subsampling="4:4:4"), smooth()) <= 6
    exif[0x0112] = 6
    turned = encoded(image, "AVIF", quality=95, subsampling="4:4:4", exif=exif.tobytes())
    assert off(turned, np.rot90(smooth(), -1)) <= 6


def test_avif_transparency_is_laid_on_white():
    image = Image.fromarray(smooth())
    image.putalpha(Image.new("L", image.size, 0))
    assert off(encoded(image, "AVIF"), np.full_like(smooth(), 255)) <= 1


def test_avif_size_is_refused_by_its_boxes():
    data = bytearray(encoded(Image.fromarray(smooth()), "AVIF"))
    at = data.index(b"ispe") + 8
    data[at : at + 8] = struct.pack(">II", 30_000, 30_000)
    with pytest.raises(UnusablePhotoError, match="too many pixels: 30000x30000 px are 900 megapixels"):
        decode_photo(bytes(data))


def test_first_image_of_a_gif_is_taken():
    image = Image.fromarray(smooth()).convert("P")
    data = encoded(image, "GIF", save_all=True, append_images=[Image.new("P", image.size)])
    np.testing.assert_array_equal(decode_photo(data), np.asarray(image.convert("RGB")))
    data = encoded(image, "GIF", transparency=int(np.asarray(image)[0, 0]))
    assert (decode_photo(data)[0, 0] == 255).all()


@pytest.mark.parametrize("largest", [1, 255, 4095, 65535])
def test_pnm_is_scaled_by_its_largest_value(largest):
    values = np.random.default_rng(0).integers(0, largest + 1, (4, 6)).astype(np.uint16)
    body = values.astype(np.uint8 if largest < 256 else ">u2").tobytes()
    decoded = decode_photo(b"P5\n6 4\n%d\n" % largest + body)
    assert np.abs(decoded[..., 1] - 255 * (values / largest)).max() <= 0.51
    pixels = smooth()
    np.testing.assert_array_equal(decode_photo(encoded(Image.fromarray(pixels), "PPM")), pixels)


@pytest.mark.parametrize(
    ("begin", "named"),
    [
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\xff\x4f\xff\x51", "JPEG 2000"),
        (b"8BPS\0\1", "Photoshop document"),
        (b"II*\0\x10\0\0\0CR\2\0", "Canon raw"),
        (b"\0\0\0\x18ftypisom", "MP4 or QuickTime video"),
        (b"\x76\x2f\x31\x01", "OpenEXR"),
        (b"%PDF-1.7", "PDF"),
        (b"PK\3\4", "zip archive"),
        (b"Pf\n1 1\n-1\n", "PFM"),
    ],
)
def test_whole_files_of_other_kinds_are_named(begin, named):
    with pytest.raises(UnusablePhotoError) as refused:
        decode_photo(begin + bytes(400))
    assert refused.value.reason == "unsupported format" and refused.value.detail.startswith(f"got {named}")
