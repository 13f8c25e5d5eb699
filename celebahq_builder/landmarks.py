"""Faces of a photo, found by one detector or two, and five points in each that can be the points of a face."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from PIL import Image

from celebahq_builder import centerface
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.detections import Detection, box_around, is_new
from celebahq_builder.detectors import FINDERS, Detector
from celebahq_builder.dlib_faces import SEEN_EYES_PX, detect, detect_finer, five_points
from celebahq_builder.landmark_bounds import check_landmarks, check_size, eye_distance, eye_distances

Faces = Literal["largest", "all", "center"]
LandmarksFrom = Literal["dlib68", "detector"]
When = Literal["always", "no face", "nothing"]
__all__ = ["Face", "check_landmarks", "check_size", "eye_distance", "eye_distances", "find_faces"]

MIN_FACE_PX = 20.0  # a crop of 80 pixels, to be enlarged 13 times

# The photo is resized so that the smallest face wanted has its eyes a quarter further apart than dlib needs.
_DETECTED_EYES_PX = 1.25 * SEEN_EYES_PX
_MAX_ENLARGEMENT = 4.0
_MAX_DETECTION_PX = {"hog": 4e6, "cnn": 1e6}  # bounds time and memory: about 0.4 and 4 s on one core
_MAX_FINER_PX = 2e8  # of the photo as HOG looks at it again for small faces: 20 s, on photos of 50 megapixels and more
# CenterFace needs less: see docs/measurements.md.
_CENTERFACE_EYES_PX = 9.0
_MAX_CENTERFACE_PX = 5e7

# Detector scores: below FaceFinder.confident_score, and in a tilted photo, three in four "faces" are shoes and sleeves;
# but on these the readings of the landmarks do not agree with each other (see five_points), and on faces they do. On
# some faces one of the four is astray, and only the other three have to agree (docs/photos.md, "Uncertain landmarks").
_QUARTERS = (90, -90, 180)
_TURNS = (0, 35, -35, *_QUARTERS)
_TILTED = 60  # degrees; more than that nobody holds their head
_MAX_SPREAD = {"dlib68": (0.12, 0.05), "detector": (0.2, 0.1)}  # of a face, and of one with a lower score
# dlib's points and CenterFace's: on 438 faces that both detectors see they lie 0.13 apart in the median, 0.4 at the
# 99th percentile; where dlib invents the far side of a profile, 0.53 and more.
_MAX_APART = 0.4
# HOG takes some faces for upright that are upside down, with scores up to 0.54, and some covered ones the other way
# round. CenterFace, asked about such a face, tells (docs/measurements.md, "Covered faces"); a face that is to be turned
# by quarters has to be seen clearly better so.
_SURE_WAY_UP = 1.0
_TURNED_WINS_BY = 0.15


@dataclass(frozen=True)
class Face:
    """A face in a photo.

    landmarks: (5, 2) float32 pixels (x, y): left eye, right eye, nose, left mouth, right mouth; left in the image.
    box: (left, top, right, bottom) in pixels as detected, or None when the landmarks came from a list.
    turned: quarter turns counter-clockwise, in degrees, that bring the photo upright; 0 where it is.
    found_by: "dlib" or "centerface"; "" when the landmarks came from a list.
    """

    landmarks: np.ndarray
    box: tuple[float, float, float, float] | None = None
    turned: int = 0
    found_by: str = ""


@dataclass(frozen=True)
class _Look:
    """One way to look at a photo.

    when: "always"; "no face": where no usable one was found; "nothing": where nothing was even taken for one.
    """

    detect: Callable[[], Iterable[Detection]]
    """What is found, the largest first; what is not asked for may cost nothing."""
    when: When
    found_by: str


def find_faces(
    photo: np.ndarray,
    faces: Faces = "largest",
    min_face: float = MIN_FACE_PX,
    detector: Detector = "hog",
    check: Callable[[np.ndarray], None] = lambda landmarks: None,
    landmarks_from: LandmarksFrom = "dlib68",
) -> list[Face | UnusablePhotoError]:
    """Find faces, and five points in each.

    Upright faces are looked for first; only where none is usable, the photo is turned by 35 degrees both ways (dlib;
    CenterFace sees tilted faces as it is); and only where nothing was taken for a face, by quarters: photos that lie
    on their side and whose file does not say so. Points and box are in the frame of the photo as it is given, in any
    case. With "auto" a face of HOG's counts for nothing where CenterFace sees it another way up.

    Args:
        photo: (H, W, 3) uint8.
        faces: "all", or the one usable face that is "largest" or nearest to the "center" of the photo.
        min_face: the least distance between the eyes, in pixels of the photo, as in check_landmarks.
        detector: "hog" sees frontal faces; "cnn" sees more poses and costs 10 times as much on a CPU; "centerface"
            sees smaller ones, too; "auto" is "hog", and "centerface" for what that does not see: where it found no
            usable face, and always where not the "largest" is wanted.
        check: takes the landmarks of a face that is usable so far; raises UnusablePhotoError to refuse it.
        landmarks_from: "dlib68", or "detector": CenterFace's own points.

    Returns:
        The faces, largest first, then from top to bottom, then from left to right; a face that was found and
        cannot be used takes its place as an UnusablePhotoError. Never empty. The same on every run: a face's place in
        the list of "all" is its name.

    Raises:
        UnusablePhotoError: "no face found".
    """
    image = Image.fromarray(photo)
    if min(image.size) < min_face / 2:  # nor would it hold the eyes and the mouth
        raise UnusablePhotoError("no face found", f"{image.width}x{image.height} px, too thin for one")
    middle = np.array([image.width, image.height]) / 2

    def from_middle(found: Detection) -> float:
        return float(np.linalg.norm(found.centre - middle))

    usable: list[tuple[Detection, Face | UnusablePhotoError]] = []
    refused: list[Face | UnusablePhotoError] = []
    for look in _looks(photo, image, faces, min_face, detector):
        if (look.when == "no face" and usable) or (look.when == "nothing" and (usable or refused)):
            continue
        others = [other for other, _ in usable]
        detections: Iterable[Detection] = (found for found in look.detect() if is_new(found, others))
        if faces == "center":
            detections = sorted(detections, key=from_middle)
        evaluated: list[tuple[Detection, Face | UnusablePhotoError]] = []
        for found in detections:
            outcome = _evaluate_detection(image, found, min_face, check, look.found_by, landmarks_from, photo)
            if isinstance(outcome, Face) and detector == "auto" and _is_another_way_up(photo, found, outcome):
                continue
            if isinstance(outcome, Face) and faces == "largest":
                return [outcome]
            if outcome is not None:
                evaluated.append((found, outcome))
            if isinstance(outcome, Face) and faces == "center":
                break
        if usable or any(isinstance(outcome, Face) for _, outcome in evaluated):
            usable += evaluated
        else:
            refused = refused or [outcome for _, outcome in evaluated]

    if faces == "center":
        usable = sorted((one for one in usable if isinstance(one[1], Face)), key=lambda one: from_middle(one[0]))[:1]
    if usable:
        usable.sort(key=lambda one: (-one[0].side, one[0].centre[1], one[0].centre[0]))
        return [outcome for _, outcome in usable]
    if not refused:
        eyes = _smallest_eyes(photo.shape, min_face, detector)
        raise UnusablePhotoError("no face found", f"{image.width}x{image.height} px, eyes at least {eyes:.0f} px apart")
    return refused if faces == "all" else refused[:1]


def _looks(photo: np.ndarray, image: Image.Image, faces: Faces, min_face: float, detector: Detector) -> Iterator[_Look]:
    """Yield the looks at a photo, in order.

    The first is at so few pixels that it costs little, and sees the faces that most people want. What it is too
    coarse for is looked for afterwards: always where all faces are wanted, or the one in the middle; else where it
    was in vain.
    """
    more: Literal["always", "no face"] = "no face" if faces == "largest" else "always"
    if detector != "centerface":
        kind: Literal["hog", "cnn"] = "cnn" if detector == "cnn" else "hog"
        scale = _dlib_scale(photo.shape, min_face, _MAX_DETECTION_PX[kind])
        for degrees in _TURNS:
            when: When = "always" if degrees == 0 else "nothing" if degrees in _QUARTERS else "no face"
            yield _Look(partial(detect, image, scale, degrees, kind), when, "dlib")
        finer = _dlib_scale(photo.shape, min_face, _MAX_FINER_PX)
        if detector == "hog" and finer > scale:
            yield _Look(lambda: detect_finer(image, scale, finer), more, "dlib")
    if detector in ("centerface", "auto"):
        scale = _centerface_scale(photo.shape, min_face)
        for degrees in (0, *_QUARTERS):
            when = "nothing" if degrees else more if detector == "auto" else "always"
            yield _Look(partial(centerface.detect, photo, scale, degrees), when, "centerface")


def _dlib_scale(shape: tuple[int, ...], min_face: float, most_px: float) -> float:
    largest = (most_px / (shape[0] * shape[1])) ** 0.5
    return min(_DETECTED_EYES_PX / max(min_face, 1.0), _MAX_ENLARGEMENT, largest)


def _centerface_scale(shape: tuple[int, ...], min_face: float) -> float:
    largest = (_MAX_CENTERFACE_PX / (shape[0] * shape[1])) ** 0.5
    return min(_CENTERFACE_EYES_PX / max(min_face, 1.0), _MAX_ENLARGEMENT, largest)


def _smallest_eyes(shape: tuple[int, ...], min_face: float, detector: Detector) -> float:
    """Return the eye distance, in pixels of the photo, from which on a face was looked for."""
    if detector in ("centerface", "auto"):
        return 0.8 * _CENTERFACE_EYES_PX / _centerface_scale(shape, min_face)
    return SEEN_EYES_PX / _dlib_scale(shape, min_face, _MAX_FINER_PX if detector == "hog" else _MAX_DETECTION_PX["cnn"])


def _evaluate_detection(
    image: Image.Image,
    found: Detection,
    min_face: float,
    check: Callable[[np.ndarray], None],
    found_by: str,
    landmarks_from: LandmarksFrom,
    photo: np.ndarray,
) -> Face | UnusablePhotoError | None:
    """Return the face, the reason why it cannot be used, or None where there is no face at all."""
    shape = image.height, image.width
    sure = found.score >= FINDERS[found_by].confident_score
    start, turned = found, _quarter(found.degrees)
    (x, y), half = found.centre - 0.5, found.side / 2
    box = (float(x - half), float(y - half), float(x + half), float(y + half))
    most, most_unsure = _MAX_SPREAD[landmarks_from]
    own = None
    if found.points is None:
        # even a good score may be of a face seen upside down
        sure = sure and not found.degrees
        landmarks, spread = five_points(image, found)
        if turned == 0:  # a head on its side is found in a photo turned by 35 degrees
            turned = _quarter(box_around(landmarks + 0.5)[2])
    else:
        # CenterFace sees that a face is turned away, where dlib invents its far side.
        own = (found.points - 0.5).astype(np.float32)
        try:
            check_size(own, 0.7 * min_face)  # before any time is spent on it
            own, spread = centerface.five_points(photo, found)
            start = Detection(*box_around(own + 0.5), found.score)
            turned = _quarter(start.degrees)
            check_landmarks(own, shape, 0.85 * min_face, detected=True)
        except UnusablePhotoError as refusal:
            refusal.face = Face(own, box, turned, found_by)
            return refusal if sure else None
        landmarks = own
        if landmarks_from == "dlib68":
            landmarks, spread = five_points(image, start)
    if not sure and spread > most_unsure:
        return None
    if spread > most and landmarks_from == "dlib68":
        landmarks, spread = five_points(image, start, but_one=True)
    face = Face(landmarks, box, turned, found_by)
    try:
        check_landmarks(landmarks, shape, min_face, detected=True)
        if spread > most:
            readings = "three of four readings" if landmarks_from == "dlib68" else "readings"
            detail = f"{readings} differ by {spread:.2f} eye distances, at most {most} is expected"
            raise UnusablePhotoError("uncertain landmarks", detail)
        if own is not None and (apart := _apart(landmarks, own)) > _MAX_APART:
            detail = f"two detectors differ by {apart:.2f} eye distances, at most {_MAX_APART} is expected"
            raise UnusablePhotoError("uncertain landmarks", detail)
        check(landmarks)
    except UnusablePhotoError as refusal:
        refusal.face = face
        return refusal
    return face


def _is_another_way_up(photo: np.ndarray, found: Detection, face: Face) -> bool:
    """Whether CenterFace sees a face of HOG's another way up than its landmarks; of clear upright ones it is not asked.

    Nor of those that it found itself: asked about these it cost two faces and mended none.
    """
    if face.found_by != "dlib" or (not found.degrees and found.score >= _SURE_WAY_UP):
        return False
    same, other = centerface.way_up(photo, face.landmarks)
    return same - other < (_TURNED_WINS_BY if face.turned else 0.0)


def _apart(landmarks: np.ndarray, others: np.ndarray) -> float:
    """Return how far two sets of points differ at most, in eye distances of the first."""
    return float(np.linalg.norm(landmarks - others, axis=1).max() / np.linalg.norm(landmarks[1] - landmarks[0]))


def _quarter(degrees: float) -> int:
    """Return the quarter turn by which a photo lies on its side; 0 where only the head is tilted."""
    degrees = (degrees + 180) % 360 - 180
    return (
        0 if abs(degrees) < _TILTED else min(_QUARTERS, key=lambda quarter: abs((degrees - quarter + 180) % 360 - 180))
    )
