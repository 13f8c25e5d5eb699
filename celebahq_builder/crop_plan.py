"""The arithmetic of a crop, before any pixel is touched: how much to shrink, where to cut, how far to extend."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class CropPlan:
    """What each stage between a photo and its face does.

    Attributes:
        shrink: the photo is first made this many times smaller; 1 = not at all.
        shrunk_size: (width, height) of the photo after that, pixels.
        border: pixels wanted around the box, a tenth of its side, at the shrunk scale.
        crop: (left, top, right, bottom) of the part that is kept, pixels of the shrunk photo.
        enlarge: the part is then made this many times larger; 1 = not at all.
        overhang: (left, top, right, bottom) pixels by which the box and its border stick out of the enlarged part.
        pad: (left, top, right, bottom) pixels by which the enlarged part is extended; zeros where the box lies inside.
        blur_px: standard deviation of the extension's blur, pixels of the enlarged part.
        quad: (4, 2) corners in the extended part, pixels: top-left, bottom-left, bottom-right, top-right.
        side: side of the box in the extended part, pixels.
    """

    shrink: int
    shrunk_size: tuple[int, int]
    border: int
    crop: tuple[int, int, int, int]
    enlarge: int
    overhang: tuple[int, int, int, int]
    pad: tuple[int, int, int, int]
    blur_px: float
    quad: np.ndarray
    side: float


def plan_crop(
    size: tuple[int, int], quad: np.ndarray, resolution: int, geometry: str = "paper", side: float | None = None
) -> CropPlan:
    """Plan the crop of one box as the released program does (dataset_tool.py 519-556).

    Its rules hold for every geometry, as ratios of the output's side, so that they carry over to any resolution.
    Only "released" enlarges by a power of two what is smaller than the output ("simulate super-resolution").

    Args:
        size: (width, height) of the photo, pixels.
        quad: (4, 2) float, the square that `face_quad` returned for this geometry.
        resolution: side of the output, pixels.
        geometry: "paper", "released" or "ffhq".
        side: side of the box, pixels, where the caller knows it better than the corners' last bits tell it:
            a box of exactly 512 or 511.99997 decides a power of two.

    Raises:
        ValueError: the box is smaller than a pixel, or it lies outside the photo altogether, border included.
    """
    if side is None:
        quad = np.asarray(quad)
        side = float(np.linalg.norm(quad[3].astype(np.float64) - quad[0]))
    if not 1 <= side < np.inf:
        raise ValueError(f"face box: got a side of {side:.3g} pixels, expected at least 1")

    if geometry == "released":
        from celebahq_builder.released.plan import plan_released

        return plan_released(size, quad, side, resolution)
    quad = np.array(quad, np.float64)

    # Four samples a pixel cannot carry a box of four outputs or more: make it smaller by a whole factor first.
    shrink = max(int(0.5 * side / resolution), 1)
    width, height = _shrunk_size(size, shrink, geometry)
    quad, side = quad / shrink, side / shrink

    # Keep the box and a border around it, as far as the photo goes.
    border = max(round(side * 0.1), 3)
    left, top, right, bottom = whole_bounds(quad)
    crop = (max(left - border, 0), max(top - border, 0), min(right + border, width), min(bottom + border, height))
    refuse_box_outside(crop, (left, top, right, bottom), (width, height))
    quad = quad - crop[:2]

    width, height = crop[2] - crop[0], crop[3] - crop[1]
    # Extend all four sides if the box comes within 4 pixels of one.
    left, top, right, bottom = whole_bounds(quad)
    overhang = _four(max(out + border, 0) for out in (-left, -top, right - width, bottom - height))
    pad = (0, 0, 0, 0)
    if max(overhang) > border - 4:
        least = max(round(side * 0.3), 1)  # not 0, for a box of one pixel: the fade divides by it
        pad = _four(max(out, least) for out in overhang)
        quad = quad + pad[:2]
    shrunk_size = _shrunk_size(size, shrink, geometry)
    return CropPlan(shrink, shrunk_size, border, crop, 1, overhang, pad, side * 0.02, quad, side)


def _four(sides: Iterable[int]) -> tuple[int, int, int, int]:
    left, top, right, bottom = sides
    return left, top, right, bottom


def _shrunk_size(size: tuple[int, int], shrink: int, geometry: str) -> tuple[int, int]:
    """(width, height) of the photo made `shrink` times smaller, pixels.

    The released programs round it, so that a pixel is not quite `shrink` old ones; "paper" keeps whole blocks.
    """
    if geometry == "paper":
        return max(size[0] // shrink, 1), max(size[1] // shrink, 1)
    return max(round(size[0] / shrink), 1), max(round(size[1] / shrink), 1)


def whole_bounds(quad: np.ndarray) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) whole pixels around the corners."""
    left, top = np.floor(quad.min(axis=0))
    right, bottom = np.ceil(quad.max(axis=0))
    return int(left), int(top), int(right), int(bottom)


def refuse_box_outside(crop: tuple[int, ...], box: tuple[int, ...], size: tuple[int, int]) -> None:
    """ValueError where nothing is left of a crop: the box, border included, lies outside the photo."""
    if crop[0] >= crop[2] or crop[1] >= crop[3]:
        span = f"x {box[0]}..{box[2]}, y {box[1]}..{box[3]}"
        raise ValueError(f"face box: got {span}, expected part of it inside the photo of {size[0]} x {size[1]} pixels")
