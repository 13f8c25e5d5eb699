"""PNG photos: text and profiles of any size, 16 bits, and color spaces as browsers take them."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.photos import decode_photo

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(values: np.ndarray, *extra: tuple[bytes, bytes], end: bool = True) -> bytes:
    """An 8 or 16 bit PNG of (H, W) gray, (H, W, 3) RGB or (H, W, 4) RGBA, with chunks before its pixels."""
    kind = {2: 0, 3: 2 if values.ndim == 3 and values.shape[2] == 3 else 6}[values.ndim]
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 8 * values.itemsize, kind, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(values.dtype.newbyteorder(">")).tobytes() for row in values)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(rows)), *([(b"IEND", b"")] if end else [])]
    return SIGNATURE + b"".join(chunk(*one) for one in chunks)


GRAYS = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16)[..., None], 3, axis=2)


@pytest.mark.parametrize("name", [b"zTXt", b"iTXt", b"tEXt", b"iCCP"])
def test_png_with_megabytes_of_text_or_profile_is_used(name):
    packed = zlib.compress(bytes(20_000_000))
    body = {
        b"zTXt": b"Comment\0\0" + packed,
        b"iTXt": b"XML:com.adobe.xmp\0\1\0\0\0" + packed,
        b"tEXt": b"Comment\0" + b"x" * 3_000_000,
        b"iCCP": b"broken\0\0" + packed,
    }[name]
    np.testing.assert_array_equal(decode_photo(png(GRAYS, *[(name, body)] * 3)), GRAYS)


def test_profile_of_more_than_a_megabyte_is_applied():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    linear = bytearray(profile)
    for n in range(int.from_bytes(linear[128:132], "big")):
        entry = 132 + 12 * n
        if linear[entry : entry + 4] in (b"rTRC", b"gTRC", b"bTRC"):
            at = int.from_bytes(linear[entry + 4 : entry + 8], "big")
            linear[at : at + 12] = b"curv\0\0\0\0\0\0\0\0"
            linear[entry + 8 : entry + 12] = (12).to_bytes(4, "big")
    large = (len(linear) + 3_000_000).to_bytes(4, "big") + bytes(linear[4:]) + bytes(3_000_000)
    decoded = decode_photo(png(GRAYS, (b"iCCP", b"any name\0\0" + zlib.compress(large))))
    assert decoded[4, 0, 0] == pytest.approx(137, abs=1.5)  # 64 of linear light


def test_png_without_its_end_is_used_and_one_without_its_last_pixels_is_not():
    np.testing.assert_array_equal(decode_photo(png(GRAYS, end=False)), GRAYS)
    rows = zlib.compress(b"\0" * 100)
    header = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    short = SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    with pytest.raises(UnusablePhotoError, match="truncated or corrupt file"):
        decode_photo(short)


@pytest.mark.parametrize("name", [b"eXIf", b"iCCP", b"gAMA", b"cHRM", b"zTXt", b"tIME", b"fcTL", b"acTL", b"cICP"])
def test_damage_outside_the_image_does_not_cost_the_image(name):
    for body in (b"", b"\0", b"\xff" * 33, b"Raw profile type exif\0\0garbage"):
        np.testing.assert_array_equal(decode_photo(png(GRAYS, (name, body))), GRAYS)
    flipped = png(GRAYS, (name, b"some body")).replace(b"some body", b"sOme body")
    np.testing.assert_array_equal(decode_photo(flipped), GRAYS)


@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bits_of_color_are_rounded_and_never_cut_off(channels):
    values = np.random.default_rng(0).integers(0, 65536, (13, 17, channels)).astype(np.uint16)
    expected = np.round(values[..., :3] / 257)
    if channels == 4:
        opaque = np.round(values[..., 3:] / 257)
        expected = np.round((expected * opaque + 255 * (255 - opaque)) / 255)
    np.testing.assert_array_equal(decode_photo(png(values)), expected)


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("shape", [(16, 16), (16, 16, 3)])
def test_fewer_bits_in_sixteen_are_not_black(bits, shape):
    full = (1 << bits) - 1
    values = np.random.default_rng(0).integers(0, full + 1, shape).astype(np.uint16)
    values[0, 0] = full
    expected = np.round(values / full * 255)
    if values.ndim == 2:
        expected = np.repeat(expected[..., None], 3, axis=2)
    assert np.abs(decode_photo(png(values)) - expected).max() <= 0.5


def test_gamma_is_applied_as_browsers_do_and_the_usual_one_means_srgb():
    linear = decode_photo(png(GRAYS, (b"gAMA", struct.pack(">I", 100_000))))
    fraction = GRAYS / 255  # the transfer curve of IEC 61966-2-1
    srgb = 255 * np.where(fraction <= 0.0031308, 12.92 * fraction, 1.055 * fraction ** (1 / 2.4) - 0.055)
    assert np.abs(linear - srgb).max() <= 1.5
    np.testing.assert_array_equal(decode_photo(png(GRAYS, (b"gAMA", struct.pack(">I", 45_455)))), GRAYS)
    for better in ((b"sRGB", b"\0"), (b"cICP", b"\1\x0d\0\1")):  # they go first
        np.testing.assert_array_equal(decode_photo(png(GRAYS, (b"gAMA", struct.pack(">I", 100_000)), better)), GRAYS)


P3 = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)


@pytest.mark.parametrize(
    "extra",
    [(b"cHRM", struct.pack(">8I", *(round(1e5 * value) for value in P3))), (b"cICP", bytes([12, 13, 0, 1]))],
)
def test_primaries_without_a_profile_are_converted(extra):
    # Display P3 to sRGB: linear light by the matrix of the two sets of primaries (CSS Color 4), then the curve again.
    p3 = np.array([[(200, 120, 90), (128, 128, 128), (90, 140, 110)]], np.uint8)
    f = p3 / 255
    light = np.where(f <= 0.04045, f / 12.92, ((f + 0.055) / 1.055) ** 2.4)
    matrix = np.array([(1.2249, -0.2247, 0), (-0.0420, 1.0419, 0), (-0.0197, -0.0786, 1.0979)])
    light = light @ matrix.T
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(decode_photo(png(p3, extra)), expected, atol=1.5)


def test_high_dynamic_range_is_named():
    with pytest.raises(UnusablePhotoError, match=r"unsupported format: PNG of high dynamic range \(PQ\)"):
        decode_photo(png(GRAYS, (b"cICP", bytes([9, 16, 0, 1]))))


def test_xmp_orientation_is_never_heeded_and_exif_is():
    stale = b'XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta tiff:Orientation="6"/>'
    np.testing.assert_array_equal(decode_photo(png(GRAYS, (b"iTXt", stale))), GRAYS)
    exif = Image.Exif()
    exif[0x0112] = 3
    turned = decode_photo(png(GRAYS, (b"iTXt", stale), (b"eXIf", exif.tobytes()[6:])))
    np.testing.assert_array_equal(turned, GRAYS[::-1, ::-1])


def test_animation_gives_the_image_that_viewers_without_animations_show():
    frames = [Image.fromarray(GRAYS), Image.new("RGB", (16, 16), "red")]
    file = io.BytesIO()
    frames[0].save(file, "PNG", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode_photo(file.getvalue()), GRAYS)
