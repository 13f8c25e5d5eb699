"""dlib's face detectors and its landmark predictor, on pixels: where faces may be, and five points in each."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from PIL import Image

from celebahq_builder.detections import (
    Detection,
    box_around,
    inverse_rotation,
    is_new,
    largest_first,
    mean_and_spread,
    without_repeats,
)
from celebahq_builder.hog_levels import hog_boxes, preload_hog

DlibDetector = Literal["hog", "cnn"]

SEEN_EYES_PX = 32  # both detectors look for faces of 80 pixels and more, which have their eyes this far apart
_LONGEST, _LEAST_WINDOW_PX = 4, 320  # of a window: length in short sides, and what is worth a call of its own
_WINDOW_PX, _SHARED_PX = 1600, 256  # of a finer look, at its scale
_READ_SIDE = 256  # of a box in which points are read; the faces that the predictor was trained on were about this large
_UNREAD, _NEAR = 64, 8  # of the square around it: what is not made at first; how near to that points may come
_MIN_SCORE = -0.2  # of HOG; the shipped threshold, 0, loses faces that the landmarks then confirm


def detect(image: Image.Image, scale: float, degrees: float, detector: DlibDetector) -> Iterable[Detection]:
    """Return what dlib takes for faces, largest first, in a photo resized by scale and turned counter-clockwise.

    Upright faces that HOG finds come one by one: whoever stops at a large one does not pay for smaller ones.
    """
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    copy = image.resize(size, Image.Resampling.BILINEAR)
    if detector == "hog" and not degrees:
        return (
            Detection(np.array([left + right + 1, top + bottom + 1]) / 2 / scale, (right - left + 1) / scale, 0, score)
            for left, top, right, bottom, score in _boxes(np.ascontiguousarray(copy), detector)
        )
    windows = _windows(size) if degrees % 90 else [(0, 0, *size)]
    found = []
    for window in windows:
        part = copy.crop(window) if len(windows) > 1 else copy
        turned = part.rotate(degrees, Image.Resampling.BILINEAR, expand=True) if degrees else part
        middle = np.array([window[0] + window[2], window[1] + window[3]]) / 2
        for left, top, right, bottom, score in _boxes(np.ascontiguousarray(turned), detector):
            from_middle = np.array([left + right + 1 - turned.width, top + bottom + 1 - turned.height]) / 2
            centre = (inverse_rotation(degrees) @ from_middle + middle) / scale
            found.append(Detection(centre, (right - left + 1) / scale, degrees, score))
    if len(windows) > 1:
        found = without_repeats(found)
    return largest_first(found)


def _windows(size: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """Cut a long thin image into overlapping pieces: turned as a whole it would need its length squared.

    The overlap is the short side, and no face is larger than that; what is turned has at most three times the pixels of
    its piece, and all pieces together 4/3 of the pixels of the image.
    """
    length, short = max(size), min(size)
    piece = max(_LONGEST * short, _LEAST_WINDOW_PX)
    if length <= piece:
        return [(0, 0, *size)]
    starts = range(0, length - short, piece - short)
    spans = [(start, min(start + piece, length)) for start in starts]
    return [(a, 0, b, short) if size[0] == length else (0, a, short, b) for a, b in spans]


def detect_finer(image: Image.Image, seen: float, scale: float) -> list[Detection]:
    """Return the faces that HOG finds in an upright photo at twice the scale `seen`, four times, ... up to `scale`.

    They are looked for in windows, so that memory stays what one of them takes. Two windows share more than the largest
    face that the level before was too coarse for; what a level before has found is not reported again.
    """
    found: list[Detection] = []
    while seen < scale:
        seen = min(2 * seen, scale)
        part = _WINDOW_PX / seen, _SHARED_PX / seen
        here = []
        for left in _starts(image.width, *part):
            for top in _starts(image.height, *part):
                right, bottom = min(left + part[0], image.width), min(top + part[0], image.height)
                box = round(left), round(top), round(right), round(bottom)
                for face in detect(image.crop(box), seen, 0, "hog"):
                    here.append(replace(face, centre=face.centre + box[:2]))
        found += [face for face in without_repeats(here) if is_new(face, found)]
    return largest_first(found)


def _starts(length: float, window: float, shared: float) -> list[float]:
    """Where windows begin that cover a length."""
    steps = max(0, int(np.ceil((length - window) / (window - shared))))
    return [step * (length - window) / steps for step in range(steps + 1)] if steps else [0.0]


def _boxes(pixels: np.ndarray, detector: DlibDetector) -> Iterator[tuple[int, int, int, int, float]]:
    if detector == "hog":
        yield from hog_boxes(pixels, _MIN_SCORE)
        return
    for detection in _cnn_detector()(pixels, 0):
        box = detection.rect
        yield box.left(), box.top(), box.right(), box.bottom(), detection.confidence


def five_points(image: Image.Image, found: Detection, but_one: bool = False) -> tuple[np.ndarray, float]:
    """Find the five points of a face, and how sure they are.

    The predictor answers for any image at all, in whole pixels, and the better the more its box is like dlib's own
    around an upright face. So it reads three times, from the second time on in a box laid around the points of
    the last reading and turned with them.

    Args:
        but_one: leave that of the four last readings out without which the others agree best. On large, expressive or
            unsharp faces one reading can be astray while the others are right.

    Returns:
        landmarks: (5, 2) float32 pixels (x, y) of the photo: left eye, right eye, nose, left mouth, right mouth.
        spread: how far the readings in shifted and mirrored boxes lie from their mean, at most, in eye distances.
            Faces come to 0.01 to 0.06; faces turned away, hidden ones and what is no face lie above.
    """
    points, _ = _read(image, found.centre, found.side, found.degrees, shifts=(0.0,))
    points, _ = _read(image, *box_around(points), shifts=(0.0,))
    points, spread = _read(image, *box_around(points), shifts=(-0.04, 0.04), but_one=but_one)
    return (points - 0.5).astype(np.float32), spread


def _read(
    image: Image.Image,
    centre: np.ndarray,
    side: float,
    degrees: float,
    shifts: tuple[float, ...],
    but_one: bool = False,
) -> tuple[np.ndarray, float]:
    """Return five points (from the photo's corner) and their spread, read in a box that is turned upright.

    The face is brought to one size, small ones enlarged, and read in shifted boxes, each also mirrored: the mean is
    finer than a pixel. Of the square of two boxes a side only the middle is made, unless points come near its edge: the
    predictor looks at nothing that lies beyond its points.
    """
    x0, y0 = np.floor(centre - side).astype(int)
    x1, y1 = np.ceil(centre + side).astype(int)
    crop = image.crop((x0, y0, x1, y1))
    scale = np.array([x1 - x0, y1 - y0]) / (2 * _READ_SIDE)
    middle = (inverse_rotation(degrees).T @ ((centre - [x0, y0]) / scale - _READ_SIDE)) + _READ_SIDE
    readings = _readings(crop, middle, degrees, shifts, _UNREAD) or _readings(crop, middle, degrees, shifts, 0)
    assert readings

    sets = [np.delete(readings, i, axis=0) for i in range(len(readings))] if but_one else [np.array(readings)]
    mean, spread = min(map(mean_and_spread, sets), key=lambda result: result[1])
    in_crop = (mean - _READ_SIDE) @ inverse_rotation(degrees).T + _READ_SIDE
    return in_crop * scale + [x0, y0], spread


def _readings(
    crop: Image.Image, middle: np.ndarray, degrees: float, shifts: tuple[float, ...], unread: int
) -> list[np.ndarray] | None:
    """Five points a shift and a mirror image, in a crop brought to two boxes a side and turned.

    Args:
        middle: (2,) of the box, there.
        unread: so many pixels are left out all around. Eighths of the side: then the others are the same bits.

    Returns:
        (5, 2) arrays; None where points come so near to what was left out that it might have mattered.
    """
    import dlib

    side = 2 * _READ_SIDE
    left_out = np.array(crop.size) * (unread / side)
    box = (*left_out.tolist(), *(crop.size - left_out).tolist())
    part = crop.resize((side - 2 * unread, side - 2 * unread), Image.Resampling.BILINEAR, box=box)
    upright = np.ascontiguousarray(part.rotate(degrees, Image.Resampling.BILINEAR))
    mirrored = cv2.flip(upright, 1)
    readings = []
    for shift in shifts:
        for pixels, mirror in ((upright, False), (mirrored, True)):
            left = round((side - middle[0] if mirror else middle[0]) + (shift - 0.5) * _READ_SIDE) - unread
            top = round(middle[1] + (shift - 0.5) * _READ_SIDE) - unread
            rectangle = dlib.rectangle(left, top, left + _READ_SIDE - 1, top + _READ_SIDE - 1)
            found = _predictor()(pixels, rectangle)
            p = np.array([(point.x, point.y) for point in found.parts()], np.float64) + unread
            five = np.stack([p[36:42].mean(0), p[42:48].mean(0), p[30], p[48], p[54]]) + 0.5
            if mirror:
                p, five = p * [-1, 1] + [side - 1, 0], (five * [-1, 1] + [side, 0])[[1, 0, 2, 4, 3]]
            if unread:
                from_middle = p + 0.5 - _READ_SIDE
                reach = np.abs([from_middle, from_middle @ inverse_rotation(degrees).T]).max()
                if reach > _READ_SIDE - unread - _NEAR:  # before the turn, too: what is turned in from beyond is black
                    return None
            readings.append(five)
    return readings


def preload(detector: DlibDetector) -> None:
    """Load what faces and their points are found with, unless it would touch a GPU: no fork lives on beside one."""
    import dlib

    if detector == "hog":
        preload_hog()
    elif not dlib.DLIB_USE_CUDA:
        _cnn_detector()
    _predictor()


@cache
def _cnn_detector():
    import dlib

    return dlib.cnn_face_detection_model_v1(str(_model("mmod_human_face_detector.dat")))


@cache
def _predictor():
    import dlib

    return dlib.shape_predictor(str(_model("shape_predictor_68_face_landmarks.dat")))


def _model(name: str) -> Path:
    """Return a file of the package face_recognition_models, without importing it: that needs an old setuptools."""
    package = find_spec("face_recognition_models")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("face_recognition_models is not installed; it holds dlib's landmark model")
    return Path(package.origin).parent / "models" / name
