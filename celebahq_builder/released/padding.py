"""What the released program shows where the photo ends, byte for byte: mirrored, blurred, fading to the median."""

import cv2
import numpy as np

_UNCHANGED = np.ones(1)
_EXACT_COUNTS = 1 << 24  # cv2.calcHist gives float32


def extend_released(image: np.ndarray, pad: tuple[int, int, int, int], blur_px: float) -> np.ndarray:
    """Continue an image beyond its edges as dataset_tool.py 542-555 does under NumPy 1.x and SciPy 0.19.

    Everything is float32 but the sums of the blur, which are double, one axis after the other.

    Args:
        image: (H, W, 3) uint8.
        pad: (left, top, right, bottom) pixels to add, each at least 1.
        blur_px: standard deviation of the blur, pixels.

    Returns:
        (H', W', 3) uint8.
    """
    left, top, right, bottom = pad
    columns = _mirrored(-left, image.shape[1] + right, image.shape[1])
    rows = _mirrored(-top, image.shape[0] + bottom, image.shape[0])
    padded = image[rows[:, None], columns]
    depth_x, depth_y = _depth(len(columns), left, right), _depth(len(rows), top, bottom)
    kernel = _gaussian(blur_px)
    for c in range(3):
        plane = padded[..., c].astype(np.float32)
        _blur_rim(plane, depth_x, depth_y, kernel)
        _fade(plane, depth_x, depth_y, _median(plane))
        np.rint(plane, out=plane)
        padded[..., c] = np.clip(plane, 0, 255, out=plane)
    return padded


def _mirrored(start: int, stop: int, size: int) -> np.ndarray:
    """Indices of numpy's "reflect": the edge itself is not repeated; the mirror is, where it is needed further out."""
    period = max(2 * (size - 1), 1)
    at = np.arange(start, stop) % period
    return np.minimum(at, period - at) if size > 1 else np.zeros(stop - start, np.intp)


def _depth(size: int, before: int, after: int) -> np.ndarray:
    """How deep in the image a column or row lies, in paddings: 0 outermost, 1 at the seam. (size,) float32."""
    at = np.arange(size, dtype=np.float32)
    return np.minimum(at / np.float32(before), (np.float32(size - 1) - at) / np.float32(after))


def _blur_rim(plane: np.ndarray, depth_x: np.ndarray, depth_y: np.ndarray, kernel: np.ndarray) -> None:
    """plane += (blurred - plane) * clip(3 mask + 1, 0, 1), where that is not 0: on the four strips of the rim."""
    weight_x, weight_y = (np.clip((1 - depth) * 3 + 1, 0, 1) for depth in (depth_x, depth_y))
    strips = []
    (x0, x1), (y0, y1) = _inside(weight_x), _inside(weight_y)
    height, width = plane.shape
    for box in ((0, 0, width, y0), (0, y1, width, height), (0, y0, x0, y1), (x1, y0, width, y1)):
        left, top, right, bottom = box
        if left < right and top < bottom:
            strips.append((np.s_[top:bottom, left:right], _blurred(plane, box, kernel)))
    for where, blurred in strips:  # only now: a strip's blur sees its neighbours as they were
        blurred -= plane[where]
        blurred *= np.maximum(weight_y[where[0], None], weight_x[where[1]])
        plane[where] += blurred


def _inside(weight: np.ndarray) -> tuple[int, int]:
    """The run of zeros in the middle, first and end; an empty one in the middle where there is none."""
    zeros = np.flatnonzero(weight == 0)
    return (int(zeros[0]), int(zeros[-1]) + 1) if len(zeros) else (len(weight) // 2, len(weight) // 2)


def _blurred(plane: np.ndarray, box: tuple[int, int, int, int], kernel: np.ndarray) -> np.ndarray:
    """The part `box` of the blurred plane: down its columns first, rounded to float32, then along its rows."""
    left, top, right, bottom = box
    radius = len(kernel) // 2
    x0, y0 = max(left - radius, 0), max(top - radius, 0)
    part = plane[y0 : bottom + radius, x0 : right + radius]
    for rows, columns in ((kernel, _UNCHANGED), (_UNCHANGED, kernel)):
        # Where the part is cut out of the plane its own border is wrong, for a radius that is thrown away below.
        part = cv2.sepFilter2D(part, cv2.CV_64F, columns, rows, borderType=cv2.BORDER_REFLECT).astype(np.float32)
    return part[top - y0 : bottom - y0, left - x0 : right - x0]


def _gaussian(sigma: float) -> np.ndarray:
    radius = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 * np.arange(-radius, radius + 1) ** 2 / sigma**2)
    return weights / weights.sum()


def _fade(plane: np.ndarray, depth_x: np.ndarray, depth_y: np.ndarray, median: np.float32) -> None:
    """plane += (median - plane) * clip(mask, 0, 1), where that is not 0: beyond the seams."""
    weight_x, weight_y = (np.clip(1 - depth, 0, 1) for depth in (depth_x, depth_y))
    (x0, x1), (y0, y1) = _inside(weight_x), _inside(weight_y)
    for where in (np.s_[:y0, :], np.s_[y1:, :], np.s_[y0:y1, :x0], np.s_[y0:y1, x1:]):
        change = median - plane[where]
        change *= np.maximum(weight_y[where[0], None], weight_x[where[1]])
        plane[where] += change


def _median(plane: np.ndarray) -> np.float32:
    """As np.median of float32 values in 0..255, from those alone that share their integer part with it."""
    rows = max(_EXACT_COUNTS // plane.shape[1], 1)
    parts = [plane[top : top + rows] for top in range(0, len(plane), rows)]
    counts = np.zeros(257, np.int64)
    for part in parts:
        counts += cv2.calcHist([part], [0], None, [257], [0, 257]).ravel().astype(np.int64)
    return (_ranked(plane, counts, (plane.size - 1) // 2) + _ranked(plane, counts, plane.size // 2)) / np.float32(2)


def _ranked(plane: np.ndarray, counts: np.ndarray, rank: int) -> np.float32:
    below = np.concatenate([[0], np.cumsum(counts)])
    value = int(np.searchsorted(below, rank, "right")) - 1
    near = plane[(plane >= value) & (plane < value + 1)]
    return np.partition(near, rank - below[value])[rank - below[value]]
