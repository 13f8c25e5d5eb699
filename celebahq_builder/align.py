"""Crop one face: the oriented square of the paper's Appendix C, and the warp from the photo to a square image."""

from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from celebahq_builder.crop_plan import CropPlan, plan_crop
from celebahq_builder.padding import extend
from celebahq_builder.released.lanczos_float32 import resize
from celebahq_builder.released.padding import extend_released
from celebahq_builder.released.plan import released_box
from celebahq_builder.released.warp import sample_released

GEOMETRIES = ("paper", "released", "ffhq")
OVERSAMPLING = 4  # the warp goes to 4096 for an output of 1024


@dataclass(frozen=True, eq=False)
class FaceCrop:
    """One face's square and plan, made once by `plan_face` and passed from stage to stage.

    Attributes:
        landmarks: (5, 2), as given, pixel indices.
        resolution, geometry: of the output.
        quad: (4, 2), as `face_quad` returns it.
        side: of the square, pixels of the photo.
        plan: what each stage between photo and face does.
    """

    landmarks: np.ndarray
    resolution: int
    geometry: str
    quad: np.ndarray
    side: float
    plan: CropPlan


def plan_face(
    size: tuple[int, int], landmarks: np.ndarray, resolution: int = 1024, geometry: str = "paper"
) -> FaceCrop:
    """Return the crop of one face.

    Args:
        size: (width, height) of the photo, pixels.
        landmarks, resolution, geometry: as for `align_face`.

    Raises:
        ValueError: as `align_face`.
    """
    quad, side = _box(landmarks, geometry)
    if resolution < 1:
        raise ValueError(f"resolution: got {resolution}, expected at least 1")
    return FaceCrop(landmarks, resolution, geometry, quad, side, plan_crop(size, quad, resolution, geometry, side))


def face_quad(landmarks: np.ndarray, geometry: str = "paper") -> np.ndarray:
    """Return the oriented square that frames a face (paper, Appendix C).

    "paper" is the appendix as printed: landmarks are pixel indices, and half a pixel is added once, which takes an
    index to its pixel's center. "released" computes in float32 as the released program does, which adds a second half
    pixel later, when it samples. "ffhq" is FFHQ's program, which adds half a pixel only then. So the corners of "paper"
    and "released" lie half a pixel to the right of and below those of "ffhq".

    Args:
        landmarks: (5, 2) float, pixel indices (x, y): left eye, right eye, nose, left and right corner of the mouth;
            left is left in the image.
        geometry: "paper", "released" or "ffhq".

    Returns:
        (4, 2) corners in pixels of the photo, y down: top-left, bottom-left, bottom-right, top-right. float32 for
        "released", float64 otherwise.

    Raises:
        ValueError: landmarks of another shape, not finite, or all in one place; an unknown geometry.
    """
    return _box(landmarks, geometry)[0]


def align_face(photo: np.ndarray, landmarks: np.ndarray, resolution: int = 1024, geometry: str = "paper") -> np.ndarray:
    """Crop, turn and scale one face to a square image, the photo extended by its mirror image where it ends.

    "paper": bilinear to 4096 x 4096, box filter to 1024 x 1024 (Appendix C), computed from fewer than 16 samples a
    pixel; boxes of 4096 pixels or more are reduced by a whole factor first, by block means. "released": the released
    program to the byte, with its LANCZOS filters, its enlargement of small boxes by a power of two, and the half pixel
    by which the Pillow 3.1.1 that it requires samples too far to the top left. "ffhq": FFHQ's program. All
    three extend the photo by the released program's rule. At another resolution every stage keeps its ratio to the
    output (the warp goes to four times the resolution), as those programs do when their output size is changed.

    The same input gives the same bytes, whatever the number of threads.

    Args:
        photo: (H, W, 3) uint8 RGB.
        landmarks: (5, 2) float, as for `face_quad`.
        resolution: side of the output, pixels.
        geometry: "paper", "released" or "ffhq".

    Returns:
        (resolution, resolution, 3) uint8 RGB.

    Raises:
        ValueError: as `face_quad`; a box smaller than a pixel, or outside the photo altogether.
    """
    return crop_face(photo, plan_face(photo.shape[1::-1], landmarks, resolution, geometry))


def crop_face(photo: np.ndarray, crop: FaceCrop) -> np.ndarray:
    """Crop a face as planned: `align_face` without its planning, for a photo of the size that was planned for."""
    plan = crop.plan
    if crop.geometry == "released":
        return sample_released(_extended_released(photo, plan), plan.quad, crop.resolution)
    image, quad = _extended(photo, plan, crop.geometry, all_around=False)
    if crop.geometry == "paper":
        return _sample_box(image, quad, plan.side, crop.resolution)
    return _sample_lanczos(image, quad, crop.resolution)


def extend_photo(
    photo: np.ndarray, quad: np.ndarray, resolution: int = 1024, geometry: str = "paper"
) -> tuple[np.ndarray, np.ndarray]:
    """Return the photo's part around a box, extended where the photo ends: stage (c) of the paper's Fig. 8.

    Args:
        photo: (H, W, 3) uint8 RGB.
        quad: (4, 2) float, what `face_quad` returned for this geometry.
        resolution: side of the face that it is for: it decides about reducing and enlarging.
        geometry: "paper", "released" or "ffhq".

    Returns:
        (H', W', 3) uint8 image, and the (4, 2) corners in it. Where the box lies inside the photo, this is the photo
        cut a tenth of the box's side around it.

    Raises:
        ValueError: a box smaller than a pixel, or outside the photo altogether.
    """
    return extend_as_planned(photo, plan_crop(photo.shape[1::-1], quad, resolution, geometry), geometry)


def extend_as_planned(photo: np.ndarray, plan: CropPlan, geometry: str) -> tuple[np.ndarray, np.ndarray]:
    """As `extend_photo`, by a plan that is there already."""
    if geometry == "released":
        return _extended_released(photo, plan), plan.quad
    return _extended(photo, plan, geometry, all_around=True)


def _box(landmarks: np.ndarray, geometry: str) -> tuple[np.ndarray, float]:
    """The corners as face_quad returns them, and the side of the square in pixels."""
    if geometry not in GEOMETRIES:
        raise ValueError(f"geometry: got {geometry!r}, expected one of {', '.join(GEOMETRIES)}")
    points = np.asarray(landmarks, dtype=np.float32 if geometry == "released" else np.float64)
    if points.shape != (5, 2):
        raise ValueError(f"landmarks: got shape {points.shape}, expected (5, 2)")
    if not np.isfinite(points).all():
        raise ValueError("landmarks: got some that are not finite, expected 5 points (x, y) in pixels")
    if geometry == "released":
        return released_box(points)
    to_center = 0.0 if geometry == "ffhq" else 0.5

    left_eye, right_eye, _, left_mouth, right_mouth = points
    eyes = (left_eye + right_eye) * 0.5 + to_center
    eye_to_eye = right_eye - left_eye
    eye_to_mouth = (left_mouth + right_mouth) * 0.5 + to_center - eyes

    # Two axes averaged: a face seen from the side shortens one of them, rarely both. eye_to_mouth is -y' of the paper.
    across = eye_to_eye - _rotate90(eye_to_mouth)
    length = np.hypot(*across)
    if not length > 0:
        raise ValueError("landmarks: eyes and mouth in one place, or left and right swapped; the box has no direction")
    across /= length
    across *= max(np.hypot(*eye_to_eye) * 2.0, np.hypot(*eye_to_mouth) * 1.8)
    down = _rotate90(across)
    center = eyes + eye_to_mouth * 0.1
    corners = [center - across - down, center - across + down, center + across + down, center + across - down]
    return np.stack(corners), float(np.hypot(*across)) * 2


def _rotate90(v: np.ndarray) -> np.ndarray:
    """A quarter turn clockwise as seen on the screen (y down): right becomes down."""
    return np.array([-v[1], v[0]], dtype=v.dtype)


def _extended_released(photo: np.ndarray, plan: CropPlan) -> np.ndarray:
    """Shrink, cut, enlarge and extend as the released program does, byte for byte."""
    _refuse_anything_but_rgb(photo)
    image = resize(photo, plan.shrunk_size, plan.crop)
    image = resize(image, (image.shape[1] * plan.enlarge, image.shape[0] * plan.enlarge))
    return extend_released(image, plan.pad, plan.blur_px) if any(plan.pad) else image


def _extended(photo: np.ndarray, plan: CropPlan, geometry: str, all_around: bool) -> tuple[np.ndarray, np.ndarray]:
    """Shrink, cut and extend; without `all_around` only what the box itself needs. Returns image and corners."""
    _refuse_anything_but_rgb(photo)
    left, top, right, bottom = plan.crop
    size = (right - left, bottom - top)
    if plan.shrink == 1:
        image = photo[top:bottom, left:right]
    elif geometry == "paper":
        blocks = photo[top * plan.shrink : bottom * plan.shrink, left * plan.shrink : right * plan.shrink]
        image = cv2.resize(blocks, size, interpolation=cv2.INTER_AREA)
    else:
        # Cutting while resizing gives the pixels of the whole photo resized and then cut.
        scale = np.tile(np.array(photo.shape[1::-1]) / plan.shrunk_size, 2)
        limits = np.tile(photo.shape[1::-1], 2)
        box = tuple(np.minimum(np.array(plan.crop) * scale, limits).tolist())
        image = np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS, box=box))
    if not any(plan.pad):
        return image, plan.quad
    if all_around:
        return extend(image, plan.pad, plan.blur_px), plan.quad

    # The pixels under the box, and two more for the bilinear samples on its edges and their half pixels.
    limit = (image.shape[1] + plan.pad[0] + plan.pad[2], image.shape[0] + plan.pad[1] + plan.pad[3])
    first = np.maximum(np.floor(plan.quad.min(axis=0)).astype(int) - 2, 0)
    last = np.minimum(np.ceil(plan.quad.max(axis=0)).astype(int) + 2, limit)
    return extend(image, plan.pad, plan.blur_px, (*first, *last)), plan.quad - first.astype(plan.quad.dtype)


def _refuse_anything_but_rgb(photo: np.ndarray) -> None:
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8:
        raise ValueError(f"photo: got shape {photo.shape} of {photo.dtype}, expected (H, W, 3) of uint8")


def _sample_box(image: np.ndarray, quad: np.ndarray, side: float, resolution: int) -> np.ndarray:
    """The mean of 4 x 4 bilinear samples a pixel (the paper's 4096 to 1024), computed from fewer of them.

    Between two pixels of the image a bilinear sample changes linearly, so that samples closer than those add little.
    While the output's pixels are clearly smaller than the image's, two samples on the diagonal do, as far from the
    center as the 4 x 4 are on average; then 2 x 2, until they lie a pixel apart, and 3 x 3 beyond.
    """
    if side <= 0.75 * resolution:
        apart = np.sqrt(1.25) / 4  # root mean square of -1.5, -0.5, 0.5 and 1.5 quarters
        one, other = (_warp(image, quad, resolution, offset) for offset in (-apart, apart))
        return cv2.addWeighted(one, 0.5, other, 0.5, 0)
    samples = 2 if side <= 2 * resolution else 3
    fine = _warp(image, quad, resolution * samples)
    return cv2.resize(fine, (resolution, resolution), interpolation=cv2.INTER_AREA)


def _warp(image: np.ndarray, quad: np.ndarray, size: int, offset: float = 0.0) -> np.ndarray:
    """One bilinear sample a pixel of a size x size output, `offset` output pixels off its center, right and down."""
    right, down = (quad[3] - quad[0]) / size, (quad[1] - quad[0]) / size
    # OpenCV counts pixel centers 0, 1, 2 ...; the corners are in pixel edges, so that the first center lies at 0.5.
    first = quad[0] + (0.5 + offset) * (right + down) - 0.5
    warp = np.stack([right, down, first], axis=1)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, warp, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _sample_lanczos(image: np.ndarray, quad: np.ndarray, resolution: int) -> np.ndarray:
    """Bilinear to four times the output, then LANCZOS: FFHQ's program, in Pillow."""
    fine = resolution * OVERSAMPLING
    corners = (quad + 0.5).ravel().tolist()
    face = Image.fromarray(image).transform((fine, fine), Image.Transform.QUAD, corners, Image.Resampling.BILINEAR)
    return np.asarray(face.resize((resolution, resolution), Image.Resampling.LANCZOS))
