"""Restore what one face needs of its photo, and no more: artifacts first, then enlargement where it is small."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from celebahq_builder.align import FaceCrop, plan_face
from celebahq_builder.config import BuildConfig
from celebahq_builder.crop_plan import CropPlan
from celebahq_builder.restore import SCALE, artifacts_name, margin_of, remove_artifacts, super_resolve, superres_name
from celebahq_builder.tiles import CELL

SUPER_RESOLVE_BELOW = 0.5
"""A box of at least so much of the output's side is enlarged by interpolation: super-resolution no longer pays there.

`benchmarks/restoration.py threshold`, docs/restoration.md.
"""

_LANCZOS_MARGIN = 4  # pixels around one that its interpolation sees

Box = tuple[int, int, int, int]
"""(left, top, right, bottom), pixels."""


@dataclass(frozen=True, eq=False)
class Restored:
    """A photo that is restored around one face. Outside of what that face's crop needs it is as it was, or cut off.

    Attributes:
        clean: (H, W, 3) uint8, the photo without artifacts.
        photo: (H', W', 3) uint8, what the face is cut from: `clean`, or its part around the face enlarged four times.
        crop: of the face in `photo`.
        enlarged: whether it was enlarged.
    """

    clean: np.ndarray
    photo: np.ndarray
    crop: FaceCrop
    enlarged: bool

    @property
    def landmarks(self) -> np.ndarray:
        """(5, 2) in `photo`, pixel indices."""
        return self.crop.landmarks


def restore_for(config: BuildConfig, photo: np.ndarray, crop: FaceCrop) -> Restored:
    """Restore what a crop needs, as a build's options say; they must be resolved (restore_settings)."""
    return restore_crop(photo, crop, size=config.restore, device=config.device)


def restore_face(
    photo: np.ndarray,
    landmarks: np.ndarray,
    *,
    size: str,
    resolution: int = 1024,
    geometry: str = "paper",
    device: str = "cpu",
) -> Restored:
    """Restore a photo around one face, so that align_face(restored.photo, restored.landmarks, ...) crops it.

    A face whose box has at least `resolution` pixels a side is not enlarged: it would only be reduced again. One of
    less than SUPER_RESOLVE_BELOW of them is enlarged by the network; between, by Lanczos interpolation, which keeps
    what the crop's bilinear samples would blur.

    Args:
        photo: (H, W, 3) uint8 RGB.
        landmarks: (5, 2) float, pixel indices (x, y), as for align_face.
        size: "full", "fast" or "fast-free" networks.
        resolution, geometry: of the crop.
        device: "cpu" or "cuda".

    Raises:
        ValueError: as align_face.
    """
    crop = plan_face(photo.shape[1::-1], landmarks, resolution, geometry)
    return restore_crop(photo, crop, size=size, device=device)


def restore_crop(photo: np.ndarray, crop: FaceCrop, *, size: str, device: str = "cpu") -> Restored:
    """As restore_face, by a crop that was planned for this photo; crop_face(restored.photo, restored.crop) cuts it."""
    plan, resolution = crop.plan, crop.resolution
    side = plan.side / plan.enlarge
    enlarge, generate = side < resolution, side < SUPER_RESOLVE_BELOW * resolution
    wanted = _needed(plan, photo)
    margin = 0 if not enlarge else margin_of(superres_name(size)) if generate else _LANCZOS_MARGIN
    around = _grown(wanted, margin, photo)

    with _one_thread(device):
        left, top, right, bottom = _grown(around, margin_of(artifacts_name(size)), photo)
        left, top = left - left % CELL, top - top % CELL  # the network's cells lie as they would for the whole photo
        cleaned = remove_artifacts(photo[top:bottom, left:right], size, device)
        clean = photo.copy()
        _cut(clean, around)[:] = _cut(cleaned, tuple(np.subtract(around, (left, top, left, top))))
        if not enlarge:
            return Restored(clean, clean, crop, False)
        small = _cut(clean, around)
        large = super_resolve(small, size, "gan", device) if generate else _interpolated(small)
    large = _cut(large, tuple(SCALE * np.subtract(wanted, np.tile(around[:2], 2))))
    # Landmarks are indices of pixels, whose centers lie half a pixel further.
    landmarks = (crop.landmarks - np.array(wanted[:2]) + 0.5) * SCALE - 0.5
    return Restored(clean, large, plan_face(large.shape[1::-1], landmarks, resolution, crop.geometry), True)


def _interpolated(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_LANCZOS4)


def _needed(plan: CropPlan, photo: np.ndarray) -> Box:
    """The part of the photo that the crop is made from."""
    if plan.shrink == 1:
        return plan.crop
    # Some geometries shrink by not quite a whole factor, with a filter that reaches three of the new pixels further.
    scale = np.tile(np.divide(photo.shape[1::-1], plan.shrunk_size), 2)
    left, top, right, bottom = np.array(plan.crop) * scale
    box = int(np.floor(left)), int(np.floor(top)), int(np.ceil(right)), int(np.ceil(bottom))
    return _grown(box, 3 * plan.shrink + 1, photo)


def _grown(box: Box, margin: int, photo: np.ndarray) -> Box:
    left, top, right, bottom = box
    height, width = photo.shape[:2]
    return max(left - margin, 0), max(top - margin, 0), min(right + margin, width), min(bottom + margin, height)


def _cut(image: np.ndarray, box: Box) -> np.ndarray:
    left, top, right, bottom = box
    return image[top:bottom, left:right]


@contextlib.contextmanager
def _one_thread(device: str) -> Iterator[None]:
    """One compute thread on a CPU, as every worker has: the same bytes from one process and from many."""
    import torch

    if device != "cpu":
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
