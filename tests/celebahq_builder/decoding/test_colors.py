"""Colours of decoded photos: CMYK, YCCK and embedded profiles arrive as sRGB."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from celebahq_builder.photos import decode_photo


def sample_image(width: int = 48, height: int = 32) -> Image.Image:
    """A smooth image whose four corners differ: red to the right, green down, blue on the first diagonal."""
    y, x = np.mgrid[0:height, 0:width]
    channels = [255 * x / (width - 1), 255 * y / (height - 1), 255 * (x + y) / (width + height - 2)]
    return Image.fromarray(np.stack(channels, -1).round().astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


INK = [(0, 0, 0, 0), (255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 255, 0), (0, 0, 0, 255)]
PAPER = [(255, 255, 255), (0, 255, 255), (255, 0, 255), (255, 255, 0), (0, 0, 0)]


def cmyk_bands() -> Image.Image:
    """Five bands of 16 pixels: white, cyan, magenta, yellow, black."""
    return Image.fromarray(np.repeat(np.array([INK], np.uint8), 16, axis=1).repeat(16, axis=0), "CMYK")


def test_inverted_cmyk_of_adobe_and_plain_cmyk_give_the_same_colours():
    adobe = encoded(cmyk_bands(), "JPEG", quality=100)
    at = adobe.index(b"\xff\xee\0\x0eAdobe")
    plain = encoded(Image.fromarray(255 - np.asarray(cmyk_bands()), "CMYK"), "JPEG", quality=100)
    plain = plain[:at] + plain[at + 16 :]  # without the marker, ink is ink
    tiff = encoded(cmyk_bands(), "TIFF")
    for data in (adobe, plain, tiff):
        np.testing.assert_allclose(decode_photo(data)[8, 8::16], PAPER, atol=4)


def test_ycck_jpeg_gives_its_colours():
    # Three of Adobe's inverted inks as YCbCr of their complement, which is the inks themselves; the last byte of the
    # marker says so. Pillow writes 255 - what it is given.
    ink = np.asarray(cmyk_bands())
    ycc = np.asarray(Image.fromarray(np.ascontiguousarray(ink[..., :3])).convert("YCbCr"))
    stored = Image.fromarray(np.dstack([255 - ycc, ink[..., 3]]), "CMYK")
    data = bytearray(encoded(stored, "JPEG", quality=100))
    at = data.index(b"\xff\xee\0\x0eAdobe")
    data[at + 15] = 2
    np.testing.assert_allclose(decode_photo(bytes(data))[8, 8::16], PAPER, atol=6)


def wide_gamut_profile() -> bytes:
    """A linear-light profile with sRGB's primaries, made by exchanging the curves of lcms's own sRGB profile."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for n in range(int.from_bytes(data[128:132], "big")):
        entry = 132 + 12 * n
        if data[entry : entry + 4] in (b"rTRC", b"gTRC", b"bTRC"):
            at = int.from_bytes(data[entry + 4 : entry + 8], "big")
            data[at : at + 12] = b"curv\0\0\0\0\0\0\0\0"  # no points: the identity
            data[entry + 8 : entry + 12] = (12).to_bytes(4, "big")
        if data[entry : entry + 4] == b"desc":
            at = int.from_bytes(data[entry + 4 : entry + 8], "big")
            length = int.from_bytes(data[entry + 8 : entry + 12], "big")
            data[at : at + length] = bytes(data[at : at + length]).replace("sRGB".encode("utf-16-be"), b"\0L\0I\0N\0 ")
    return bytes(data)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_embedded_profile_is_converted_to_srgb(kind):
    linear = np.array([[(0, 0, 0), (13, 55, 128), (255, 255, 255), (64, 64, 64)]], np.uint8)
    fraction = linear / 255  # the transfer curve of IEC 61966-2-1
    expected = 255 * np.where(fraction <= 0.0031308, 12.92 * fraction, 1.055 * fraction ** (1 / 2.4) - 0.055)
    options = {"lossless": True} if kind == "WEBP" else {}
    decoded = decode_photo(encoded(Image.fromarray(linear), kind, icc_profile=wide_gamut_profile(), **options))
    np.testing.assert_allclose(decoded, expected, atol=1.5)


def test_profile_is_applied_before_transparency_meets_white():
    rgba = Image.fromarray(np.array([[(64, 64, 64, 255), (64, 64, 64, 0)]], np.uint8))
    decoded = decode_photo(encoded(rgba, "PNG", icc_profile=wide_gamut_profile()))
    np.testing.assert_allclose(decoded, [[[137] * 3, [255] * 3]], atol=1.5)


@pytest.mark.parametrize("profile", [b"not a profile", b"\0" * 200, wide_gamut_profile()[:300]])
def test_broken_profile_is_ignored(profile):
    data = encoded(sample_image(), "PNG", icc_profile=profile)
    np.testing.assert_array_equal(decode_photo(data), np.asarray(sample_image()))


def test_srgb_profile_changes_nothing():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    np.testing.assert_array_equal(
        decode_photo(encoded(sample_image(), "PNG", icc_profile=profile)), np.asarray(sample_image())
    )
