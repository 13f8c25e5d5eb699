"""TIFF photos: the largest page, in every layout of up to 16 bits; kinds that are not read are refused by name."""

import io

import cv2
import numpy as np
from PIL import Image, TiffImagePlugin

from celebahq_builder.decoding.libtiff_messages import libtiff_messages
from celebahq_builder.decoding.limits import check_size
from celebahq_builder.decoding.pixels import Pixels, array_of, to_eight_bits
from celebahq_builder.decoding.tiff_pages import TiffPage, only_page, tiff_pages
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError

_WHITE_IS_ZERO, _RGB, _PALETTE, _MASK = 0, 2, 3, 4
_COLORS = {8: "CIELab", 9: "ICCLab", 10: "ITULab", 32803: "raw sensor", 32844: "LogL", 32845: "LogLuv"}
_COMPRESSIONS = {34712: "JPEG 2000", 34887: "LERC", 50001: "WebP", 52546: "JPEG XL"}
_SAMPLES = {2: "signed integer", 3: "floating point", 5: "complex integer", 6: "complex"}
_DNG_TAG = 50706


def decode_tiff(data: bytes, max_megapixels: float) -> Pixels:
    """Decode the largest page of a TIFF: the first is a thumbnail in some.

    Raises:
        UnusablePhotoError: "truncated or corrupt file", "unsupported format", "too many pixels" or "too much memory".
    """
    everything = tiff_pages(data)
    pages = [page for page in everything if page.width and page.height and page.get(262, 1) != _MASK]
    if not pages:
        raise UnusablePhotoError(
            "truncated or corrupt file", f"{len(data)} bytes that begin like a TIFF, without a page"
        )
    page = max(pages, key=lambda page: page.width * page.height)
    _check_kind(page)
    # Pillow's image and our array, or the samples of 16 bits and the array; and what the decoder unpacks at once.
    held = 2 * page.samples * page.bits // 8 + 8
    check_size(page.width, page.height, held, 2 * len(data) + page.chunk_bytes, max_megapixels)
    if page is not everything[0]:
        data = only_page(data, page)

    with libtiff_messages() as messages:
        try:
            image = Image.open(io.BytesIO(data), formats=["TIFF"])
            # Turned by us: Pillow would also heed XMP, which editors leave stale.
            image.info.pop("xmp", None)
            image.info["exif"] = b""
            image.load()
        except MemoryError:
            raise
        except Image.UnidentifiedImageError:
            layout = f"TIFF of {page.samples} samples of {page.bits} bits, photometric {page.get(262, 1)}"
            raise UnusablePhotoError("unsupported pixel format", f"{layout}, which no decoder here reads") from None
        except Exception as error:
            raise UnusablePhotoError("truncated or corrupt file", "; ".join([str(error), *messages[:2]])) from None
    if messages:  # it went on with what it could read
        raise UnusablePhotoError("truncated or corrupt file", "; ".join(messages[:2]))
    array, alpha = _pixels(image, page, data)
    orientation = page.get(274, 1)
    profile = image.info.get("icc_profile")
    return Pixels(array, alpha, profile, orientation if 1 <= orientation <= 8 else 1)


def _check_kind(page: TiffPage) -> None:
    kinds = page.tags.get(339) or (1,)
    if _DNG_TAG in page.tags:
        found = "camera raw (DNG)"
    elif page.get(262, 1) in _COLORS:
        found = f"{_COLORS[page.get(262)]} TIFF"
    elif any(kind in _SAMPLES for kind in kinds):
        found = f"{_SAMPLES[next(kind for kind in kinds if kind in _SAMPLES)]} TIFF"
    elif page.bits > 16:
        found = f"{page.bits}-bit TIFF"
    elif _COMPRESSIONS.get(page.get(259, 1)):
        found = f"{_COMPRESSIONS[page.get(259)]} in TIFF"
    elif len(set(page.tags.get(258) or (1,))) > 1:
        found = f"TIFF of {page.tags[258]} bits"
    else:
        return
    raise UnusablePhotoError("unsupported pixel format", f"{found}, expected unsigned integers of up to 16 bits")


def _pixels(image: Image.Image, page: TiffPage, data: bytes) -> tuple[np.ndarray, np.ndarray | None]:
    if image.mode.startswith("I"):
        return to_eight_bits(array_of(image), page.get(262, 1) == _WHITE_IS_ZERO), None
    if image.mode == "CMYK":
        return array_of(image), None
    gray = image.mode in ("1", "L", "LA")
    clear = image.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in image.info
    array = array_of(image.convert(("LA" if gray else "RGBA") if clear else ("L" if gray else "RGB")))
    alpha, colors = (array[..., -1], array[..., 0] if gray else array[..., :3]) if clear else (None, array)
    if page.bits == 16 and int(colors.max(initial=0)) < 64:
        colors = _dark_sixteen_bits(data, page)
    return colors, alpha


def _dark_sixteen_bits(data: bytes, page: TiffPage) -> np.ndarray:
    """Decode by OpenCV, which keeps 16 bits: fewer of them lie at the lower end, which Pillow cuts off."""
    values = None
    if page.get(284, 1) == 1 and page.get(262, 1) == _RGB:
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        finally:
            cv2.utils.logging.setLogLevel(level)
    if values is None or values.dtype != np.uint16 or values.ndim != 3 or values.shape[2] < 3:
        raise UnusablePhotoError("unsupported pixel format", "TIFF of 16 bits that uses the lowest of them only")
    return to_eight_bits(np.ascontiguousarray(values[..., 2::-1]))


def read_all_by_libtiff() -> None:
    """Pillow's own way of reading uncompressed pixels gives garbage of planes of 16 bits. Idempotent."""
    TiffImagePlugin.READ_LIBTIFF = True
