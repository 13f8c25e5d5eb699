"""Five points a face, found by dlib, and whether they can be the points of a face."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.dlib_faces import SEEN_EYES_PX, Detection, Detector, detect, five_points

Faces = Literal["largest", "all", "center"]

MIN_FACE_PX = 20.0  # a crop of 80 pixels, to be enlarged 13 times

# The photo is resized so that the smallest face wanted has its eyes a quarter further apart than dlib needs.
_DETECTED_EYES_PX = 1.25 * SEEN_EYES_PX
_MAX_ENLARGEMENT = 4.0
_MAX_DETECTION_PX = {"hog": 4e6, "cnn": 1e6}  # bounds time and memory: about 0.4 and 4 s on one core

# Detector scores: below _CONFIDENT_SCORE, and in a tilted photo, three in four "faces" are shoes and sleeves; but on
# these the readings of the landmarks do not agree with each other (see five_points), and on faces they do. On some
# faces one of the four is astray, and only the other three have to agree (docs/photos.md, "Uncertain landmarks").
_CONFIDENT_SCORE = 0.3
_QUARTERS = (90, -90, 180)
_TURNS = (0, 35, -35, *_QUARTERS)
_MAX_SPREAD, _MAX_SPREAD_UNSURE = 0.12, 0.05


@dataclass(frozen=True)
class Face:
    """A face in a photo.

    landmarks: (5, 2) float32 pixels (x, y): left eye, right eye, nose, left mouth, right mouth; left in the image.
    box: (left, top, right, bottom) in pixels as detected, or None when the landmarks came from a list.
    turned: quarter turns counter-clockwise, in degrees, that bring the photo upright; 0 where it is.
    """

    landmarks: np.ndarray
    box: tuple[float, float, float, float] | None = None
    turned: int = 0


@dataclass(frozen=True)
class _Bounds:
    """What landmarks may look like; lengths are in units of the distance between the eyes."""

    eyes_to_mouth: tuple[float, float]  # eye-to-eye over eyes-to-mouth: small from the side, large from above or below
    agreement: float  # |e2e - rot90(e2m)| / (|e2e| + |e2m|): 1 when the two axes of the crop agree
    nose_offset: float  # of the nose from the middle of the eyes, along their line: 0.5 is below an eye


# A list was made by people, and its profiles were accepted by the released program: only nonsense is refused.
_LISTED = _Bounds(eyes_to_mouth=(0.1, 5.0), agreement=0.9, nose_offset=np.inf)
# dlib never sees the far side of a profile and invents it.
_DETECTED = _Bounds(eyes_to_mouth=(0.6, 1.8), agreement=0.97, nose_offset=0.55)


def find_faces(
    photo: np.ndarray,
    faces: Faces = "largest",
    min_face: float = MIN_FACE_PX,
    detector: Detector = "hog",
    check: Callable[[np.ndarray], None] = lambda landmarks: None,
) -> list[Face | UnusablePhotoError]:
    """Find faces with dlib, and five points in each.

    Upright faces are looked for first; only where none is usable, the photo is turned by 35 degrees both ways; and
    only where nothing was taken for a face, by quarters: photos that lie on their side and whose file does not say so.
    Points and box are in the frame of the photo as it is given, in any case.

    Args:
        photo: (H, W, 3) uint8.
        faces: "all", or the one usable face that is "largest" or nearest to the "center" of the photo.
        min_face: the least distance between the eyes, in pixels of the photo, as in check_landmarks.
        check: takes the landmarks of a face that is usable so far; raises UnusablePhotoError to refuse it.
        detector: "hog" sees frontal faces; "cnn" sees more poses and costs 10 times as much on a CPU.

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
    largest = (_MAX_DETECTION_PX[detector] / (image.width * image.height)) ** 0.5
    scale = min(_DETECTED_EYES_PX / max(min_face, 1.0), _MAX_ENLARGEMENT, largest)

    refused: list[Face | UnusablePhotoError] = []
    for degrees in _TURNS:
        if refused and degrees in _QUARTERS:
            break
        detections = detect(image, scale, degrees, detector)
        if faces == "center":
            middle = np.array([image.width, image.height]) / 2
            detections.sort(key=lambda found: float(np.linalg.norm(found.centre - middle)))
        evaluated: list[Face | UnusablePhotoError] = []
        for found in detections:
            outcome = _evaluate_detection(image, found, min_face, check)
            if isinstance(outcome, Face) and faces != "all":
                return [outcome]
            if outcome is not None:
                evaluated.append(outcome)
        if any(isinstance(outcome, Face) for outcome in evaluated):
            return evaluated
        refused = refused or evaluated

    if not refused:
        eyes = SEEN_EYES_PX / scale
        raise UnusablePhotoError("no face found", f"{image.width}x{image.height} px, eyes at least {eyes:.0f} px apart")
    return refused if faces == "all" else refused[:1]


def check_landmarks(
    landmarks: np.ndarray, photo_shape: tuple[int, ...], min_face: float, detected: bool = False
) -> None:
    """Refuse five points that cannot be a face, or are of one that is too small.

    With left and right swapped the crop of the paper silently turns by about 170 degrees, because the two terms of
    its axis nearly cancel.

    Args:
        landmarks: (5, 2) float pixels (x, y).
        photo_shape: (H, W, ...).
        min_face: the least eye_distance, in pixels.
        detected: dlib found them, which cannot see the far side of a profile; people who make a list can.

    Raises:
        UnusablePhotoError: "implausible landmarks", "landmarks outside the photo", "profile" or "face too small".
    """
    points = np.asarray(landmarks, np.float64)
    if points.shape != (5, 2):
        raise ValueError(f"landmarks: got shape {points.shape}, expected (5, 2)")
    if not np.isfinite(points).all():
        raise UnusablePhotoError("implausible landmarks", "a coordinate is not a number")
    bounds = _DETECTED if detected else _LISTED
    left_eye, right_eye, nose, left_mouth, right_mouth = points
    eyes = (left_eye + right_eye) / 2
    eye_to_eye, eye_to_mouth = right_eye - left_eye, (left_mouth + right_mouth) / 2 - eyes
    across, down = float(np.linalg.norm(eye_to_eye)), float(np.linalg.norm(eye_to_mouth))
    if across == 0 or down == 0:
        raise UnusablePhotoError("implausible landmarks", "two points are equal")

    height, width = photo_shape[:2]
    outside = max(float((-0.5 - points).max()), float((points - [width - 0.5, height - 0.5]).max()))
    if outside > 0.1 * max(across, down):  # people click a little beside the edge
        raise UnusablePhotoError("landmarks outside the photo", f"by {outside:.1f} px of {width}x{height}")
    if eye_to_eye[0] * eye_to_mouth[1] - eye_to_eye[1] * eye_to_mouth[0] <= 0:
        raise UnusablePhotoError(
            "implausible landmarks", "left and right are swapped, or the mouth lies above the eyes"
        )
    agreement = float(np.hypot(eye_to_eye[0] + eye_to_mouth[1], eye_to_eye[1] - eye_to_mouth[0])) / (across + down)
    if agreement < bounds.agreement:
        raise UnusablePhotoError(
            "implausible landmarks", f"axes agree to {agreement:.2f}, expected at least {bounds.agreement}"
        )
    offset = abs(float((nose - eyes) @ eye_to_eye)) / across**2
    if offset > bounds.nose_offset:
        raise UnusablePhotoError(
            "profile", f"nose {offset:.2f} eye distances aside, expected at most {bounds.nose_offset}"
        )
    ratio, (least, most) = across / down, bounds.eyes_to_mouth
    if not least <= ratio <= most:
        reason = "profile" if detected and ratio < least else "implausible landmarks"
        raise UnusablePhotoError(reason, f"eye distance {ratio:.2f} of eyes to mouth, expected {least} to {most}")
    check_size(points, min_face)


def eye_distance(landmarks: np.ndarray) -> float:
    """Return the distance between the eyes as it is seen from the front, in pixels: a quarter of the crop's side.

    Args:
        landmarks: (5, 2) float pixels (x, y).
    """
    left_eye, right_eye, _, left_mouth, right_mouth = np.asarray(landmarks, np.float64)
    eye_to_mouth = (left_mouth + right_mouth) / 2 - (left_eye + right_eye) / 2
    return max(float(np.linalg.norm(right_eye - left_eye)), 0.9 * float(np.linalg.norm(eye_to_mouth)))


def check_size(landmarks: np.ndarray, min_face: float) -> None:
    """Refuse a face of which the photo has too few pixels.

    Raises:
        UnusablePhotoError: "face too small".
    """
    if (size := eye_distance(landmarks)) < min_face:
        raise UnusablePhotoError("face too small", f"eyes {size:.1f} px apart, expected at least {min_face:g}")


def _evaluate_detection(
    image: Image.Image, found: Detection, min_face: float, check: Callable[[np.ndarray], None]
) -> Face | UnusablePhotoError | None:
    """Return the face, the reason why it cannot be used, or None where there is no face at all."""
    landmarks, spread = five_points(image, found)
    sure = found.score >= _CONFIDENT_SCORE and not found.degrees  # even a good score may be of a face seen upside down
    if not sure and spread > _MAX_SPREAD_UNSURE:
        return None
    if spread > _MAX_SPREAD:
        landmarks, spread = five_points(image, found, but_one=True)
    (x, y), half = found.centre - 0.5, found.side / 2
    box = (float(x - half), float(y - half), float(x + half), float(y + half))
    face = Face(landmarks, box, int(found.degrees) if found.degrees in _QUARTERS else 0)
    try:
        check_landmarks(landmarks, (image.height, image.width), min_face, detected=True)
        if spread > _MAX_SPREAD:
            detail = f"three of four readings differ by {spread:.2f} eye distances, at most {_MAX_SPREAD} is expected"
            raise UnusablePhotoError("uncertain landmarks", detail)
        check(landmarks)
    except UnusablePhotoError as refusal:
        refusal.face = face
        return refusal
    return face
