"""One image of an import: its bytes or pixels to the levels of a row, or the reason why it does not fit."""

import hashlib
import io
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageOps

from celebahq_builder.pyramid import pyramid
from celebahq_builder.sources.images import SourceError

_CELEBA_SIZE, _CELEBA_CENTER, _CELEBA_HALF = (178, 218), (89, 121), 64  # (x, y); the released create_celeba
_FILTERS = {"box": Image.Resampling.BOX, "lanczos": Image.Resampling.LANCZOS}
_MOST_PIXELS = 1 << 27  # 11,585 a side
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # we have a bound of our own


@dataclass(frozen=True)
class Fit:
    """How images are made to fit: see ImportConfig. channels: 3 for RGB, 1 for gray."""

    resolution: int
    channels: int
    crop: Literal["none", "center", "top", "celeba"]
    resize: Literal["none", "box", "lanczos"]
    to_rgb: bool


@dataclass(frozen=True)
class LoadedImage:
    """levels: resolution -> (C, r, r) uint8; the sha256 of the file's bytes and of its pixels."""

    levels: dict[int, np.ndarray]
    source_sha256: str
    pixel_sha256: str


def load_image(data: bytes | np.ndarray, name: str, fit: Fit) -> LoadedImage:
    """Decode, crop, resize, reduce; SourceError, with a reason that many images share, for one that does not fit."""
    image = _decode(data, name, fit.to_rgb)
    if _channels(image) != fit.channels:
        wanted = "gray" if fit.channels == 1 else "RGB"
        raise SourceError(
            f"{name}: got mode {image.mode}, expected {wanted}, as the first image is (--to-rgb converts)",
            reason=f"mode {image.mode}",
        )
    face = _crop(image, name, fit.crop)
    if face.size != (fit.resolution, fit.resolution):
        size = f"{face.width}x{face.height}"
        if fit.resize == "none":
            wanted = f"{fit.resolution}x{fit.resolution}"
            raise SourceError(
                f"{name}: got {size}, expected {wanted} (see --resolution, --crop, --resize)", reason=size
            )
        if face.width != face.height:
            raise SourceError(f"{name}: got {size}, expected a square (--crop center makes one)", reason="no square")
        face = face.resize((fit.resolution, fit.resolution), _FILTERS[fit.resize])
    pixels = np.asarray(face)
    raw = data if isinstance(data, bytes) else np.ascontiguousarray(data).tobytes()
    return LoadedImage(
        pyramid(pixels if pixels.ndim == 3 else pixels[..., None]),
        hashlib.sha256(raw).hexdigest(),
        hashlib.sha256(image.tobytes()).hexdigest(),
    )


def first_fit(data: bytes | np.ndarray, name: str, config: Any) -> tuple[int, int]:
    """Return the side and the channels of the first image, which all others must have."""
    image = _decode(data, name, config.to_rgb)
    if image.mode not in ("RGB", "L"):
        raise SourceError(f"{name}: got mode {image.mode}, expected RGB or gray (--to-rgb converts)")
    face = _crop(image, name, config.crop)
    if config.resolution is None and face.width != face.height:
        size = f"{face.width}x{face.height}"
        raise SourceError(f"{name}: got {size}, expected a square (--crop center makes one)", reason="no square")
    return max(face.size), _channels(image)


def _decode(data: bytes | np.ndarray, name: str, to_rgb: bool) -> Image.Image:
    if isinstance(data, np.ndarray):
        image = Image.fromarray(data[..., 0] if data.shape[-1] == 1 else data)
        return image.convert("RGB") if to_rgb else image
    if to_rgb:
        from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
        from celebahq_builder.photos import decode_photo

        try:
            return Image.fromarray(decode_photo(data))
        except UnusablePhotoError as error:
            raise SourceError(f"{name}: {error}", reason=error.reason) from None
    try:
        image = Image.open(io.BytesIO(data))
        if image.width * image.height > _MOST_PIXELS:
            raise SourceError(
                f"{name}: got {image.width}x{image.height}, expected {_MOST_PIXELS >> 20} megapixels at most",
                reason="too many pixels",
            )
        image.load()
        return ImageOps.exif_transpose(image)
    except SourceError:
        raise
    except Exception as error:  # Pillow raises whatever damaged bytes lead it to
        raise SourceError(f"{name}: not a whole image ({error})", reason="not a whole image") from None


def _channels(image: Image.Image) -> int:
    return {"RGB": 3, "L": 1}.get(image.mode, 0)


def _crop(image: Image.Image, name: str, crop: str) -> Image.Image:
    if crop == "none":
        return image
    if crop in ("center", "top"):
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2 if crop == "center" else 0
        return image.crop((left, top, left + side, top + side))
    if image.size != _CELEBA_SIZE:
        size = f"{image.width}x{image.height}"
        raise SourceError(f"{name}: got {size}, expected 178x218 for --crop celeba", reason=size)
    x, y = _CELEBA_CENTER
    return image.crop((x - _CELEBA_HALF, y - _CELEBA_HALF, x + _CELEBA_HALF, y + _CELEBA_HALF))
