"""JPEG photos: decoded by libjpeg-turbo, which tells whole ones from damaged ones."""

import re

import numpy as np
import simplejpeg

from celebahq_builder.decoding.jpeg_segments import EOI, JpegSegments, jpeg_segments
from celebahq_builder.decoding.limits import check_size
from celebahq_builder.decoding.orientation import exif_orientation
from celebahq_builder.decoding.pixels import Pixels
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError

_UNSUPPORTED = {
    0xC3: "lossless JPEG",
    0xC5: "hierarchical JPEG",
    0xC6: "hierarchical JPEG",
    0xC7: "hierarchical JPEG",
    0xCB: "lossless JPEG",
    0xCD: "hierarchical JPEG",
    0xCE: "hierarchical JPEG",
    0xCF: "hierarchical JPEG",
    0xF7: "JPEG-LS",
}
_COLORS = {1: "GRAY", 3: "RGB", 4: "CMYK"}
_EXTRANEOUS = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
# What libjpeg says of headers that it reads all the same.
_HARMLESS = ("Warning: unknown JFIF revision", "Unknown Adobe color transform code")
_MAX_EXTRANEOUS = 4
_PLAIN_INK_BELOW = 96


def decode_jpeg(data: bytes, max_megapixels: float) -> Pixels:
    """Decode the first image of a JPEG file.

    Used: one without its last two bytes, one with anything between its segments or behind its end (telephones put a
    film there). Refused: data that end early or have a hole, which libjpeg fills with gray or garbage.

    Raises:
        UnusablePhotoError: "truncated or corrupt file", "unsupported format", "too many pixels" or "too much memory".
    """
    segments = jpeg_segments(data)
    if not segments.frame:
        raise UnusablePhotoError("truncated or corrupt file", f"{len(data)} bytes that begin like a JPEG")
    _check_kind(segments)
    components = len(segments.sampling)
    upright = 0 if exif_orientation(segments.exif) == 1 else 3
    # CMYK, and its RGB; otherwise one array, and its upright copy.
    held = 7 if components == 4 else components + max(upright, 0 if components == 3 else 3)
    coefficients = 2 * segments.coefficients if segments.progressive or _several_scans(segments) else 0
    check_size(segments.width, segments.height, held, 2 * len(data) + coefficients, max_megapixels)

    array = _decode(segments, _COLORS[components])
    if components == 4:
        array = _ink(array, segments)
    return Pixels(
        array[..., 0] if components == 1 else array,
        profile=segments.profile,
        orientation=exif_orientation(segments.exif),
    )


def _check_kind(segments: JpegSegments) -> None:
    if segments.frame in _UNSUPPORTED:
        raise UnusablePhotoError(
            "unsupported format", f"{_UNSUPPORTED[segments.frame]}, expected a baseline or progressive"
        )
    if segments.precision != 8:
        raise UnusablePhotoError("unsupported pixel format", f"{segments.precision}-bit JPEG, expected 8 bits")
    if len(segments.sampling) not in _COLORS:
        found = f"JPEG of {len(segments.sampling)} components"
        raise UnusablePhotoError("unsupported pixel format", f"{found}, expected 1, 3 or 4")


def _several_scans(segments: JpegSegments) -> bool:
    """An image whose components come one after the other is kept whole by the decoder, like a progressive one."""
    return segments.data.count(b"\xff\xda") > 1


def _decode(segments: JpegSegments, colors: str) -> np.ndarray:
    channels = {"GRAY": 1, "RGB": 3, "CMYK": 4}[colors]
    array = np.empty((segments.height, segments.width, channels), np.uint8)
    complaint = _decode_into(array, segments.data, colors)
    if complaint and (surplus := _EXTRANEOUS.search(complaint)) and segments.has_end:
        # Some cameras pad the data before the end. What is left without the padding must be whole.
        body = segments.data[: -len(EOI)]
        padding = len(body) - len(body.rstrip(body[-1:]))
        padding -= body[-1:] == b"\0" and body[-padding - 1 : -padding] == b"\xff"  # FF 00 is data
        surplus_bytes = int(surplus[1])
        if padding >= surplus_bytes or surplus_bytes <= _MAX_EXTRANEOUS:
            complaint = _decode_into(array, body[: len(body) - max(padding, surplus_bytes)] + EOI, colors)
    if complaint.startswith(("Unsupported", "Sorry")):
        raise UnusablePhotoError("unsupported format", complaint)
    if complaint:
        raise UnusablePhotoError("truncated or corrupt file", complaint)
    if not segments.complete and not (segments.has_end and segments.progressive):
        raise UnusablePhotoError("truncated or corrupt file", "the JPEG ends before its last scan")
    return array


def _decode_into(array: np.ndarray, data: bytes, colors: str) -> str:
    """Decode; return what libjpeg had to repair, or "" for nothing."""
    try:
        simplejpeg.decode_jpeg(data, colors, buffer=array, strict=True)
    except ValueError as error:
        complaint = str(error)
        if not complaint.startswith(_HARMLESS):
            return complaint
    return ""


def _ink(array: np.ndarray, segments: JpegSegments) -> np.ndarray:
    """Return CMYK with 255 as full ink.

    Adobe stores it inverted and says so in a marker. Without the marker, browsers take it for inverted, too, because
    most files that lack the marker have lost it; but programs that never knew Adobe store plain ink. A photograph's
    black ink tells: most of an image has little of it, so that it is mostly light when inverted and mostly dark when
    not.
    """
    inverted = segments.adobe is not None or float(array[::4, ::4, 3].mean()) >= _PLAIN_INK_BELOW
    if inverted:
        np.subtract(255, array, out=array)
    return array
