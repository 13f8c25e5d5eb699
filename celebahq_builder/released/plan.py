"""The released program's box and plan for one face, to the last bit of its float32 and double scalars.

Its scalars follow NumPy 1.x: a product of a float32 scalar and a Python number is double there, float32 today. That
alone gives one face in fifty another box.
"""

import math

import numpy as np

from celebahq_builder.crop_plan import CropPlan, refuse_box_outside, whole_bounds


def released_box(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the corners (4, 2) float32 as `face_quad` does, and the side of the box in pixels, a double.

    Args:
        points: (5, 2) float32 landmarks.

    Raises:
        ValueError: the box has no direction.
    """
    half, tenth = np.float32(0.5), np.float32(0.1)
    left_eye, right_eye, _, left_mouth, right_mouth = points
    eyes = (left_eye + right_eye) * half + half
    mouth = (left_mouth + right_mouth) * half + half
    eye_to_eye, eye_to_mouth = right_eye - left_eye, mouth - eyes
    x = eye_to_eye - np.array([-eye_to_mouth[1], eye_to_mouth[0]], np.float32)
    length = _hypot(x)
    if not length > 0:
        raise ValueError("landmarks: eyes and mouth in one place, or left and right swapped; the box has no direction")
    x /= length
    x *= np.float32(max(float(_hypot(eye_to_eye)) * 2.0, float(_hypot(eye_to_mouth)) * 1.8))
    y = np.array([-x[1], x[0]], np.float32)
    c = eyes + eye_to_mouth * tenth
    return np.stack([c - x - y, c - x + y, c + x + y, c + x - y]), float(_hypot(x)) * 2


def plan_released(size: tuple[int, int], quad: np.ndarray, side: float, resolution: int) -> CropPlan:
    """As `crop_plan.plan_crop` for "released"; `side` as `released_box` gives it decides about powers of two."""
    quad, zoom = np.array(quad, np.float32), resolution / side

    # round() rounds half to even, as np.round does.
    shrink, shrunk = math.floor(0.5 / zoom), size
    if shrink > 1:
        shrunk = max(round(size[0] / shrink), 1), max(round(size[1] / shrink), 1)
        quad, zoom = quad / np.float32(shrink), zoom * shrink

    border = max(round(resolution * 0.1 / zoom), 3)
    left, top, right, bottom = whole_bounds(quad)
    crop = max(left - border, 0), max(top - border, 0), min(right + border, shrunk[0]), min(bottom + border, shrunk[1])
    refuse_box_outside(crop, (left, top, right, bottom), shrunk)
    quad = _moved(quad, -crop[0], -crop[1])

    enlarge = max(int(2 ** math.ceil(math.log2(zoom))), 1)
    if enlarge > 1:
        quad, zoom = quad * np.float32(enlarge), zoom / enlarge

    # The border is not enlarged: theirs is not.
    width, height = (crop[2] - crop[0]) * enlarge, (crop[3] - crop[1]) * enlarge
    left, top, right, bottom = whole_bounds(quad)
    overhang = (
        max(border - left, 0),
        max(border - top, 0),
        max(right - width + border, 0),
        max(bottom - height + border, 0),
    )
    pad = (0, 0, 0, 0)
    if max(overhang) > border - 4:
        least = max(round(resolution * 0.3 / zoom), 1)  # not 0, for a box of one pixel: the fade divides by it
        pad = (max(overhang[0], least), max(overhang[1], least), max(overhang[2], least), max(overhang[3], least))
        quad = _moved(quad, pad[0], pad[1])
    blur_px = resolution * 0.02 / zoom
    return CropPlan(max(shrink, 1), shrunk, border, crop, enlarge, overhang, pad, blur_px, quad, resolution / zoom)


def _hypot(v: np.ndarray) -> np.float32:
    x, y = float(v[0]), float(v[1])
    return np.float32(math.sqrt(x * x + y * y))


def _moved(quad: np.ndarray, x: int, y: int) -> np.ndarray:
    return (quad.astype(np.float64) + np.array([x, y])).astype(np.float32)
