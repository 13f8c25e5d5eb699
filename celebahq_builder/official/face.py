"""One official image: photo, decoding, crop, delta; and at each step the md5 that proves it, or the reason why not."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from celebahq.errors import CelebAHQError
from celebahq.files import write_atomic
from celebahq_builder.align import align_face
from celebahq_builder.official.celeba import PhotoSource
from celebahq_builder.official.deltas import DeltaError, open_delta, read_delta
from celebahq_builder.official.image_list import OfficialImage
from celebahq_builder.released.libjpeg8d import decode_libjpeg8d
from celebahq_builder.released.plan import released_box

VERIFIED = "verified"
RESOLUTION = 1024
_ALIGNED = (218, 178)  # CelebA's other set, whose names are the same


@dataclass(frozen=True)
class Task:
    """What a worker needs to make one image."""

    image: OfficialImage
    photos: PhotoSource
    deltas: Path
    landmarks: np.ndarray | None
    """(5, 2) float32; None where the list has none."""
    faces: Path
    """The folder for the finished PNG."""

    @property
    def name(self) -> str:
        return self.image.name


@dataclass
class OfficialRow:
    """What became of one image."""

    idx: int
    orig_file: str
    status: str
    """VERIFIED, or a short phrase that tells what is wrong."""
    detail: str = ""
    """What was found, and what to fetch again."""
    proc_md5: str = ""
    final_md5: str = ""
    """As computed here, as far as that went."""
    source_sha256: str = ""
    pixel_sha256: str = ""
    quad: list[list[float]] = field(default_factory=list)
    side: float = 0.0


class RefusedImageError(CelebAHQError):
    """An image that cannot be made: a short phrase to count by, and what was found and is to be done."""

    def __init__(self, status: str, detail: str) -> None:
        super().__init__(status)
        self.status, self.detail = status, detail


def chw_md5(image: np.ndarray) -> str:
    """The md5 of the list: over (3, R, R) bytes of an (R, R, 3) image."""
    return hashlib.md5(np.ascontiguousarray(image.transpose(2, 0, 1)).tobytes()).hexdigest()


def make_official(task: Task) -> OfficialRow:
    """Make one image and write it as PNG, if and only if both its md5s are those of the list. Runs in the workers."""
    row = OfficialRow(task.image.idx, task.image.orig_file, VERIFIED)
    try:
        face = official_face(task, row)
    except RefusedImageError as refusal:
        row.status, row.detail = refusal.status, refusal.detail
    except DeltaError as fault:
        row.status, row.detail = fault.reason, fault.remedy
    else:
        path = task.faces / f"{task.image.name}.png"
        if not path.exists():
            with write_atomic(path) as file:
                file.write(png(face))
    return row


def official_face(task: Task, row: OfficialRow) -> np.ndarray:
    """Return (1024, 1024, 3) uint8, verified; fills in `row` as far as it gets."""
    image = task.image
    before = _made_before(task, row)
    if before is not None:
        return before
    token = read_delta(task.deltas, image.idx)  # first: without it, the crop would be work for nothing
    data = _photo(task)
    row.source_sha256 = hashlib.sha256(data).hexdigest()
    face = official_crop(data, task.landmarks, image, row)
    if row.proc_md5 != image.proc_md5:
        raise RefusedImageError("crop differs", _why_crop_differs(row, image))
    delta = open_delta(token, data, image.orig_file)
    face = face + delta.transpose(1, 2, 0)  # uint8: modulo 256
    row.final_md5 = chw_md5(face)
    if row.final_md5 != image.final_md5:
        raise RefusedImageError(
            "image differs",
            f"final_md5 is {row.final_md5}, not {image.final_md5}: the delta is another's; fetch it again",
        )
    return face


def official_crop(data: bytes, landmarks: np.ndarray | None, image: OfficialImage, row: OfficialRow) -> np.ndarray:
    """Decode a photo and cut its face as the released program does; (1024, 1024, 3) uint8. Fills in `row`.

    Raises:
        RefusedImageError: it is no photo of CelebA in the wild, or its landmarks are of another.
    """
    photo, points = _decode_and_place(data, landmarks, image, row)
    try:
        face = align_face(photo, points, RESOLUTION, "released")
    except ValueError as error:
        raise RefusedImageError(
            "crop differs", f"{image.orig_file}: {error}; the landmarks are of another photo"
        ) from None
    row.proc_md5 = chw_md5(face)
    return face


def _decode_and_place(
    data: bytes, landmarks: np.ndarray | None, image: OfficialImage, row: OfficialRow
) -> tuple[np.ndarray, np.ndarray]:
    if landmarks is None:
        raise RefusedImageError("landmarks missing", f"list_landmarks_celeba.txt has no line for {image.orig_file}")
    try:
        photo = decode_libjpeg8d(data)
    except ValueError as error:
        raise RefusedImageError("photo damaged", f"{image.orig_file}: {error}; fetch it again") from None
    row.pixel_sha256 = hashlib.sha256(photo.tobytes()).hexdigest()
    if photo.shape[:2] == _ALIGNED:
        raise RefusedImageError(
            "aligned photo", f"{image.orig_file} is 178x218: expected the photo in the wild, of img_celeba"
        )
    try:
        quad, row.side = released_box(landmarks)
    except ValueError as error:
        raise RefusedImageError(
            "crop differs", f"{image.orig_file}: {error}; the landmarks are of another photo"
        ) from None
    row.quad = quad.tolist()
    return photo, landmarks


def _made_before(task: Task, row: OfficialRow) -> np.ndarray | None:
    """Return the image where its PNG is there and right, but no row tells so."""
    path = task.faces / f"{task.image.name}.png"
    if not path.exists():
        return None
    face = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if face is None or chw_md5(face[..., ::-1]) != task.image.final_md5:
        raise RefusedImageError(
            "another image in the way", f"{path} holds other pixels than {task.image.name}; move it away"
        )
    data = _photo(task)
    row.source_sha256 = hashlib.sha256(data).hexdigest()
    _decode_and_place(data, task.landmarks, task.image, row)
    row.proc_md5, row.final_md5 = task.image.proc_md5, task.image.final_md5
    return face[..., ::-1]


def _photo(task: Task) -> bytes:
    try:
        return task.photos.read(task.image.orig_file)
    except FileNotFoundError:
        raise RefusedImageError(
            "photo missing", f"{task.image.orig_file} is not in {task.photos.path}; fetch it"
        ) from None
    except OSError as error:
        raise RefusedImageError(
            "photo damaged", f"{task.image.orig_file}: {error.strerror or error}; fetch it again"
        ) from None


def _why_crop_differs(row: OfficialRow, image: OfficialImage) -> str:
    found = f"proc_md5 is {row.proc_md5}, not {image.proc_md5}"
    return f"{found}: {image.orig_file} or its landmarks are not CelebA's own; fetch them again"


def png(face: np.ndarray) -> bytes:
    """Encode (R, R, 3) uint8 RGB without loss, fast rather than small."""
    ok, data = cv2.imencode(".png", face[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
    assert ok
    return data.tobytes()
