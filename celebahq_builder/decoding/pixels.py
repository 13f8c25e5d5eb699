"""A decoded photo before its colors are brought to sRGB: bare pixels, and what the file says about them."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

_WINDOWS = tuple((1 << bits) - 1 for bits in (8, 10, 12, 14))  # what cameras and scanners put into 16 bits


@dataclass
class Pixels:
    """What a decoder returns.

    array: uint8, (H, W) gray, (H, W, 3) RGB or (H, W, 4) CMYK (255 is full ink).
    alpha: (H, W) uint8, or None where everything is opaque.
    profile: ICC profile, or None.
    orientation: EXIF's, 1 to 8; 1 is upright.
    """

    array: np.ndarray
    alpha: np.ndarray | None = None
    profile: bytes | None = None
    orientation: int = 1


def to_eight_bits(values: np.ndarray, white_is_zero: bool = False, full: int | None = None) -> np.ndarray:
    """Scale integers of 16 bits to 0..255, rounded.

    Cameras and scanners put 8, 10, 12 or 14 bits into 16. A photograph whose lightest pixel lies below a quarter of the
    range would be all but black; it is taken for one of these, with the least range that holds it.

    Args:
        values: uint16, of either byte order.
        white_is_zero: 0 is white.
        full: the value of white, where it is known.
    """
    if full is None:
        largest = int(values.max(initial=0))
        full = next((window for window in _WINDOWS if 0 < largest <= window), 65535)
    scaled = np.empty(values.shape, np.uint8)
    for row in range(0, len(values), 256):  # in bands, which bounds the memory
        band = values[row : row + 256].astype(np.uint32)
        if white_is_zero:
            band = full - band
        scaled[row : row + 256] = (band * 255 + full // 2) // full
    return scaled


def array_of(image: Image.Image) -> np.ndarray:
    """Return the pixels of a loaded image, and let go of the image's own."""
    array = np.array(image)
    image.close()
    image.im = None  # type: ignore[assignment]  # its memory, which close() keeps
    return array
