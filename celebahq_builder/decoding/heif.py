"""AVIF and HEIC photos: one container, two decoders, and the color codes that neither of them applies."""

import io
import struct

from PIL import AvifImagePlugin, Image, features

from celebahq_builder.decoding.color_profiles import coded_profile
from celebahq_builder.decoding.limits import check_size
from celebahq_builder.decoding.orientation import exif_orientation
from celebahq_builder.decoding.pixels import Pixels, array_of
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError

# The planes of the video decoder (of up to 16 bits), its reference, the RGB made of them, Pillow's image, our array.
_BYTES_A_PIXEL = 18
_CONTAINERS = {b"meta": 4, b"iprp": 0, b"ipco": 0}  # boxes that hold boxes, and how many bytes come before these
_MAX_BOXES = 5000


def decode_avif(data: bytes, max_megapixels: float) -> Pixels:
    """Decode an AVIF; of a sequence the first image.

    Raises:
        UnusablePhotoError: "truncated or corrupt file", "unsupported format", "too many pixels" or "too much memory".
    """
    if not features.check("avif"):
        raise UnusablePhotoError(
            "unsupported format", "AVIF, and this Pillow was built without it: pip install -U pillow"
        )
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # a worker has one core
    _check_extents(data, max_megapixels)
    image = Image.open(io.BytesIO(data), formats=["AVIF"])
    check_size(image.width, image.height, _BYTES_A_PIXEL, 2 * len(data), max_megapixels)
    image.load()
    # libavif's own turns are in the EXIF that Pillow gives.
    return _pixels(image, "AVIF", _color_codes(data), exif_orientation(image.info.get("exif")))


def decode_heic(data: bytes, max_megapixels: float) -> Pixels:
    """Decode a HEIC: the primary image. libheif turns it as the file says; its EXIF orientation is for others.

    Raises:
        UnusablePhotoError: "truncated or corrupt file", "unsupported format", "too many pixels" or "too much memory".
    """
    try:
        import pi_heif
    except ImportError:
        raise UnusablePhotoError("unsupported format", "HEIC, which takes a library: pip install pi-heif") from None
    _check_extents(data, max_megapixels)
    pi_heif.options.DECODE_THREADS = 1
    pi_heif.options.THUMBNAILS = pi_heif.options.DEPTH_IMAGES = pi_heif.options.AUX_IMAGES = False
    file = pi_heif.open_heif(io.BytesIO(data))
    width, height = file.size
    check_size(width, height, _BYTES_A_PIXEL, 2 * len(data), max_megapixels)
    codes = file.info.get("nclx_profile")  # of the primary image; a gain map may have others
    return _pixels(
        file.to_pillow(), "HEIC", codes and (codes["color_primaries"], codes["transfer_characteristics"]), orientation=1
    )


def _pixels(image: Image.Image, kind: str, codes: tuple[int, int] | None, orientation: int) -> Pixels:
    profile = image.info.get("icc_profile") or None
    if codes and not profile:
        profile = coded_profile(*codes, what=kind)
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert("RGBA" if "A" in image.mode or "a" in image.mode else "RGB")
    array = array_of(image)
    if image.mode.endswith("A"):
        colors = array[..., 0] if image.mode == "LA" else array[..., :3]
        return Pixels(colors, array[..., -1], profile, orientation)
    return Pixels(array, None, profile, orientation)


def _check_extents(data: bytes, max_megapixels: float) -> None:
    """Refuse by the sizes that the container declares, before a decoder sees the file."""
    for body in _properties(data, b"ispe"):
        if len(body) >= 12:
            width, height = struct.unpack(">II", body[4:12])
            if width and height:
                check_size(width, height, _BYTES_A_PIXEL, 2 * len(data), max_megapixels)


def _color_codes(data: bytes) -> tuple[int, int] | None:
    """Return the primaries and the transfer of the first nclx color box, as in H.273."""
    for body in _properties(data, b"colr"):
        if body[:4] == b"nclx" and len(body) >= 10:
            return struct.unpack(">HH", body[4:8])
    return None


def _properties(data: bytes, wanted: bytes) -> list[bytes]:
    """Return the bodies of the boxes of one name among the properties of the images."""
    found, spans, seen = [], [(0, len(data))], 0
    while spans and seen < _MAX_BOXES:
        at, end = spans.pop()
        while at + 8 <= end and seen < _MAX_BOXES:
            seen += 1
            length, name = struct.unpack(">I4s", data[at : at + 8])
            header = 8
            if length == 1:
                length = int.from_bytes(data[at + 8 : at + 16], "big")
                header = 16
            stop = end if length == 0 else min(at + length, end)
            if stop < at + header:
                break
            if name == wanted:
                found.append(data[at + header : min(stop, at + header + 64)])
            elif name in _CONTAINERS:
                spans.append((at + header + _CONTAINERS[name], stop))
            at = stop
    return found
