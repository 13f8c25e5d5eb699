"""Write images that say what they show, as PNG, JPEG or WebP, and never over one that shows something else."""

import json
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from celebahq.files import atomic_path
from export.sample import UsageError

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""Suffix -> what Pillow calls the format."""

OTHER_FILES = frozenset((
    ".heic", ".h5", ".html", ".json", ".jxl", ".mp4", ".npy", ".npz", ".onnx", ".pdf", ".svg", ".tiff", ".zip",
))  # fmt: skip
"""Suffixes of files, beside Pillow's, that nobody means as the name of a folder."""

LARGEST = {"PNG": 2**31 - 1, "JPEG": 65_500, "WEBP": 16_383}
"""Most pixels a side that each format, as Pillow writes it, can hold."""

LARGEST_AREA = 2**29
"""Most pixels of one image, 22x22 faces of 1024x1024: 1.6 GB, and three times that while it is put together."""

IMAGE_DESCRIPTION = 0x010E
"""The EXIF field that holds the caption, as JSON, where a format has no text fields of its own."""


def check_size(path: Path, width: int, height: int) -> None:
    """Raise UsageError where an image of width x height pixels is more than its format, or memory, holds."""
    kind = FORMATS[path.suffix.lower()]
    if max(width, height) > LARGEST[kind]:
        raise UsageError(
            f"{path}: got {width}x{height} pixels, expected at most {LARGEST[kind]} a side for {kind}; "
            "give a .png or fewer images"
        )
    if width * height > LARGEST_AREA:
        raise UsageError(f"{path}: got {width}x{height} pixels, expected at most {LARGEST_AREA:,} in one image")


def refuse_other_files(path: Path) -> None:
    """Raise UsageError where a path that is to be a folder was meant as a file of a kind that is not written here."""
    Image.init()
    suffix = path.suffix.lower()
    if not path.is_dir() and (str(path) == "-" or suffix in Image.EXTENSION or suffix in OTHER_FILES):
        found = "standard output" if str(path) == "-" else str(path)
        raise UsageError(f"--output: got {found}, expected a folder, or one .png, .jpg or .webp for a grid of all")


def check_place(folder: Path) -> None:
    """Make a folder and raise UsageError where no file can be written into it: before hours of work, not after."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written ({error.strerror}), expected a writable folder") from None


def write_image(path: Path, image: np.ndarray, caption: dict[str, str]) -> None:
    """Write an image in the format of its suffix; the file appears whole or not at all.

    Args:
        path: ends with one of FORMATS; its folder is made if it is missing.
        image: (H, W, 3) or (H, W, 1) uint8.
        caption: text fields of a PNG; in JPEG and WebP, JSON in EXIF's ImageDescription.

    Raises:
        UsageError: it cannot be written.
    """
    kind = FORMATS[path.suffix.lower()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as partial:
            file = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
            if kind == "PNG":
                text = PngImagePlugin.PngInfo()
                for key, value in caption.items():
                    text.add_text(key, value)
                file.save(partial, format=kind, pnginfo=text)
            else:
                exif = Image.Exif()
                exif[IMAGE_DESCRIPTION] = json.dumps(caption)
                if kind == "JPEG":
                    file.save(partial, format=kind, exif=exif, quality=95, subsampling="4:4:4")
                else:
                    file.save(partial, format=kind, exif=exif, quality=95)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written ({error.strerror or error}), expected a writable folder with room"
        ) from None


def read_caption(path: Path) -> dict[str, str] | None:
    """Return the caption that write_image gave a file, None if it is no complete image."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # a grid of 14x14 faces of 1024x1024 is no bomb
    try:
        with Image.open(path, formats=[FORMATS[path.suffix.lower()]]) as image:
            image.load()  # to the end: a truncated file is not the image that it says it is
            if isinstance(image, PngImagePlugin.PngImageFile):
                return {str(key): str(value) for key, value in image.text.items()}
            return json.loads(image.getexif().get(IMAGE_DESCRIPTION, ""))
    except (OSError, SyntaxError, ValueError):
        return None
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def is_up_to_date(path: Path, caption: dict[str, str], overwrite: bool) -> bool:
    """Whether a file is there and shows what caption says.

    Raises:
        UsageError: it shows something else, and overwrite is False.
    """
    if not path.exists():
        return False
    if path.is_file() and read_caption(path) == caption:
        return True
    if overwrite and path.is_file():
        return False
    raise UsageError(
        f"{path}: got another image there already, expected the same; give another --output or --overwrite"
    )
