"""JPEG photos: whole ones are used, whatever surrounds the image; damaged ones are refused."""

import io

import numpy as np
import pytest
from PIL import Image

from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.photos import decode_photo

KINDS = pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 20}])


def sample_image() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (100, 150, 3), np.uint8)
    return Image.fromarray(noise).resize((300, 200), Image.Resampling.BICUBIC)


def jpeg(image: Image.Image | None = None, **options) -> bytes:
    file = io.BytesIO()
    (image or sample_image()).save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def refusal(data: bytes) -> UnusablePhotoError:
    with pytest.raises(UnusablePhotoError) as refused:
        decode_photo(data)
    return refused.value


@KINDS
def test_jpeg_whose_only_defect_is_a_missing_end_is_used(options):
    data = jpeg(**options)
    np.testing.assert_array_equal(decode_photo(data[:-2]), decode_photo(data))


@KINDS
def test_jpeg_that_ends_early_is_refused_also_with_an_end_marker(options):
    data = jpeg(**options)
    for part in (0.3, 0.6, 0.9, 0.99):
        cut = data[: int(part * len(data))]
        for end in (b"", b"\xff\xd9", bytes(5000), bytes(5000) + b"\xff\xd9"):
            assert refusal(cut + end).reason == "truncated or corrupt file", (part, end[:4])


@KINDS
def test_jpeg_with_a_hole_is_refused(options):
    data = jpeg(**options)
    half = len(data) // 2
    assert refusal(data[:half] + data[half + 4096 :]).reason == "truncated or corrupt file"
    assert refusal(data[:half] + bytes(4096) + data[half + 4096 :]).reason == "truncated or corrupt file"


@KINDS
def test_what_lies_behind_the_image_does_not_count(options):
    data = jpeg(**options)
    # A telephone's film: it holds what looks like the start of a scan, and ends in zeros.
    film = b"\0\0\0\x18ftypmp42" + b"\xff\xda\0\x0c" + bytes(range(256)) * 20 + bytes(300)
    for behind in (film, bytes(512), jpeg(Image.new("RGB", (9, 9))), b"\xff\xd8\xff\xda garbage"):
        np.testing.assert_array_equal(decode_photo(data + behind), decode_photo(data))


@KINDS
def test_padding_before_the_end_and_between_the_segments_does_not_count(options):
    data = jpeg(**options)
    for padding in (bytes(1), bytes(40), b"\xff" * 7):
        np.testing.assert_array_equal(decode_photo(data[:-2] + padding + data[-2:]), decode_photo(data))
    tables = data.index(b"\xff\xdb")
    np.testing.assert_array_equal(decode_photo(data[:tables] + b"\0padding" + data[tables:]), decode_photo(data))


def test_progressive_jpeg_that_stops_between_two_scans_is_refused():
    data = jpeg(progressive=True)
    last = data.rindex(b"\xff\xda")
    last = max(data.rfind(b"\xff\xc4", 0, last), data.rfind(b"\xff\xda", 0, last))  # with its table
    assert refusal(data[:last]).detail == "the JPEG ends before its last scan"


@pytest.mark.parametrize(
    ("marker", "precision", "named"),
    [(0xC1, 12, "12-bit JPEG"), (0xC3, 8, "lossless JPEG"), (0xF7, 8, "JPEG-LS"), (0xC5, 8, "hierarchical JPEG")],
)
def test_whole_jpegs_of_other_kinds_are_named(marker, precision, named):
    data = bytearray(jpeg())
    at = data.index(b"\xff\xc0")
    data[at + 1], data[at + 4] = marker, precision
    refused = refusal(bytes(data))
    assert refused.reason.startswith("unsupported") and refused.detail.startswith(named)


def cmyk(inverted: bool) -> bytes:
    """A photograph in ink (white paper, a dark figure), without Adobe's marker."""
    ink = np.zeros((64, 64, 4), np.uint8)
    ink[16:48, 16:48] = (40, 120, 200, 90)
    data = jpeg(Image.fromarray(ink if inverted else 255 - ink, "CMYK"))  # Pillow inverts
    at = data.index(b"\xff\xee\0\x0eAdobe")
    return data[:at] + data[at + 16 :]


def test_cmyk_without_its_marker_is_no_negative_whichever_way_it_was_stored():
    for inverted in (True, False):
        decoded = decode_photo(cmyk(inverted))
        assert decoded[4, 4].min() > 240 and decoded[32, 32, 0] > decoded[32, 32, 2], inverted


@pytest.mark.parametrize("length", [3, 40_000])
def test_xmp_orientation_is_never_heeded_and_exif_is(length):
    stale = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/>' + b" " * length
    plain = decode_photo(jpeg())
    np.testing.assert_array_equal(decode_photo(jpeg(xmp=stale)), plain)
    exif = Image.Exif()
    exif[0x0112] = 3
    np.testing.assert_array_equal(decode_photo(jpeg(xmp=stale, exif=exif.tobytes())), plain[::-1, ::-1])


def test_profile_in_several_segments_is_put_together():
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # Bytes that no tag refers to, so that it takes three segments, whose order counts.
    padded = (len(profile) + 150_000).to_bytes(4, "big") + profile[4:] + bytes(150_000)
    from celebahq_builder.decoding.jpeg_segments import jpeg_segments

    assert jpeg_segments(jpeg(icc_profile=padded)).profile == padded


def test_jpeg_with_a_piece_too_much_in_its_middle_is_refused():
    # The decoder has all that it needs before the data are at their end: what is left over is no padding.
    data = jpeg()
    half = len(data) // 2
    assert "extraneous bytes" in refusal(data[:half] + data[half - 3000 : half] + data[half:]).detail
