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
from celebahq_builder.tiles import CELL, Box

SUPER_RESOLVE_BELOW = 0.5
"""A box of at least so much of the output's side is enlarged by interpolation: super-resolution no longer pays there.

`benchmarks/restoration.py threshold`, docs/restoration.md.
"""

_LANCZOS_MARGIN = 4  # pixels around one that its interpolation sees
_SAMPLED_MARGIN = 3  # pixels around a box that its bilinear samples see, and one more


@dataclass(frozen=True, eq=False)
class Restored:
    """A photo that is restored around one face. What that face's crop does not see is as it was, black or cut off.

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


def preload_networks(size: str) -> None:
    """Load the networks of a size on the CPU, which tells how much they see on any device."""
    margin_of(artifacts_name(size))
    margin_of(superres_name(size))


def restore_for(config: BuildConfig, photo: np.ndarray, crop: FaceCrop, for_showing: bool = False) -> Restored:
    """Restore what a crop needs, as a build's options say; they must be resolved (restore_settings)."""
    size, device, ensemble = config.restore, config.device, config.self_ensemble
    return restore_crop(photo, crop, size=size, device=device, for_showing=for_showing, ensemble=ensemble)


def restore_face(
    photo: np.ndarray,
    landmarks: np.ndarray,
    *,
    size: str,
    resolution: int = 1024,
    geometry: str = "paper",
    device: str = "cpu",
    ensemble: bool = False,
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
        ensemble: of artifact removal, as for remove_artifacts. Super-resolution takes no part in it: the average of
            what its network invents is smoother than any of it.

    Raises:
        ValueError: as align_face.
    """
    crop = plan_face(photo.shape[1::-1], landmarks, resolution, geometry)
    return restore_crop(photo, crop, size=size, device=device, for_showing=True, ensemble=ensemble)


def restore_crop(
    photo: np.ndarray,
    crop: FaceCrop,
    *,
    size: str,
    device: str = "cpu",
    for_showing: bool = False,
    ensemble: bool = False,
) -> Restored:
    """As restore_face, by a crop that was planned for this photo; crop_face(restored.photo, restored.crop) cuts it.

    Args:
        for_showing: restore the border around the box, too, which the crop keeps but does not look at.
    """
    plan, resolution = crop.plan, crop.resolution
    side = plan.side / plan.enlarge
    enlarge, generate = side < resolution, side < SUPER_RESOLVE_BELOW * resolution
    wanted = _needed(plan, photo)
    margin = 0 if not enlarge else margin_of(superres_name(size)) if generate else _LANCZOS_MARGIN
    around = _grown(wanted, margin, photo)
    large_crop = _crop_of_large(crop, wanted) if enlarge else crop
    # What the crop looks at. Whether a photo is gray, and how much of the correction it needs, is told by all around.
    seen = wanted if for_showing else _seen(crop, large_crop, wanted)
    seen_around = _grown(seen, margin, photo)

    with _one_thread(device):
        left, top, right, bottom = _grown(around, margin_of(artifacts_name(size)), photo)
        left, top = left - left % CELL, top - top % CELL  # the network's cells lie as they would for the whole photo
        if ensemble:  # they lie so in a mirrored photo, too
            height, width = photo.shape[:2]
            right, bottom = right + (width - right) % CELL, bottom + (height - bottom) % CELL
        part = _moved(seen_around, left, top)
        cleaned = remove_artifacts(photo[top:bottom, left:right], size, device, part, ensemble)
        clean = photo.copy()
        _cut(clean, seen_around)[:] = _cut(cleaned, part)
        if not enlarge:
            return Restored(clean, clean, crop, False)
        part = _moved(seen, *around[:2])
        if generate:
            large = super_resolve(_cut(clean, around), size, "gan", device, part)
        else:
            large = _interpolated(_cut(clean, around), part)
    large = _cut(large, tuple(SCALE * np.subtract(wanted, np.tile(around[:2], 2))))
    return Restored(clean, large, large_crop, True)


def _crop_of_large(crop: FaceCrop, wanted: Box) -> FaceCrop:
    """The crop of the face in its part of the photo enlarged four times."""
    # Landmarks are indices of pixels, whose centers lie half a pixel further.
    landmarks = (crop.landmarks - np.array(wanted[:2]) + 0.5) * SCALE - 0.5
    size = SCALE * (wanted[2] - wanted[0]), SCALE * (wanted[3] - wanted[1])
    return plan_face(size, landmarks, crop.resolution, crop.geometry)


def _seen(crop: FaceCrop, large_crop: FaceCrop, wanted: Box) -> Box:
    """The part of `wanted` that the crop looks at: without the border, where that is not needed for padding."""
    if crop.geometry != "paper" or any(crop.plan.pad) or any(large_crop.plan.pad):
        return wanted
    margin = _SAMPLED_MARGIN * crop.plan.shrink
    (left, top), (right, bottom) = np.floor(crop.quad.min(axis=0)) - margin, np.ceil(crop.quad.max(axis=0)) + margin
    box = max(int(left), wanted[0]), max(int(top), wanted[1])
    return *box, min(int(right), wanted[2]), min(int(bottom), wanted[3])


def _interpolated(image: np.ndarray, part: Box) -> np.ndarray:
    """Enlarge a part of an image; the rest of the result is black. Elsewhere than at its edges it sees beyond them."""
    left, top, right, bottom = shown = _grown(part, _LANCZOS_MARGIN, image)
    large = np.zeros((SCALE * image.shape[0], SCALE * image.shape[1], 3), np.uint8)
    made = cv2.resize(_cut(image, shown), None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_LANCZOS4)
    large[SCALE * top : SCALE * bottom, SCALE * left : SCALE * right] = made
    return large


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


def _moved(box: Box, left: int, top: int) -> Box:
    """A box, counted from another corner."""
    return box[0] - left, box[1] - top, box[2] - left, box[3] - top


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
