"""Before/after images: a row a photo, with the input, the restored and the original side by side."""

from pathlib import Path

import numpy as np
from PIL import Image

from train.restoration.degrade import jpeg
from train.restoration.photos import middle
from train.restoration.protocol import Restore, reduced_pair

SIDE = 192


def before_after(restore: Restore, photo: np.ndarray, net: str, quality: int = 20) -> np.ndarray:
    """One row of the strip: (h, 3w + 8, 3) uint8 from the middle of a photo of (H, W, 3) uint8."""
    original = middle(photo, SIDE)
    if net == "artifacts":
        given = shown = jpeg(original, quality)
    else:
        original, given = reduced_pair(original)
        shown = given.repeat(4, axis=0).repeat(4, axis=1)
    gap = np.full((original.shape[0], 4, 3), 255, np.uint8)
    return np.concatenate([shown, gap, restore(given), gap, original], axis=1)


def save_strip(path: Path, restore: Restore, photos: list[np.ndarray], net: str) -> None:
    """Write rows of before, after and original as a PNG or JPEG. photos: best of at least SIDE pixels each way."""
    rows = [before_after(restore, photo, net) for photo in photos]
    width = max(row.shape[1] for row in rows)
    rows = [np.pad(row, ((0, 4), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    Image.fromarray(np.concatenate(rows)).save(path)
