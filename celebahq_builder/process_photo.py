"""THE ORDER OF STAGES for one photo: decode, find faces, restore, align, score. What the workers run."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from celebahq_builder.config import BuildConfig
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.detectors import FINDERS
from celebahq_builder.marks import marks_text
from celebahq_builder.sources.input_photos import FileStamp, file_stamp
from celebahq_builder.stage_seconds import StageSeconds
from celebahq_builder.state.face_files import FacePlace
from celebahq_builder.state.manifest import Row
from celebahq_builder.state.masks import check_mask
from celebahq_builder.state.waiting_faces import encode_face
from celebahq_builder.thresholds import MAY_BE_INCLUDED, Thresholds

if TYPE_CHECKING:
    from celebahq_builder.align import FaceCrop
    from celebahq_builder.landmarks import Face

LARGEST_FILE_BYTES = 2_000_000_000  # as much as decoding may take in all
WORKER_IMPORTS = tuple(
    f"celebahq_builder.{name}"
    for name in ("align", "landmarks", "mark_measures", "perceptual_hash", "photos", "quality")
)
"""What a worker loads before its first photo, whose time it is not."""


@dataclass(frozen=True)
class Task:
    """What a worker needs to know to process one photo."""

    name: str
    config: BuildConfig
    landmarks: np.ndarray | str | None
    """(5, 2) float32 from the list, in pixels of the stored photo; None where there is no list, or the photo is not in
    it; text that says why the list is of no use for it."""
    place: int | None = None
    """In the list of --image-list."""
    included: frozenset[int] | None = frozenset()
    """Which faces are used though a threshold refuses them; None: all."""
    looked_for: float | None = None
    """Least distance between the eyes that faces are looked for with; None: --min-face."""
    packed: bool = False
    """Whether faces wait packed: on their way over a network, or where the disk is small."""


@dataclass
class Result:
    """What became of one photo."""

    rows: list[Row] = field(default_factory=list)
    faces: dict[int, bytes | FacePlace] = field(default_factory=dict)
    """Face index -> aligned face, as encode_face made it; or where it lies, once a node of a cluster wrote it."""
    seconds: dict[str, float] = field(default_factory=dict, compare=False)
    """Stage -> how long it took."""


def preload(task: Task) -> None:
    """Load what a photo is most often looked at with, on the CPU: once, for all workers that are forked afterwards."""
    config = task.config
    if config.landmarks is None and config.detector != "centerface":
        from celebahq_builder import dlib_faces

        dlib_faces.preload("cnn" if config.detector == "cnn" else "hog")
    if config.restore != "off":
        from celebahq_builder.restore_face import preload_networks

        preload_networks(config.restore)


def process_task(task: Task) -> Result:
    """Open a photo and align its faces. Runs in the workers; the only thing there that touches a file."""
    from celebahq_builder.photos import read_photo

    stamp = file_stamp(task.config.input, task.name)
    try:
        if stamp.num_bytes > LARGEST_FILE_BYTES:
            raise UnusablePhotoError("file too large", f"{stamp.num_bytes / 1e9:.1f} GB, at most 2 are expected")
        clock = StageSeconds()
        with clock.of("read"):
            data = read_photo(task.config.input, task.name)
    except UnusablePhotoError as refusal:
        return Result([refused(task.name, stamp, refusal)])
    return process_photo(task, stamp, data, clock)


def process_photo(task: Task, stamp: FileStamp, data: bytes, clock: StageSeconds | None = None) -> Result:
    """Take one photo through all stages: decode, find faces, align, score. The same bytes give the same result.

    Args:
        clock: to which the time of each stage is added.
    """
    from celebahq_builder.photos import decode_with_orientation

    facts: dict[str, Any] = {"source_sha256": hashlib.sha256(data).hexdigest()}
    clock = clock or StageSeconds()
    try:
        with clock.of("decode"):
            photo, orientation = decode_with_orientation(data, decoder=task.config.decoder)
        facts |= {
            "pixel_sha256": hashlib.sha256(photo.data).hexdigest(),
            "width": photo.shape[1],
            "height": photo.shape[0],
        }
        if task.config.masks is not None:
            check_mask(task.config.masks, task.name, photo.shape[1::-1])
        thresholds = Thresholds(task.config, photo.shape[1::-1])
        with clock.of("find"):
            found = _find(task, photo, orientation, thresholds)
    except UnusablePhotoError as refusal:
        return Result([refused(task.name, stamp, refusal, **facts)], seconds=clock.seconds)

    result = Result(seconds=clock.seconds)
    for index, face in enumerate(found):
        row_fields = {"rows": len(found), "face_index": index, **facts}
        row_fields["num_judged"] = thresholds.num_refused
        if isinstance(face, UnusablePhotoError) and _is_included(task, index, face):
            row_fields["overridden"] = face.reason
            face = face.face
        if isinstance(face, UnusablePhotoError):
            about = thresholds.facts(face.face)
            result.rows.append(refused(task.name, stamp, face, **row_fields, **about))
            continue
        row, data = _row_of_face(task, stamp, photo, face, thresholds.facts(face) | row_fields, clock)
        result.rows.append(row)
        result.faces[index] = data
    return result


def _is_included(task: Task, index: int, refusal: UnusablePhotoError) -> bool:
    named = task.included is None or index in task.included
    return named and refusal.face is not None and refusal.reason in MAY_BE_INCLUDED


def _find(
    task: Task, photo: np.ndarray, orientation: int, thresholds: Thresholds
) -> "Sequence[Face | UnusablePhotoError]":
    """The faces of a photo, found or listed; a refused one as what refuses it."""
    from celebahq_builder.landmark_lists.match import upright_points
    from celebahq_builder.landmarks import Face, check_landmarks, find_faces

    config = task.config
    if config.landmarks is None:
        smallest = config.min_face if task.looked_for is None else task.looked_for
        return find_faces(photo, config.faces, smallest, config.detector, thresholds.check, config.landmarks_from)
    if task.landmarks is None:
        raise UnusablePhotoError("not in the list of landmarks")
    if isinstance(task.landmarks, str):
        raise UnusablePhotoError("ambiguous in the list of landmarks", task.landmarks)
    face = Face(upright_points(task.landmarks, orientation, photo.shape), None)
    try:
        check_landmarks(face.landmarks, photo.shape, 0)
        thresholds.check(face.landmarks)
    except UnusablePhotoError as refusal:
        refusal.face = face
        return [refusal]
    return [face]


def _row_of_face(
    task: Task, stamp: FileStamp, photo: np.ndarray, face: "Face", facts: dict[str, Any], clock: StageSeconds
) -> tuple[Row, bytes]:
    """Restore, align and score one face; return its row, and the face as it is stored."""
    from celebahq_builder.align import crop_face, plan_face
    from celebahq_builder.coverage import inside_photo
    from celebahq_builder.detail_map import detail_map
    from celebahq_builder.mark_measures import measure_marks
    from celebahq_builder.perceptual_hash import perceptual_hash
    from celebahq_builder.quality import quality_score

    size, resolution = photo.shape[1::-1], task.config.resolution
    crop = plan_face(size, face.landmarks, resolution, task.config.geometry)
    with clock.of("restore"):
        prepared = prepare(photo, crop, task.config)
    with clock.of("align"):
        image = crop_face(prepared.photo, prepared.crop)
        face_to_score = image if prepared.photo is prepared.clean else crop_face(prepared.clean, crop)
    with clock.of("score"):
        mask = inside_photo(crop.quad, size, resolution) if facts["padding"] else None
        quality = quality_score(face_to_score, mask)
        marks = marks_text(measure_marks(photo, crop.quad, resolution))
        look, detail = perceptual_hash(image), detail_map(face_to_score)
    with clock.of("compress"):
        data = encode_face(image, task.packed)
    row = Row(
        source=task.name,
        source_bytes=stamp.num_bytes,
        source_mtime_ns=stamp.mtime_ns,
        status="aligned",
        score=float(quality.score),
        breadth=float(quality.breadth),
        isotropy=float(quality.isotropy),
        marks=marks,
        perceptual_hash=look,
        detail_map=detail,
        place=task.place,
        face_sha256=hashlib.sha256(data).hexdigest(),
        detail=_remarks(face),
        **facts,
    )
    return row, data


@dataclass(frozen=True)
class Prepared:
    """A photo after all that changes its pixels: a face is only cut out of it now.

    photo, crop: what the face is cut out of. clean: (H, W, 3) uint8 in the frame of the original, what the face is
    scored by; super-resolution, whose detail is no merit of the photo, is not in it. shown: what each stage made, for
    report.html, as (name, (H, W, 3) uint8, (5, 2) landmarks in it).
    """

    photo: np.ndarray
    crop: "FaceCrop"
    clean: np.ndarray
    shown: tuple[tuple[str, np.ndarray, np.ndarray], ...] = ()


def prepare(photo: np.ndarray, crop: "FaceCrop", config: BuildConfig, for_showing: bool = False) -> Prepared:
    """Take a photo through all stages that change its pixels, in order. (H, W, 3) uint8, and the crop planned in it.

    Args:
        for_showing: with what the crop keeps but does not look at.
    """
    if config.restore == "off":
        return Prepared(photo, crop, photo)
    from celebahq_builder.restore_face import restore_for

    restored = restore_for(config, photo, crop, for_showing)
    found = ("as found", photo, crop.landmarks), ("without JPEG artifacts", restored.clean, crop.landmarks)
    enlarged = (("enlarged 4 times", restored.photo, restored.crop.landmarks),) if restored.enlarged else ()
    return Prepared(restored.photo, restored.crop, restored.clean, (*found, *enlarged))


def _remarks(face: "Face") -> str:
    """What is odd about a face that is used: how the photo lies, and that not the usual detector found it."""
    side = f"the photo lies on its side: found after {face.turned % 360} degrees to the left" if face.turned else ""
    found = FINDERS[face.found_by].remark if face.found_by else ""
    return "; ".join(filter(None, (side, found)))


def refused(name: str, stamp: FileStamp, refusal: UnusablePhotoError, **facts) -> Row:
    """Return the row of a photo or face that cannot be used; of the photo as a whole without a face_index."""
    return Row(
        source=name,
        source_bytes=stamp.num_bytes,
        source_mtime_ns=stamp.mtime_ns,
        status="refused",
        reason=refusal.reason,
        detail=refusal.detail,
        **{"face_index": -1, "num_judged": 0} | facts,
    )
