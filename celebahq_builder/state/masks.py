"""--masks of a build: label maps of the photos, cut out as their faces are, with nearest sampling."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from celebahq_builder.config import BuildError
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.state.manifest_row import Row

OTHER_SIZE = "mask of another size"
NO_MASK = "mask that cannot be read"


def mask_path(folder: Path, photo: str) -> Path:
    """Return where the label map of a photo lies: under its name with the suffix .png."""
    return folder / PurePosixPath(photo).with_suffix(".png")


def masks_digest(folder: Path | None, photos: Sequence[str]) -> dict[str, str]:
    """Return what the file records of the masks: the hash of all of them.

    Raises:
        BuildError: a photo has none, or two would share one.
    """
    if folder is None:
        return {}
    owners: dict[Path, str] = {}
    for photo in photos:
        if (other := owners.setdefault(mask_path(folder, photo), photo)) != photo:
            raise BuildError(f"--masks: got one mask for both {other} and {photo}, expected photos of different names")
    digest, missing = hashlib.sha256(), []
    for photo in photos:
        try:
            digest.update(hashlib.sha256(mask_path(folder, photo).read_bytes()).digest())
        except OSError:
            missing.append(photo)
    if missing:
        raise BuildError(
            f"--masks: got none for {len(missing)} of {len(photos)} photos, the first is {missing[0]}, expected "
            f"{mask_path(folder, missing[0])}"
        )
    return {"masks_sha256": digest.hexdigest()}


def check_mask(folder: Path, photo: str, size: tuple[int, int]) -> None:
    """Refuse a photo whose mask does not fit it.

    Args:
        size: (width, height) of the photo, upright.

    Raises:
        UnusablePhotoError: OTHER_SIZE, NO_MASK.
    """
    found, mode = _header(mask_path(folder, photo))
    if mode not in ("L", "P", "1"):
        raise UnusablePhotoError(NO_MASK, f"got {mode or 'no image'}, expected a PNG of one channel, 8 bits")
    if found != size:
        raise UnusablePhotoError(OTHER_SIZE, f"got {found[0]}x{found[1]}, expected {size[0]}x{size[1]} as the photo")


def photos_of_changed_masks(rows: Iterable[Row], folder: Path | None) -> set[str]:
    """Return the photos that a mask refused, or refuses now: they are looked at again.

    Args:
        rows: where there are no masks now, those that were refused for one are enough.
    """
    again = set()
    for row in rows:
        if row.reason in (OTHER_SIZE, NO_MASK):
            again.add(row.source)
        elif folder is not None and row.width:
            try:
                check_mask(folder, row.source, (row.width, row.height))
            except UnusablePhotoError:
                again.add(row.source)
    return again


def face_mask(folder: Path, row: Row, resolution: int, geometry: str) -> np.ndarray:
    """Return the label map of a face: (resolution, resolution) uint8, 0 where the photo ends.

    The value of a pixel is that of the photo's pixel in which its center lies.

    Raises:
        BuildError: the mask changed since the photo was looked at.
    """
    from PIL import Image

    path = mask_path(folder, row.source)
    try:
        check_mask(folder, row.source, (row.width, row.height))
        with Image.open(path) as image:
            labels = np.asarray(image).astype(np.uint8)
    except (UnusablePhotoError, OSError, SyntaxError, ValueError) as error:
        raise BuildError(f"--masks: {path}: got {error}, expected it as before; run the same command again") from None
    corners = np.asarray(row.quad, np.float64) + (0.5 if geometry == "ffhq" else 0.0)
    steps = (np.arange(resolution) + 0.5) / resolution
    right, down = corners[3] - corners[0], corners[1] - corners[0]
    at = np.floor(corners[0] + steps[None, :, None] * right + steps[:, None, None] * down).astype(np.int64)
    height, width = labels.shape
    inside = ((at >= 0) & (at < (width, height))).all(axis=2)
    x, y = np.clip(at[..., 0], 0, width - 1), np.clip(at[..., 1], 0, height - 1)
    return np.where(inside, labels[y, x], 0).astype(np.uint8)


def _header(path: Path) -> tuple[tuple[int, int], str]:
    """Return size and mode of an image file; ((0, 0), "") where it is none."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.size, image.mode
    except Exception:  # Pillow raises dozens of them
        return (0, 0), ""
