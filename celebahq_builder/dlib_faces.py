"""dlib's face detectors and its landmark predictor, on pixels: where faces may be, and five points in each."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

Detector = Literal["hog", "cnn"]

SEEN_EYES_PX = 32  # both detectors look for faces of 80 pixels and more, which have their eyes this far apart
_MIN_SCORE = -0.2  # of HOG; the shipped threshold, 0, loses faces that the landmarks then confirm


@dataclass(frozen=True)
class Detection:
    """Where a detector saw something like a face.

    centre: (2,) float pixels (x, y) from the photo's corner (not from the middle of its first pixel).
    side: of the square box, in pixels of the photo.
    degrees: by which the photo had to be turned counter-clockwise to make it upright.
    score: the detector's confidence; dlib's own threshold is 0.
    """

    centre: np.ndarray
    side: float
    degrees: float
    score: float


def detect(image: Image.Image, scale: float, degrees: float, detector: Detector) -> list[Detection]:
    """Return what dlib takes for faces, largest first, in a photo resized by scale and turned counter-clockwise."""
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    copy = image.resize(size, Image.Resampling.BILINEAR)
    turned = copy.rotate(degrees, Image.Resampling.BILINEAR, expand=True) if degrees else copy
    found = []
    for left, top, right, bottom, score in _boxes(np.ascontiguousarray(turned), detector):
        from_middle = np.array([left + right + 1 - turned.width, top + bottom + 1 - turned.height]) / 2
        centre = (_turn_back(degrees) @ from_middle + [copy.width / 2, copy.height / 2]) / scale
        found.append(Detection(centre, (right - left + 1) / scale, degrees, score))
    return sorted(found, key=lambda face: (-face.side, face.centre[1], face.centre[0]))


def _boxes(pixels: np.ndarray, detector: Detector) -> Iterator[tuple[int, int, int, int, float]]:
    if detector == "cnn":
        found = [(detection.rect, detection.confidence) for detection in _cnn_detector()(pixels, 0)]
    else:
        rectangles, scores, _ = _hog_detector().run(pixels, 0, _MIN_SCORE)
        found = zip(rectangles, scores, strict=True)
    for box, score in found:
        yield box.left(), box.top(), box.right(), box.bottom(), score


def five_points(image: Image.Image, found: Detection) -> tuple[np.ndarray, float]:
    """Return (5, 2) float32 landmarks and how far four readings of them lie apart, in eye distances.

    The predictor answers in whole pixels, and for any picture at all. So the face is brought to one size, small
    ones enlarged, and read four times: in two shifted boxes, each also mirrored. The mean is finer than a pixel,
    and the readings of something that is no face, or of a face turned away, do not agree.
    """
    import dlib

    side = 256  # of the box; the faces that the predictor was trained on were about this large
    x0, y0 = np.floor(found.centre - found.side).astype(int)
    x1, y1 = np.ceil(found.centre + found.side).astype(int)
    crop = image.crop((x0, y0, x1, y1)).resize((2 * side, 2 * side), Image.Resampling.BILINEAR)
    upright = np.ascontiguousarray(crop.rotate(found.degrees, Image.Resampling.BILINEAR))
    mirrored = np.ascontiguousarray(upright[:, ::-1])

    scale = np.array([x1 - x0, y1 - y0]) / (2 * side)
    middle = (found.centre - [x0, y0]) / scale  # of the box in the crop; within a pixel of the crop's
    middle = _turn_back(found.degrees).T @ (middle - side) + side
    readings = []
    for shift in (-0.04, 0.04):
        for pixels, mirror in ((upright, False), (mirrored, True)):
            x, y = middle + shift * side
            left, top = round((2 * side - x if mirror else x) - side / 2), round(y - side / 2)
            shape = _predictor()(pixels, dlib.rectangle(left, top, left + side - 1, top + side - 1))
            p = np.array([(part.x, part.y) for part in shape.parts()], np.float64)
            five = np.stack([p[36:42].mean(0), p[42:48].mean(0), p[30], p[48], p[54]]) + 0.5
            if mirror:
                five = (five * [-1, 1] + [2 * side, 0])[[1, 0, 2, 4, 3]]
            readings.append(five)

    mean = np.mean(readings, axis=0)
    eye_distance = max(float(np.linalg.norm(mean[1] - mean[0])), 1.0)
    spread = float(np.linalg.norm(np.array(readings) - mean, axis=2).max()) / eye_distance
    in_crop = (mean - side) @ _turn_back(found.degrees).T + side
    return (in_crop * scale + [x0, y0] - 0.5).astype(np.float32), spread


def _turn_back(degrees: float) -> np.ndarray:
    """Return the (2, 2) matrix from a picture turned counter-clockwise to the original; x right, y down."""
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


@cache
def _hog_detector():
    import dlib

    return dlib.get_frontal_face_detector()


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
