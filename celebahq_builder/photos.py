"""Find photos in a folder and decode them: every kind of file becomes (H, W, 3) uint8 sRGB, or a reason why not."""

import io
import logging
import os
import stat
import struct
import warnings
from functools import cache
from pathlib import Path, PurePath

import numpy as np
from PIL import Image, ImageChops, ImageCms

from celebahq_builder.unusable_photo import UnusablePhoto

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")  # JPEG includes MPO, the telephones' JPEG that holds a second picture
MAX_MEGAPIXELS = 200.0  # the largest sensor sold in a telephone; the paper's largest input, 6732x8984, has 60

_DECODED = {".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo", ".png", ".webp", ".tif", ".tiff", ".bmp", ".dib"}
_REFUSED = {".gif", ".heic", ".heif", ".avif", ".jxl", ".jp2"}  # pictures all the same: a row with a reason
EXTENSIONS = frozenset(_DECODED | _REFUSED)

_MAGIC = {
    "JPEG": (0, b"\xff\xd8\xff"),
    "PNG": (0, b"\x89PNG\r\n\x1a\n"),
    "WebP": (8, b"WEBP"),
    "little-endian TIFF": (0, b"II*\0"),
    "big-endian TIFF": (0, b"MM\0*"),
    "BMP": (0, b"BM"),
}
_FOREIGN = {
    "GIF": (0, b"GIF8"),
    "HEIC or AVIF": (4, b"ftyp"),
    "JPEG XL": (0, b"\xff\x0a"),
    "JPEG 2000": (4, b"jP  "),
}

# What Pillow raises on bytes that are not what they promise (found by flipping bytes of every format); more would hide
# our own mistakes.
_BROKEN = (OSError, SyntaxError, ValueError, struct.error)

_ORIENTATION_TAG = 0x0112
_TIFF_PHOTOMETRIC_TAG, _WHITE_IS_ZERO = 262, 0
_UPRIGHT = {  # EXIF orientation -> what brings the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def find_photos(root: Path) -> list[str]:
    """Return the photos below a folder, as sorted names relative to it, with / between folders.

    A photo is a file with a picture's extension, whatever is in it: one that is no picture becomes a row with a
    reason. Names that begin with a dot are skipped; pipes, sockets and devices too. Links are followed, each folder
    once. A folder that cannot be listed, and a link that leads nowhere, are returned by their own name, so that
    read_photo gives the reason. Names keep bytes that are not UTF-8 (surrogateescape).

    Args:
        root: a folder; or one photo of any extension, whose name is then the only one returned.

    Raises:
        OSError: root does not exist or cannot be listed.
    """
    root = Path(root)
    if not stat.S_ISDIR(root.stat().st_mode):
        return [root.name]

    names: list[str] = []
    seen: set[tuple[int, int]] = set()
    real: list[tuple[Path, str]] = [(root, "")]  # (path, prefix of the names) still to be listed
    linked: list[tuple[Path, str]] = []  # after the real ones, so that a photo is named by its true folder
    while real or linked:
        path, prefix = real.pop() if real else linked.pop(0)
        try:
            identity = path.stat()
            if (identity.st_dev, identity.st_ino) in seen:
                continue
            seen.add((identity.st_dev, identity.st_ino))
            with os.scandir(path) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError:
            if not prefix:
                raise
            names.append(prefix.rstrip("/"))
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                (linked if entry.is_symlink() else real).append((path / entry.name, f"{prefix}{entry.name}/"))
            elif PurePath(entry.name).suffix.lower() in EXTENSIONS and _can_be_opened_or_explained(entry):
                names.append(prefix + entry.name)
    return sorted(names)


def read_photo(root: Path, name: str) -> bytes:
    """Return the bytes of a photo that find_photos(root) named.

    Raises:
        UnusablePhoto: "file cannot be read", with the system's words.
    """
    path = Path(root) if Path(root).is_file() else Path(root) / name
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnusablePhoto("file cannot be read", error.strerror or type(error).__name__) from None


def decode_photo(data: bytes, max_megapixels: float = MAX_MEGAPIXELS) -> np.ndarray:
    """Decode a photo: upright as its EXIF says, sRGB as its ICC profile says, on white where it is transparent.

    JPEG, PNG, WebP, TIFF and BMP of every pixel format up to 16 bits; of several pictures in a file, the first. A
    profile that is broken or does not fit the pixels is ignored, as browsers do.

    Args:
        data: the bytes of the file.
        max_megapixels: larger pictures are refused by their header, before anything is decoded.

    Returns:
        (H, W, 3) uint8 sRGB.

    Raises:
        UnusablePhoto: "empty file", "not an image", "unsupported format", "too many pixels",
            "truncated or corrupt file" or "unsupported pixel format".
    """
    _keep_pillow_quiet()
    if not data:
        raise UnusablePhoto("empty file", "0 bytes")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except _BROKEN as error:
        raise _why_not_opened(data, error) from None
    if image.width * image.height > max_megapixels * 1e6:
        megapixels = image.width * image.height / 1e6
        size = f"{image.width}x{image.height} px are {megapixels:.0f} megapixels"
        raise UnusablePhoto("too many pixels", f"{size}, at most {max_megapixels:g} are wanted")
    try:
        image.load()
    except _BROKEN as error:
        raise UnusablePhoto("truncated or corrupt file", str(error)) from None
    if image.format in ("JPEG", "MPO"):
        _check_end_of_jpeg(data)

    upright = _UPRIGHT.get(_orientation(image))
    rgb = _to_srgb(image)
    return np.array(rgb if upright is None else rgb.transpose(upright))


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _can_be_opened_or_explained(entry: os.DirEntry) -> bool:
    try:
        return stat.S_ISREG(entry.stat().st_mode)  # opening a pipe would wait for ever
    except OSError:
        return True  # a broken link: reading it gives the reason


def _keep_pillow_quiet() -> None:
    """Damaged metadata are the photo's affair, not news for the terminal; the bomb check is ours (max_megapixels).

    Idempotent, and done at each call, because warning filters are reset by others; catch_warnings is not
    thread-safe.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logger = logging.getLogger("PIL")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    Image.MAX_IMAGE_PIXELS = None


def _why_not_opened(data: bytes, error: Exception) -> UnusablePhoto:
    for name, (at, magic) in _MAGIC.items():
        if data[at : at + len(magic)] == magic:
            words = "" if isinstance(error, Image.UnidentifiedImageError) else f": {error}"
            return UnusablePhoto("truncated or corrupt file", f"{len(data)} bytes that begin like a {name}{words}")
    for name, (at, magic) in _FOREIGN.items():
        if data[at : at + len(magic)] == magic:
            return UnusablePhoto("unsupported format", f"{name}, wanted JPEG, PNG, WebP, TIFF or BMP")
    return UnusablePhoto("not an image", f"{len(data)} bytes that begin with {data[:16]!r}")


def _check_end_of_jpeg(data: bytes) -> None:
    """Refuse what a broken download or a full disk leaves: the right length, but zeros instead of the end.

    The decoder takes zeros for picture; without them it notices the end by itself.
    """
    end = len(data.rstrip(b"\0"))
    if end < len(data) and data.find(b"\xff\xd9", data.rfind(b"\xff\xda", 0, end), end) < 0:
        raise UnusablePhoto("truncated or corrupt file", f"the last {len(data) - end} of {len(data)} bytes are zeros")


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(_ORIENTATION_TAG, 1)  # of a TIFF, Pillow has applied and removed it
    except _BROKEN:
        return 1


def _to_srgb(image: Image.Image) -> Image.Image:
    """Return the image as RGB in sRGB, on white. The order matters: the profile describes the bare colours."""
    alpha = None
    if image.has_transparency_data and not image.mode.startswith("I"):
        image = image.convert("RGBA" if image.mode in ("P", "PA", "RGB", "RGBA", "RGBX", "RGBa") else "LA")
        alpha = image.getchannel("A")
        image = image.convert("RGB" if image.mode == "RGBA" else "L")
    if image.mode.startswith("I") or image.mode == "F":
        image = _grey16_to_grey8(image)
    elif image.mode == "CMYK" and image.format in ("JPEG", "MPO") and "adobe" not in image.info:
        image = ImageChops.invert(image)  # Pillow takes every such JPEG for Adobe's inverted kind
    elif image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("L" if image.mode == "1" else "RGB")

    rgb = _apply_profile(image)
    if alpha is not None:
        white = Image.new("RGB", rgb.size, "white")
        white.paste(rgb, mask=alpha)
        return white
    return rgb


def _grey16_to_grey8(image: Image.Image) -> Image.Image:
    """Scale 0..65535 to 0..255, rounded; Pillow's own conversion clips at 255 instead."""
    grey = np.asarray(image)
    low, high = float(np.nanmin(grey)), float(np.nanmax(grey))
    if image.mode == "F" or low < 0 or high > 65535:
        found = f"{grey.dtype} values from {low:g} to {high:g}"
        raise UnusablePhoto("unsupported pixel format", f"{found}, wanted integers from 0 to 65535")
    grey = grey.astype(np.uint32)
    if image.format == "TIFF" and image.tag_v2.get(_TIFF_PHOTOMETRIC_TAG) == _WHITE_IS_ZERO:
        grey = 65535 - grey  # Pillow turns this round for 8 bits, not for 16
    scaled = Image.fromarray(((grey + 128) // 257).astype(np.uint8))
    scaled.info = image.info  # the profile still describes it
    return scaled


def _apply_profile(image: Image.Image) -> Image.Image:
    """Return RGB. A profile named sRGB is the identity: applying it would only cost time and a rounding."""
    profile = image.info.get("icc_profile")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if not ImageCms.getProfileDescription(source).startswith("sRGB"):
                space = source.profile.xcolor_space.strip()
                if space == "RGB" and image.mode == "L":
                    image = image.convert("RGB")
                return ImageCms.profileToProfile(image, source, _srgb(), outputMode="RGB")
        except (ImageCms.PyCMSError, *_BROKEN):
            pass  # a broken profile, or one of another colour space than the pixels
    return image.convert("RGB")


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
