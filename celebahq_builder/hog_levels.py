"""dlib's frontal face detector, level by level of its pyramid: what is large is known before all is looked at.

dlib looks at an image, at one five sixths as large, and so on, and then leaves of detections that overlap the one of
the best score. Three quarters of that work are for the two or three finest levels, which show small faces. So the
levels are gone through from the coarse end, and whoever wants the largest face stops there. Boxes and scores are those
of dlib's own run, bit for bit: it is dlib that computes each level and each image.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

DECIDED = 2
"""A detection counts as soon as this many finer levels were looked at. What dlib, having seen all, leaves out has a
better overlapping one nearby: of 460 detections in 284 photographs none was left out, of those after one level 1."""
_STEP = 6  # a level is 5/6 of the one before
_LEAST_SIDE = 64  # of a level, pixels
# What a saved detector begins with, by place: 2 its version, then the sides of its window, how many levels of which
# least sides, how many weights (a window of 10 x 10 cells of 31 numbers), what may overlap, how many filters.
_EXPECTED = {0: 2, 6: 80, 7: 80, 8: 1000, 9: _LEAST_SIDE, 10: _LEAST_SIDE, 13: 3100, 18: 5}
_LEVELS, _OVERLAP, _BEGIN = 8, slice(14, 18), 19
_ONE = 1, 0  # a float: mantissa, exponent of 2

Box = tuple[int, int, int, int, float]
"""(left, top, right, bottom, score), pixels, of which the last ones are inside."""


class _Hit(NamedTuple):
    score: float
    level: int
    box: tuple[int, int, int, int]


class _OneLevel(NamedTuple):
    detector: Any
    """Looks at an image as it is, and returns everything above the threshold, whatever overlaps."""
    overlap: float
    """Of two boxes: share of the box around both from which on only one counts."""
    covered: float
    """The same as a share of one of them."""


def hog_boxes(pixels: np.ndarray, least_score: float) -> Iterator[Box]:
    """Yield what dlib's HOG takes for faces, the largest first, then from top to bottom, then from left to right.

    Args:
        pixels: (H, W, 3) uint8.
    """
    import dlib

    plan = _one_level()
    if plan is None:
        boxes, scores, _ = dlib.get_frontal_face_detector().run(pixels, 0, least_score)
        yield from _in_order([_Hit(score, 0, _sides(box)) for box, score in zip(boxes, scores, strict=True)])
        return
    down = dlib.pyramid_down(_STEP)
    images = [pixels]
    for _ in range(1, _num_levels(pixels.shape)):
        images.append(down(images[-1]))
    hits: list[_Hit] = []
    told: set[_Hit] = set()
    for level in range(len(images) - 1, -1, -1):
        boxes, scores, _ = plan.detector.run(images.pop(), 0, least_score)
        hits += [_Hit(score, level, _enlarged(down, box, level)) for box, score in zip(boxes, scores, strict=True)]
        decided = level + DECIDED if level else 0
        if any(hit.level >= decided and hit not in told for hit in hits):
            new = [hit for hit in _best(hits, plan) if hit.level >= decided and hit not in told]
            told.update(new)
            yield from _in_order(new)


def _in_order(hits: list[_Hit]) -> Iterator[Box]:
    def key(hit: _Hit) -> tuple[int, int, int]:
        left, top, right, bottom = hit.box
        return left - right, top + bottom, left + right

    for hit in sorted(hits, key=key):
        yield (*hit.box, hit.score)


def _best(hits: list[_Hit], plan: _OneLevel) -> list[_Hit]:
    """Of hits that overlap those of the best score."""
    kept: list[_Hit] = []
    for hit in sorted(hits, key=lambda hit: -hit.score):
        if not any(_overlap(hit.box, other.box, plan) for other in kept):
            kept.append(hit)
    return kept


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int], plan: _OneLevel) -> bool:
    shared = _area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
    around = _area((min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])))
    return shared > 0 and (shared / around > plan.overlap or shared / min(_area(a), _area(b)) > plan.covered)


def _area(box: tuple[int, int, int, int]) -> int:
    return max(box[2] - box[0] + 1, 0) * max(box[3] - box[1] + 1, 0)


def _sides(box: Any) -> tuple[Any, Any, Any, Any]:
    return box.left(), box.top(), box.right(), box.bottom()


def _enlarged(down: Any, box: Any, levels: int) -> tuple[int, int, int, int]:
    """A box of a level in pixels of the first, rounded as in dlib's run: halves away from 0, the whole in one step."""
    import dlib

    left, top, right, bottom = map(_rounded, _sides(down.rect_up(dlib.drectangle(*_sides(box)), levels)))
    return left, top, right, bottom


def _rounded(value: float) -> int:
    whole = int(abs(value))
    whole += abs(value) - whole >= 0.5
    return -whole if value < 0 else whole


def _num_levels(shape: tuple[int, ...]) -> int:
    """As dlib counts them, on rectangles."""
    import dlib

    down, levels = dlib.pyramid_down(_STEP), 1
    rectangle = down.rect_down(dlib.rectangle(0, 0, shape[1] - 1, shape[0] - 1))
    while min(rectangle.width(), rectangle.height()) >= _LEAST_SIDE:
        rectangle, levels = down.rect_down(rectangle), levels + 1
    return levels


def preload_hog() -> None:
    """Load the detector."""
    _one_level()


@cache
def _one_level() -> _OneLevel | None:
    """dlib's detector, made to look at one level and to keep what overlaps; None where it is saved in another form.

    dlib lets nobody set either from Python. But it saves a detector, and loads it again.
    """
    import dlib

    # No room for temporary files: dlib then raises RuntimeError, or leaves half of it.
    with contextlib.suppress(OSError, RuntimeError, IndexError), tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "detector")
        dlib.get_frontal_face_detector().save(path)
        numbers, rest = _read_numbers(Path(path).read_bytes())
        if any(numbers[place] != value for place, value in _EXPECTED.items()):
            return None
        mantissa, exponent, covered, covered_exponent = numbers[_OVERLAP]
        numbers[_LEVELS], numbers[_OVERLAP] = 1, [*_ONE, *_ONE]  # nothing is shared by more than all
        Path(path).write_bytes(b"".join(map(_number, numbers)) + rest)
        detector = dlib.fhog_object_detector(path)
        return _OneLevel(detector, mantissa * 2.0**exponent, covered * 2.0**covered_exponent)
    return None


def _read_numbers(data: bytes) -> tuple[list[int], bytes]:
    """Return the first numbers of dlib's serialization, and what follows them.

    A number is a byte, whose lower half is a length and whose highest bit a sign, and then its bytes, the lowest first.
    """
    numbers: list[int] = []
    at = 0
    while len(numbers) < _BEGIN:
        head = data[at]
        end = at + 1 + (head & 15)
        value = int.from_bytes(data[at + 1 : end], "little")
        numbers.append(-value if head & 128 else value)
        at = end
    return numbers, data[at:]


def _number(value: int) -> bytes:
    length = max(1, (abs(value).bit_length() + 7) // 8)
    return bytes([length | (128 if value < 0 else 0)]) + abs(value).to_bytes(length, "little")
