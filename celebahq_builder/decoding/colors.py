"""Bring a decoded photo to upright sRGB on white: its profile by what the profile does, then its transparency."""

import io
from functools import cache

import numpy as np
from PIL import Image, ImageCms

from celebahq_builder.decoding.orientation import UPRIGHT
from celebahq_builder.decoding.pixels import Pixels

_BAND_ROWS = 256
_SAME = 2  # gray levels: sRGB by another maker, whose conversion would cost a rounding and mend nothing
_SPACES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}


def to_upright_srgb(pixels: Pixels) -> np.ndarray:
    """Return (H, W, 3) uint8 sRGB, contiguous. The order matters: the profile describes the bare colors.

    A profile that is broken or does not fit the pixels is ignored, as browsers do.
    """
    turn = UPRIGHT[pixels.orientation]
    source = turn(pixels.array)
    alpha = None if pixels.alpha is None else turn(pixels.alpha)
    convert = _conversion(pixels)
    if convert is None and alpha is None and source.ndim == 3:
        return np.ascontiguousarray(source)

    in_place = source.ndim == 3 and source.shape[2] == 3 and source.flags.c_contiguous and source.flags.writeable
    rgb = source if in_place else np.empty((*source.shape[:2], 3), np.uint8)
    for row in range(0, len(source), _BAND_ROWS):  # in bands, which bounds the memory
        band = source[row : row + _BAND_ROWS]
        if convert is not None:
            band = convert(np.ascontiguousarray(band))
        elif band.ndim == 2:
            band = band[..., None]  # gray spreads over the three channels
        if alpha is not None:
            opaque = alpha[row : row + _BAND_ROWS, :, None].astype(np.uint16)
            band = ((band * opaque + 255 * (255 - opaque) + 127) // 255).astype(np.uint8)
        rgb[row : row + _BAND_ROWS] = band
    return rgb


def _conversion(pixels: Pixels):
    """Return a function from a band of pixels to RGB, or None where they are gray or RGB and need none."""
    mode = {2: "L", 3: "RGB", 4: "CMYK"}[pixels.array.ndim if pixels.array.ndim == 2 else pixels.array.shape[2]]
    transform, takes = _transform(pixels.profile, mode) if pixels.profile else (None, mode)
    if transform is None and mode != "CMYK":
        return None

    def convert(band: np.ndarray) -> np.ndarray:
        image = Image.fromarray(band, "CMYK") if mode == "CMYK" else Image.fromarray(band)
        if transform is None:
            return np.asarray(image.convert("RGB"))
        return np.asarray(ImageCms.applyTransform(image if takes == mode else image.convert(takes), transform))

    return convert


def _transform(profile: bytes, mode: str) -> tuple[ImageCms.ImageCmsTransform | None, str]:
    """Return the way from a profile to sRGB and the mode that it takes; None where it is sRGB, broken or another's."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        takes = _SPACES.get(source.profile.xcolor_space.strip(), "")
        if takes != mode and not (takes == "RGB" and mode == "L"):
            return None, mode
        transform = ImageCms.buildTransform(source, _srgb(), takes, "RGB")
        if takes == "RGB":
            probe = _probe()
            after = np.asarray(ImageCms.applyTransform(probe, transform)).astype(int)
            if np.abs(after - np.asarray(probe)).max() <= _SAME:
                return None, mode
        return transform, takes
    except MemoryError:
        raise
    except Exception:  # whatever a broken profile makes of lcms and Pillow
        return None, mode


@cache
def _probe() -> Image.Image:
    """Colors from all of the cube, and every gray."""
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3)
    grays = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    return Image.fromarray(np.concatenate([cube, grays])[None])


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
