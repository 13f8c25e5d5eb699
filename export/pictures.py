"""Write pictures as PNG files that say what they show, and never over a picture that shows something else."""

from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from export.config import UsageError


def write_png(path: Path, picture: np.ndarray, caption: dict[str, str]) -> None:
    """Write a PNG; the file appears whole or not at all.

    Args:
        path: its folder is made if it is missing.
        picture: (H, W, 3) or (H, W, 1) uint8.
        caption: text fields of the PNG.

    Raises:
        UsageError: it cannot be written.
    """
    text = PngImagePlugin.PngInfo()
    for key, value in caption.items():
        text.add_text(key, value)
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            image = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
            image.save(partial, format="PNG", pnginfo=text)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written ({error.strerror}), a writable folder with room is wanted"
        ) from None


def read_caption(path: Path) -> dict[str, str] | None:
    """Return the text fields of a PNG file, None if it is no whole PNG."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.load()  # to the end: a truncated file is not the picture that it says it is
            return dict(image.text)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def is_painted(path: Path, caption: dict[str, str], overwrite: bool) -> bool:
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
    raise UsageError(f"{path}: already there and another picture, another --output or --overwrite is wanted")


def grid_picture(pictures: np.ndarray, columns: int) -> np.ndarray:
    """Lay out pictures (columns * rows, R, R, C) row by row, as one (rows * R, columns * R, C)."""
    count, height, width, channels = pictures.shape
    rows = count // columns
    tiles = pictures.reshape(rows, columns, height, width, channels)
    return tiles.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)
