"""What five points must look like to be those of a face that can be cropped."""

from dataclasses import dataclass

import numpy as np

from celebahq_builder.decoding.unusable_photo import UnusablePhotoError, found_beside


@dataclass(frozen=True)
class _Bounds:
    """What landmarks may look like; lengths are in units of the distance between the eyes."""

    eyes_to_mouth: tuple[float, float]  # eye-to-eye over eyes-to-mouth: small from the side, large from above or below
    agreement: float  # |e2e - rot90(e2m)| / (|e2e| + |e2m|): 1 when the two axes of the crop agree
    nose_offset: float  # of the nose from the middle of the eyes, along their line: 0.5 is below an eye


# A list was made by people, and its profiles were accepted by the released program: only nonsense is refused.
_LISTED = _Bounds(eyes_to_mouth=(0.1, 5.0), agreement=0.9, nose_offset=np.inf)
# A detector never sees the far side of a profile and invents it.
_DETECTED = _Bounds(eyes_to_mouth=(0.6, 1.8), agreement=0.97, nose_offset=0.55)


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
        detected: a detector found them, which cannot see the far side of a profile; people who make a list can.

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
    return float(eye_distances(np.asarray(landmarks, np.float64)[None])[0])


def eye_distances(landmarks: np.ndarray) -> np.ndarray:
    """Return the same of n faces: (n, 5, 2) float64 -> (n,) float64."""
    left_eye, right_eye, _, left_mouth, right_mouth = landmarks.transpose(1, 0, 2)
    eye_to_eye, eye_to_mouth = right_eye - left_eye, (left_mouth + right_mouth) / 2 - (left_eye + right_eye) / 2
    across, down = (np.sqrt(np.vecdot(axis, axis)) for axis in (eye_to_eye, eye_to_mouth))
    return np.maximum(across, 0.9 * down)


def check_size(landmarks: np.ndarray, min_face: float) -> None:
    """Refuse a face of which the photo has too few pixels.

    Raises:
        UnusablePhotoError: "face too small".
    """
    if (size := eye_distance(landmarks)) < min_face:
        found = found_beside(min_face, size, 1)
        raise UnusablePhotoError("face too small", f"eyes {found} px apart, expected at least {min_face:g}")
