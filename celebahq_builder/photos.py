"""Decode photos: every kind of file becomes (H, W, 3) uint8 sRGB, upright, or a reason why not."""

import io
import logging
import warnings
from collections.abc import Callable

import numpy as np
from PIL import Image

from celebahq_builder.decoding.colors import to_upright_srgb
from celebahq_builder.decoding.heif import decode_avif, decode_heic
from celebahq_builder.decoding.jpeg import decode_jpeg
from celebahq_builder.decoding.kinds import foreign_kind, photo_kind
from celebahq_builder.decoding.limits import MAX_MEGAPIXELS, check_size
from celebahq_builder.decoding.orientation import exif_orientation
from celebahq_builder.decoding.pixels import Pixels, array_of, to_eight_bits
from celebahq_builder.decoding.png import decode_png
from celebahq_builder.decoding.tiff import decode_tiff, read_all_by_libtiff
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.released.libjpeg8d import decode_libjpeg8d
from celebahq_builder.sources.listing import find_photos, read_photo

__all__ = ["READ", "decode_photo", "decode_with_orientation", "find_photos", "read_photo"]

READ = "JPEG, PNG, WebP, TIFF, BMP, GIF, PNM, AVIF or HEIC"

# What Pillow raises on bytes that are not what they promise; anything else is its surprise at damaged metadata.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError)


def decode_photo(data: bytes, max_megapixels: float = MAX_MEGAPIXELS) -> np.ndarray:
    """Decode a photo: upright as its EXIF says, sRGB as its profile says, on white where it is transparent.

    JPEG, PNG, WebP, TIFF, BMP, GIF, PNM, AVIF and HEIC of every pixel format up to 16 bits; of an animation the first
    image, of a TIFF the largest page. A profile that is broken or does not fit the pixels is ignored, as browsers do.

    Args:
        data: the bytes of the file.
        max_megapixels: larger images are refused by their header, before anything is decoded, and so is one whose
            decoding would take more than photo_limits.MAX_DECODING_BYTES.

    Returns:
        (H, W, 3) uint8 sRGB.

    Raises:
        UnusablePhotoError: "empty file", "not an image", "unsupported format", "unsupported pixel format",
            "too many pixels", "too much memory", "truncated or corrupt file" or "damaged ... metadata"; but for
            MemoryError nothing else, whatever the file holds.
    """
    return decode_with_orientation(data, max_megapixels)[0]


def decode_with_orientation(
    data: bytes, max_megapixels: float = MAX_MEGAPIXELS, decoder: str = "default"
) -> tuple[np.ndarray, int]:
    """Decode a photo as decode_photo does, and tell by which EXIF orientation (1 to 8) it was brought upright.

    With decoder "libjpeg8d" color JPEGs get the pixels of that library; all else, checks included, is the same.
    """
    _prepare_pillow()
    if not data:
        raise UnusablePhotoError("empty file", "0 bytes")
    kind = photo_kind(data[:300])
    if not kind:
        if foreign := foreign_kind(data[:300]):
            raise UnusablePhotoError("unsupported format", f"got {foreign}, expected {READ}")
        raise UnusablePhotoError("not an image", f"{len(data)} bytes that begin with {data[:16]!r}")
    try:
        pixels = _DECODERS[kind](data, max_megapixels)
        if decoder == "libjpeg8d" and kind == "JPEG" and pixels.array.shape[2:] == (3,):
            pixels.array = decode_libjpeg8d(data)
        return to_upright_srgb(pixels), pixels.orientation
    except (UnusablePhotoError, MemoryError):
        raise
    except _BROKEN as error:
        found = f"{len(data)} bytes that begin like {kind}"
        words = "" if isinstance(error, Image.UnidentifiedImageError) else f": {error}"
        raise UnusablePhotoError("truncated or corrupt file", found + words) from None
    except Exception as error:
        raise UnusablePhotoError(f"damaged {kind} metadata", f"{type(error).__name__}: {error}") from None


def _decode_plain(data: bytes, max_megapixels: float, format: str, bytes_a_pixel: int) -> Pixels:
    """Decode what Pillow reads without further ado."""
    image = Image.open(io.BytesIO(data), formats=[format])
    check_size(image.width, image.height, bytes_a_pixel, 2 * len(data), max_megapixels)
    image.load()
    orientation, profile = exif_orientation(image.info.get("exif")), image.info.get("icc_profile")
    if image.mode.startswith("I"):
        return Pixels(to_eight_bits(array_of(image).astype(np.uint16)), None, profile, orientation)
    if image.mode == "F":
        raise UnusablePhotoError("unsupported pixel format", f"floating point {format}, expected integers")
    gray = image.mode in ("1", "L", "LA")
    if not image.has_transparency_data:
        return Pixels(array_of(image.convert("L" if gray else "RGB")), None, profile, orientation)
    array = array_of(image.convert("LA" if gray else "RGBA"))
    return Pixels(array[..., 0] if gray else array[..., :3], array[..., -1], profile, orientation)


def _plain(format: str, bytes_a_pixel: int) -> Callable[[bytes, float], Pixels]:
    return lambda data, max_megapixels: _decode_plain(data, max_megapixels, format, bytes_a_pixel)


_DECODERS: dict[str, Callable[[bytes, float], Pixels]] = {
    "JPEG": decode_jpeg,
    "PNG": decode_png,
    "TIFF": decode_tiff,
    "AVIF": decode_avif,
    "HEIC": decode_heic,
    "WebP": _plain("WEBP", 16),  # the decoder's canvas and frame, Pillow's image, our array
    "BMP": _plain("BMP", 8),
    "GIF": _plain("GIF", 12),
    "PNM": _plain("PPM", 12),
}


def _prepare_pillow() -> None:
    """Damaged metadata are the photo's affair, not news for the terminal; the bomb check is ours (check_size).

    Idempotent, and done at each call, because warning filters are reset by others; catch_warnings is not
    thread-safe.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logger = logging.getLogger("PIL")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    Image.MAX_IMAGE_PIXELS = None
    read_all_by_libtiff()
