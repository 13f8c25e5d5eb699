"""Every kind of file becomes upright sRGB, or the reason why not."""

import io
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
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


def refusal(data: bytes, **options) -> UnusablePhotoError:
    with pytest.raises(UnusablePhotoError) as refused:
        decode_photo(data, **options)
    return refused.value


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 95}, 12),
        ("JPEG", {"quality": 95, "subsampling": 0}, 6),
        ("JPEG", {"quality": 95, "subsampling": 0, "progressive": True}, 6),
    ],
)
def test_each_format_gives_the_pixels_that_were_written(kind, options, tolerance):
    decoded = decode_photo(encoded(sample_image(), kind, **options))
    assert decoded.dtype == np.uint8 and decoded.shape == (32, 48, 3) and decoded.flags.c_contiguous
    assert np.abs(decoded.astype(int) - np.asarray(sample_image())).max() <= tolerance


# How a camera held in each of the eight ways would have stored the upright image.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "JPEG"])
@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_applied_once(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](np.asarray(sample_image()))))
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95, "subsampling": 0}}.get(kind, {})
    decoded = decode_photo(encoded(stored, kind, exif=exif.tobytes(), **options))
    np.testing.assert_allclose(decoded, np.asarray(sample_image()), atol=6 if kind == "JPEG" else 0)


def test_broken_exif_is_ignored():
    data = encoded(sample_image(), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    np.testing.assert_array_equal(decode_photo(data), np.asarray(sample_image()))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "JPEG"])
def test_gray_becomes_three_equal_channels(kind):
    decoded = decode_photo(encoded(sample_image().convert("L"), kind, **({"quality": 100} if kind == "JPEG" else {})))
    assert (decoded == decoded[..., :1]).all()
    assert np.abs(decoded[..., 0].astype(int) - np.asarray(sample_image().convert("L"))).max() <= 2


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_one_bit_becomes_black_and_white(kind):
    bits = Image.fromarray(np.indices((8, 8)).sum(0) % 2 == 1)
    expected = np.repeat((np.indices((8, 8)).sum(0) % 2 * 255)[..., None], 3, axis=2)
    np.testing.assert_array_equal(decode_photo(encoded(bits, kind)), expected)


def test_transparency_is_laid_on_white():
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0] = [(200, 0, 0, 255), (200, 0, 0, 0), (200, 0, 0, 51)]  # opaque, clear, one fifth
    expected = [[(200, 0, 0), (255, 255, 255), (244, 204, 204)]]
    for kind in ("PNG", "WEBP", "TIFF"):
        options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
        np.testing.assert_array_equal(decode_photo(encoded(Image.fromarray(rgba), kind, **options)), expected)
    gray = Image.merge("LA", [Image.fromarray(rgba[..., 0]), Image.fromarray(rgba[..., 3])])
    np.testing.assert_array_equal(decode_photo(encoded(gray, "PNG")), [[[200] * 3, [255] * 3, [244] * 3]])


def test_palette_keeps_its_colours_and_its_transparent_entry_turns_white():
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 200, 100, 50, 1, 2, 3])
    image.putdata([0, 1, 2])
    expected = [[(10, 20, 30), (200, 100, 50), (1, 2, 3)]]
    np.testing.assert_array_equal(decode_photo(encoded(image, "PNG")), expected)
    np.testing.assert_array_equal(decode_photo(encoded(image, "BMP")), expected)
    expected[0][1] = (255, 255, 255)
    np.testing.assert_array_equal(decode_photo(encoded(image, "PNG", transparency=1)), expected)
    # One alpha an entry, as optimisers write it.
    np.testing.assert_array_equal(decode_photo(encoded(image, "PNG", transparency=b"\xff\0\xff")), expected)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_gray_is_scaled_and_not_clipped(kind):
    values = np.array([[0, 128, 129, 257, 32768, 65278, 65535]], np.uint16)
    decoded = decode_photo(encoded(Image.fromarray(values), kind))
    np.testing.assert_array_equal(decoded[0, :, 1], np.round(values[0] / 257))


def test_sixteen_bit_gray_tiff_with_white_as_zero_is_not_a_negative():
    values = np.array([[0, 32768, 65535]], np.uint16)
    data = encoded(Image.fromarray(values), "TIFF", tiffinfo={262: 0})
    np.testing.assert_array_equal(decode_photo(data)[0, :, 0], [255, 127, 0])


def test_sixteen_bit_colour_png_is_scaled():
    def chunk(name: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")

    rows = b"\0" + np.array([[0, 32768, 65535], [257, 514, 10280]], ">u2").tobytes()  # Pillow cannot write such a file
    header = (2).to_bytes(4, "big") + (1).to_bytes(4, "big") + bytes([16, 2, 0, 0, 0])
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    np.testing.assert_array_equal(decode_photo(data), [[[0, 128, 255], [1, 2, 40]]])


@pytest.mark.parametrize("values", [[[-5.0, 0.5]], [[0.0, np.nan]]])
def test_floating_point_pixels_have_no_known_white_and_are_refused(values):
    data = encoded(Image.fromarray(np.array(values, np.float32)), "TIFF")
    assert refusal(data).reason == "unsupported pixel format"


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_of_several_images_the_first_is_taken(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    other = Image.new("RGB", sample_image().size, "white")
    data = encoded(sample_image(), kind, save_all=True, append_images=[other], **options)
    np.testing.assert_array_equal(decode_photo(data), np.asarray(sample_image()))


def test_telephone_jpeg_with_a_second_image_is_decoded():
    data = encoded(
        sample_image(), "MPO", save_all=True, append_images=[Image.new("RGB", (9, 9))], quality=95, subsampling=0
    )
    assert np.abs(decode_photo(data).astype(int) - np.asarray(sample_image())).max() <= 6


def test_unusable_files_are_refused_with_a_reason():
    assert refusal(b"").reason == "empty file"
    html = refusal(b"<!DOCTYPE html><title>Quota exceeded</title>")
    assert html.reason == "not an image" and "<!DOCTYPE html>" in html.detail
    jxl = refusal(b"\xff\x0a" + bytes(100))
    assert jxl.reason == "unsupported format" and jxl.detail.startswith("got JPEG XL, expected JPEG, PNG,")
    assert refusal(b"\xff\xd8\xff\xe0").reason == "truncated or corrupt file"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_truncated_file_is_refused(kind, part):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    assert refusal(data[: int(part * len(data))]).reason == "truncated or corrupt file"


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_jpeg_whose_end_is_zeros_is_refused(options):
    data = encoded(sample_image(200, 200), "JPEG", **options)
    half = data[: len(data) // 2] + bytes(10 * len(data))  # enough for the decoder to fill the image with
    assert refusal(half).reason == "truncated or corrupt file"
    decode_photo(data + bytes(512))  # padding behind a whole image is harmless


def test_png_with_a_flipped_bit_is_refused():
    data = bytearray(encoded(sample_image(), "PNG"))
    data[data.index(b"IDAT") + 20] ^= 1
    assert refusal(bytes(data)).reason == "truncated or corrupt file"


def test_decompression_bomb_is_refused_by_its_header():
    data = bytearray(encoded(Image.new("1", (8, 8)), "BMP"))
    data[18:26] = (60_000).to_bytes(4, "little") + (50_000).to_bytes(4, "little")
    refused = refusal(bytes(data))
    assert refused.reason == "too many pixels"
    assert refused.detail == "60000x50000 px are 3000 megapixels, at most 200 are expected"
    assert refusal(encoded(sample_image(), "PNG"), max_megapixels=0.001).reason == "too many pixels"


def test_largest_input_of_the_paper_is_not_too_large():
    data = encoded(Image.new("1", (6732, 8984)), "PNG")
    assert decode_photo(data).shape == (8984, 6732, 3)


def test_nothing_of_pillow_reaches_the_terminal():
    # Each of these makes a bare Pillow warn: an image of 99 megapixels, an EXIF block cut short, a wild TIFF offset.
    program = """
import io, struct, sys, threading
from PIL import Image
def encoded(size, kind, **options):
    file = io.BytesIO()
    Image.new("1", size).convert(options.pop("mode", "1")).save(file, kind, **options)
    return file.getvalue()
ifd = b"Exif\\0\\0II*\\0\\x08\\0\\0\\0" + struct.pack("<HHHII", 3, 0x10f, 2, 200, 0xffff00)
files = [encoded((9000, 11000), "PNG"), encoded((8, 8), "JPEG", mode="L", exif=ifd)]
if "ours" in sys.argv:
    from celebahq_builder.photos import decode_photo
    from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
    def work():
        for data in files:
            try:
                decode_photo(data, max_megapixels=50)
            except UnusablePhotoError:
                pass
    threads = [threading.Thread(target=work) for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
else:
    for data in files:
        Image.open(io.BytesIO(data)).getexif()
""".replace("\\\\", "\\")
    words = {
        who: subprocess.run([sys.executable, "-c", program, who], capture_output=True, text=True, check=True).stderr
        for who in ("pillow", "ours")
    }
    assert "DecompressionBombWarning" in words["pillow"] and "TiffImagePlugin" in words["pillow"]
    assert words["ours"] == ""


def test_real_photographs_decode_as_pillow_decodes_them(real_data):
    paths = sorted((real_data / "in_the_wild").iterdir())[::12]
    assert len(paths) > 20
    for path in paths:
        with Image.open(path) as image:
            plain = "icc_profile" not in image.info and image.getexif().get(0x0112, 1) == 1 and image.mode == "RGB"
            expected = np.asarray(image.convert("RGB"))
        decoded = decode_photo(path.read_bytes())
        assert decoded.shape[0] * decoded.shape[1] == expected.shape[0] * expected.shape[1]
        if plain:
            np.testing.assert_array_equal(decoded, expected)


def test_real_photographs_cut_anywhere_are_refused(real_data):
    for path in sorted((real_data / "in_the_wild").glob("*.jpg"))[::40]:
        data = path.read_bytes()
        for part in (0.3, 0.7, 0.99):
            assert refusal(data[: int(part * len(data))]).reason == "truncated or corrupt file", path.name
