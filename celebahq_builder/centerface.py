"""CenterFace (Xu et al., 2019, arXiv:1911.03599): where faces may be, and five points in each, from its four maps.

The network marks the centre of a face in a heatmap of a quarter of the photo's sides, and beside it says what the
rounding to a cell lost (offset), the logarithm of height and width in cells (size), and the five points as shares of
the face's box. Each comes as y before x.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

import cv2
import numpy as np

from celebahq_builder.detections import Detection, box_around, inverse_rotation, largest_first, mean_and_spread

_STRIDE = 4  # pixels a cell
_SIDES = 32  # the network halves its input five times
MIN_SCORE = 0.35
_OVERLAP_IOU = 0.3

# A face is read again in windows of so many pixels, in which the box around its points has these sides.
_READ_PX, _READ_SIDES = 160, (64.0, 76.0, 88.0)

# A window of the photo: bounds memory (0.2 GB). Two windows share as much as the largest face that a level is looked
# at for; larger ones are seen in the next level, of half the size.
_WINDOW, _SHARED = 1024, 256


def detect(photo: np.ndarray, scale: float, degrees: int = 0) -> list[Detection]:
    """Return what CenterFace takes for faces, largest first, in a photo resized by scale and turned counter-clockwise.

    Args:
        photo: (H, W, 3) uint8 RGB.
        scale: at which the smallest faces wanted are to be looked for; larger ones are also looked for at its halves.
        degrees: a multiple of 90.
    """
    size = _size(photo)
    boxes, scores, points = [np.empty((0, 4))], [np.empty(0)], [np.empty((0, 5, 2))]
    for level in _levels(photo, scale):
        turned = np.rot90(level, degrees // 90)
        ratio = _size(turned) / (size if degrees % 180 == 0 else size[::-1])
        for left, top, window in _windows(turned):
            box, score, five = _faces(window)
            boxes.append((box + np.tile([left, top], 2)) / np.tile(ratio, 2))
            scores.append(score)
            points.append((five + np.array([left, top])) / ratio)
    box, score, five = np.concatenate(boxes), np.concatenate(scores), np.concatenate(points)

    back, middle = inverse_rotation(degrees), size / 2
    turned_middle = middle if degrees % 180 == 0 else middle[::-1]
    found = []
    for i in _best_of_each(box, score):
        corners = box[i].reshape(2, 2)
        centre = back @ (corners.mean(0) - turned_middle) + middle
        side = float((corners[1] - corners[0]).max())
        found.append(Detection(centre, side, degrees, float(score[i]), (five[i] - turned_middle) @ back.T + middle))
    return largest_first(found)


def _size(image: np.ndarray) -> np.ndarray:
    return np.array(image.shape[1::-1])


def _levels(photo: np.ndarray, scale: float) -> Iterator[np.ndarray]:
    """The photo at scale, and at its halves: faces of more than 100 pixels are seen the worse the larger they are."""
    while True:
        width, height = (max(1, round(side * scale)) for side in _size(photo).tolist())
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        yield photo if scale == 1 else cv2.resize(photo, (width, height), interpolation=how)
        if max(width, height) <= _SHARED:
            return
        scale /= 2


def _windows(level: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
    height, width = level.shape[:2]
    for top in _starts(height):
        for left in _starts(width):
            yield left, top, level[top : top + _WINDOW, left : left + _WINDOW]


def _starts(length: int) -> range:
    return range(0, max(length - _SHARED, 1), _WINDOW - _SHARED)


def _faces(window: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run the network on (h, w, 3) uint8.

    Returns:
        boxes: (N, 4) left, top, right, bottom, in pixels of the window from its corner.
        scores: (N,), MIN_SCORE or more, one of several that overlap.
        points: (N, 5, 2), x and y.
    """
    height, width = window.shape[:2]
    padded = np.zeros((1, 3, -(-height // _SIDES) * _SIDES, -(-width // _SIDES) * _SIDES), np.float32)
    padded[0, :, :height, :width] = window.transpose(2, 0, 1)
    heatmap, size, offset, landmarks = _session().run(["heatmap", "size", "offset", "landmarks"], {"photos": padded})
    y, x = np.nonzero(heatmap[0, 0] >= MIN_SCORE)
    score = heatmap[0, 0, y, x]
    # (N, 2), y and x: the centre is that of a cell, moved; a box of exp(size) cells lies around it.
    centre = (np.stack([y, x], 1) + 0.5 + offset[0][:, y, x].T) * _STRIDE
    sides = np.exp(size[0][:, y, x].T.astype(np.float64)) * _STRIDE
    first = centre - sides / 2
    shares = landmarks[0][:, y, x].T.reshape(-1, 5, 2)
    points = (first[:, None] + shares * sides[:, None])[..., ::-1]
    boxes = np.concatenate([first[:, ::-1], (first + sides)[:, ::-1]], axis=1)
    kept = _best_of_each(boxes, score)
    return boxes[kept], score[kept], points[kept]


def _best_of_each(boxes: np.ndarray, scores: np.ndarray) -> list[int]:
    """Return the indices of the boxes with the best score among those that overlap, the best first."""
    left, top, right, bottom = boxes.T
    area = (right - left) * (bottom - top)
    waiting, kept = np.argsort(-scores, kind="stable"), []
    while len(waiting):
        best, waiting = waiting[0], waiting[1:]
        kept.append(int(best))
        across = np.minimum(right[best], right[waiting]) - np.maximum(left[best], left[waiting])
        down = np.minimum(bottom[best], bottom[waiting]) - np.maximum(top[best], top[waiting])
        shared = np.maximum(across, 0) * np.maximum(down, 0)
        waiting = waiting[shared <= _OVERLAP_IOU * (area[best] + area[waiting] - shared)]
    return kept


def five_points(photo: np.ndarray, found: Detection) -> tuple[np.ndarray, float]:
    """Read the five points of a face again, at a size that the network knows best, and say how sure they are.

    Args:
        photo: (H, W, 3) uint8 RGB.
        found: with its points.

    Returns:
        landmarks: (5, 2) float32 pixels (x, y) of the photo: left eye, right eye, nose, left mouth, right mouth.
        spread: how far one of the readings, shifted and mirrored, lies from their mean, at most, in eye distances;
            infinite where the network does not see the face again.
    """
    assert found.points is not None
    readings = []
    for grown in _READ_SIDES:
        window, to_photo = _upright_window(photo, found.points, grown)
        for mirror in (False, True):
            boxes, scores, points = _faces(np.ascontiguousarray(window[:, ::-1]) if mirror else window)
            if not len(scores):
                return (found.points - 0.5).astype(np.float32), np.inf
            middle = (boxes[:, :2] + boxes[:, 2:]) / 2 - len(window) / 2
            five = points[np.argmin(np.hypot(*middle.T))]
            if mirror:
                five = (five * [-1, 1] + [len(window), 0])[[1, 0, 2, 4, 3]]
            readings.append(five @ to_photo[:, :2].T + to_photo[:, 2])
    mean, spread = mean_and_spread(np.array(readings))
    return (mean - 0.5).astype(np.float32), spread


def way_up(photo: np.ndarray, landmarks: np.ndarray) -> tuple[float, float]:
    """Look at a face in the square around it, turned by all quarters, and say which way up it is.

    The network sees many a face upside down, too, but its points say which way up it saw it.

    Args:
        photo: (H, W, 3) uint8 RGB.
        landmarks: (5, 2) pixels (x, y) of the photo, whoever placed them.

    Returns:
        The best scores of what is seen there with its eyes on the side where the landmarks have them, and of what is
        seen with them on another; 0 where there is none.
    """
    window, _ = _upright_window(photo, landmarks + 0.5, _READ_SIDES[0])
    same = other = 0.0
    for quarters in range(4):
        boxes, scores, points = _faces(np.ascontiguousarray(np.rot90(window, quarters)))
        for box, score, five in zip(boxes, scores, points, strict=True):
            if np.linalg.norm((box[:2] + box[2:]) / 2 - len(window) / 2) > _READ_SIDES[0] / 2:
                continue  # somebody beside
            degrees = (box_around(five)[2] + 90 * quarters + 180) % 360 - 180
            if abs(degrees) < 90:
                same = max(same, float(score))
            else:
                other = max(other, float(score))
    return same, other


def _upright_window(photo: np.ndarray, points: np.ndarray, side: float) -> tuple[np.ndarray, np.ndarray]:
    """Cut a square of _READ_PX pixels around five points, turned upright; the box of the face gets `side` pixels.

    Returns:
        The square, and the (2, 3) affine map from its pixels to the photo's, both counted from the corner.
    """
    centre, box, degrees = box_around(points)
    shrink = side / box  # window pixels a photo pixel
    reach = _READ_PX / shrink  # more than the turned square needs
    left, top = np.maximum(np.floor(centre - reach), 0).astype(int)
    right, bottom = np.minimum(np.ceil(centre + reach), photo.shape[1::-1]).astype(int)
    part = photo[top:bottom, left:right]
    ratio = np.ones(2)
    if shrink < 1:  # bilinear samples would miss pixels
        size = [max(1, round(length * shrink)) for length in part.shape[1::-1]]
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        ratio = np.array(size) / (right - left, bottom - top)
    turn = inverse_rotation(degrees) / shrink
    to_photo = np.column_stack([turn, centre - turn @ np.full(2, _READ_PX / 2)])
    # OpenCV counts from the middle of a pixel, on both sides.
    to_part = np.column_stack([turn, to_photo[:, 2] - (left, top)]) * ratio[:, None]
    to_part[:, 2] += to_part[:, :2] @ (0.5, 0.5) - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(part, to_part, (_READ_PX, _READ_PX), flags=flags), to_photo


@cache
def _session() -> Any:
    from zoo.detector import detector_folder, open_session

    return open_session(detector_folder())
