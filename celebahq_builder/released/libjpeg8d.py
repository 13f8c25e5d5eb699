"""Decode a JPEG exactly as libjpeg 8d does, the decoder that the official crops rest on: by jpeglib, or by numpy.

jpeglib (extra `official`) brings the library itself. Where it has no wheel (Linux on ARM, musl) plain Python and numpy
read the coefficients and compute the same bytes, some ten times slower.
"""

import contextlib
import importlib.util
import io
import os
import tempfile
import threading
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from celebahq_builder.released.jpeg_huffman import DamagedJPEGError

VERSION = "8d"
MAX_PIXELS = 200e6
_ONE_AT_A_TIME = threading.Lock()  # the version is a setting of the whole process


def has_jpeglib() -> bool:
    return importlib.util.find_spec("jpeglib") is not None


def decode_libjpeg8d(data: bytes) -> np.ndarray:
    """Decode a color JPEG: EXIF and ICC ignored, as the released program ignores them.

    Args:
        data: the bytes of the file.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: no JPEG, a gray, CMYK or 12-bit one, or one that is cut short or damaged.
    """
    if not has_jpeglib():
        from celebahq_builder.released.jpeg8d_pixels import pixels
        from celebahq_builder.released.jpeg_coefficients import read_coefficients

        return pixels(read_coefficients(data, MAX_PIXELS))
    _refuse_what_is_cut_short(data)
    return _decode_by_jpeglib(data)


def _refuse_what_is_cut_short(data: bytes) -> None:
    """libjpeg fills what is missing and only says so on the terminal: Pillow is asked first."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=("JPEG",))
            if image.width * image.height > MAX_PIXELS:
                raise DamagedJPEGError(f"a JPEG of {image.width}x{image.height} pixels")
            if image.mode != "RGB":
                raise DamagedJPEGError(f"a JPEG of mode {image.mode}")
            image.load()
    except DamagedJPEGError:
        raise
    except Exception as error:  # whatever Pillow raises on bytes that are not what they promise
        raise DamagedJPEGError(str(error) or type(error).__name__) from None


def _decode_by_jpeglib(data: bytes) -> np.ndarray:
    import jpeglib

    descriptor, path = tempfile.mkstemp(suffix=".jpg")  # it reads paths only
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        with _ONE_AT_A_TIME:
            jpeglib.version.set(VERSION)
            pixels = jpeglib.read_spatial(path).spatial
    except OSError as error:
        raise DamagedJPEGError(str(error)) from None
    finally:
        with contextlib.suppress(OSError):
            Path(path).unlink()
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise DamagedJPEGError(f"a JPEG of {pixels.shape[-1]} channels")
    return np.ascontiguousarray(pixels)
