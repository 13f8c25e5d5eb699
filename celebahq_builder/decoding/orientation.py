"""How a photo was held: EXIF's orientation, and the upright view of pixels."""

import re

from PIL import Image

_ORIENTATION_TAG = 0x0112

UPRIGHT = {  # EXIF orientation -> the upright view of (H, W, ...) pixels
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[:, ::-1].swapaxes(0, 1),
}


def exif_orientation(exif: bytes | None) -> int:
    """Return the orientation that an EXIF block tells, 1 where there is none or it is broken.

    XMP has an orientation too: editors leave it behind when they turn the pixels, and browsers ignore it.
    """
    if not exif:
        return 1
    try:
        block = Image.Exif()
        block.load(exif)
        value = block.get(_ORIENTATION_TAG, 1)
    except MemoryError:
        raise
    except Exception:  # whatever damaged metadata make of Pillow
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def raw_profile_exif(text: str) -> bytes | None:
    """Return the EXIF block in a PNG text of ImageMagick's, "Raw profile type exif": a name, a length, hex digits."""
    digits = "".join(text.split("\n")[3:])
    return bytes.fromhex(digits) if re.fullmatch(r"(?:[0-9a-fA-F]{2})*", digits) else None
