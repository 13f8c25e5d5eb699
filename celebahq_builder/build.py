"""The pipeline, top to bottom: photos -> faces, rows and scores -> the best N -> report.html and HDF5."""

import contextlib
import errno
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from celebahq_builder.best_faces import BestFaces, Choice, choose, with_outcomes
from celebahq_builder.build_folder import BuildFolder
from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.executors import WORKER_DIED, WorkerDied, run
from celebahq_builder.landmark_lists import read_landmarks
from celebahq_builder.manifest import ManifestWriter, Row, write_manifest
from celebahq_builder.photo_folder import file_stamp, find_input, photos_sha256
from celebahq_builder.printable_name import printable
from celebahq_builder.progress import progress
from celebahq_builder.render_photo import Result, Task, refused, work_on
from celebahq_builder.restore_settings import settle
from celebahq_builder.resume import done_so_far, is_finished
from celebahq_builder.unusable_photo import UnusablePhoto
from celebahq_builder.version import builder_version

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DISK_ERRORS = (*_FULL, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)


def build(config: BuildConfig) -> None:
    """Build config.output, or go on with it. Nothing is redone, lost or doubled, however often it was interrupted.

    Raises:
        BuildError: wrong input, an output in the way, a full disk, options that changed since the build was begun.
    """
    names = find_input(config)
    config, weights_sha256 = settle(config)
    print(config, end="\n\n")
    landmarks, landmarks_sha256 = read_landmarks(config, names)
    attributes = _attributes(config, names, landmarks_sha256, weights_sha256)
    if is_finished(config, attributes):
        return

    with _one_line_for_disk_errors(), BuildFolder(config.build_folder) as folder:
        header = {
            "builder_version": builder_version(),
            "input": str(config.input.resolve()),
            "landmarks_sha256": landmarks_sha256,
            **config.rendering(),
            "weights_sha256": weights_sha256,
        }
        rows = done_so_far(folder, header, names, config)
        rows += _render_photos(folder, config, _tasks(config, names, landmarks, rows), rows)

        choice = choose(rows, config.keep, config.dedupe)
        folder.remove_all_faces_but(choice.kept)
        _render_missing(folder, config, landmarks, choice)

        report = _write_report(folder, config, rows, choice)
        if not choice.kept:
            if not config.keep_build_folder:
                folder.remove()
            raise BuildError(
                f"--input: no face in the {len(names)} photos of {config.input} ({_reasons(rows)}); see {report}"
            )
        _write_dataset(folder, config, choice, attributes)
        _print_summary(config, names, rows, choice, report)
        if config.keep_build_folder:
            write_manifest(folder.manifest, header, with_outcomes(rows, choice))
        else:
            folder.remove()


def _attributes(
    config: BuildConfig, names: list[str], landmarks_sha256: str, weights_sha256: str
) -> dict[str, str | int]:
    """Root attributes of the finished file: what it was made from and how."""
    recipe = config.recipe() | {"landmarks_sha256": landmarks_sha256}
    return {
        "config": json.dumps(recipe),
        "weights_sha256": weights_sha256,
        "num_photos": len(names),
        "photos_sha256": photos_sha256(config.input, names),
    }


def _tasks(config: BuildConfig, names: list[str], landmarks: dict | None, rows: list[Row]) -> list[Task]:
    done = {row.source for row in rows}
    return [_task(config, name, landmarks) for name in names if name not in done]


def _task(config: BuildConfig, name: str, landmarks: dict | None) -> Task:
    return Task(name, config, None if landmarks is None else landmarks[name])


def _render_photos(folder: BuildFolder, config: BuildConfig, tasks: list[Task], before: list[Row]) -> list[Row]:
    """Render every photo; return the new rows. At any moment at most config.keep rendered faces are on the disk."""
    best, rows = BestFaces(config.keep, config.dedupe), []
    for row in before:
        if row.status == "rendered":
            best.offer(row)
    folder.remove_all_faces_but(best.rows())

    refused = sum(row.status == "refused" for row in before)
    with ManifestWriter(folder.manifest) as manifest, progress("photos", len(tasks)) as bar:
        for task, result in run(work_on, tasks, config.workers):
            result = _result_of(task, result)
            # Faces first, their rows after them: a row in the manifest means that its face was on the disk.
            for row in result.rows:
                if row.status == "refused":
                    refused += 1
                    continue
                enters, leaving, _ = best.offer(row)
                for worse in leaving:
                    folder.remove_face(worse)
                if enters:
                    folder.write_face(row, result.faces[row.face_index])
            manifest.append(result.rows)
            rows += result.rows
            bar.advance(f"{len(best)} faces, {refused} refused")
    return rows


def _result_of(task: Task, result: Result | WorkerDied) -> Result:
    if not isinstance(result, WorkerDied):
        return result
    stamp = file_stamp(task.config.input, task.name)
    return Result([refused(task.name, stamp, UnusablePhoto(WORKER_DIED, result.detail))])


def _render_missing(folder: BuildFolder, config: BuildConfig, landmarks: dict | None, choice: Choice) -> None:
    """Render again what was chosen but is not on the disk.

    That is nothing, but for a larger --keep or another --dedupe than before, or a chain of near duplicates.
    """
    missing = {row.key: row for row in choice.kept if not folder.has_face(row)}
    if not missing:
        return
    tasks = [_task(config, name, landmarks) for name in sorted({name for name, _ in missing})]
    with progress("photos to render again", len(tasks)) as bar:
        for task, result in run(work_on, tasks, config.workers):
            for row in _result_of(task, result).rows:
                if missing.get(row.key) == row:
                    folder.write_face(row, result.faces[row.face_index])
                    del missing[row.key]
            bar.advance()
    if missing:
        name = min(missing)[0]
        raise BuildError(f"{name}: the photo changed while the build was at work; run the same command again")


def _write_report(folder: BuildFolder, config: BuildConfig, rows: list[Row], choice: Choice) -> Path:
    from celebahq_builder.photos import read_photo
    from celebahq_builder.report import report_path, write_report

    path = report_path(config.output)
    write_report(path, config, rows, choice, folder.read_face, lambda name: read_photo(config.input, name))
    return path


def _write_dataset(folder: BuildFolder, config: BuildConfig, choice: Choice, attributes: dict[str, str | int]) -> None:
    from celebahq_builder.face_record import FaceRecord
    from celebahq_builder.hdf5 import DatasetWriter
    from celebahq_builder.pyramid import pyramid

    compression = None if config.compression == "none" else config.compression
    with (
        DatasetWriter(
            config.output, config.resolution, len(choice.kept), attributes=attributes, compression=compression
        ) as writer,
        progress("faces into the file", len(choice.kept)) as bar,
    ):
        for row in choice.kept:
            record = FaceRecord(
                source=row.source,
                source_sha256=row.source_sha256,
                pixel_sha256=row.pixel_sha256,
                face_index=row.face_index,
                scale=row.scale,
                landmarks=np.array(row.landmarks, np.float32),
                quad=np.array(row.quad),
                score=row.score,
                breadth=row.breadth,
                isotropy=row.isotropy,
            )
            writer.write(pyramid(folder.read_face(row)), record)
            bar.advance()


def _print_summary(config: BuildConfig, names: list[str], rows: list[Row], choice: Choice, report: Path) -> None:
    size = f"{config.resolution}x{config.resolution}, {config.output.stat().st_size / 1e6:,.1f} MB"
    lines = [
        (len(names), "photos"),
        (len(choice.kept), f"faces in {printable(config.output)}, {size}"),
    ]
    if choice.beyond:
        lines.append((len(choice.beyond), f"faces not among the best {config.keep}"))
    if choice.duplicates:
        lines.append((len(choice.duplicates), "duplicates"))
    lines += [(count, f"refused: {reason}") for reason, count in count_reasons(rows)]
    width = len(f"{max(count for count, _ in lines):,}")
    print()
    for count, text in lines:
        print(f"{count:>{width},}  {text}")
    print(f"\nLook at them:  {printable(report)}")
    print(f"Train on them: python -m train --dataset {printable(config.output)}")


def count_reasons(rows: Iterable[Row]) -> list[tuple[str, int]]:
    """Return (reason, how many photos and faces were refused for it), the most frequent first."""
    counts = Counter(row.reason for row in rows if row.status == "refused")
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _reasons(rows: list[Row]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in count_reasons(rows))


@contextlib.contextmanager
def _one_line_for_disk_errors() -> Iterator[None]:
    """Where the disk is full or cannot be written to, say so in one line; what is done stays done."""
    try:
        yield
    except OSError as error:
        ours = error.strerror is None and (isinstance(error, FileExistsError) or error.errno == errno.EWOULDBLOCK)
        if ours:  # the writer's own words: something came to lie there, or another program is writing there
            raise BuildError(str(error)) from error
        if error.errno not in _DISK_ERRORS:
            raise
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        remedy = "free some space" if error.errno in _FULL else "make it writable"
        raise BuildError(f"{what}; {remedy} and run the same command again to continue") from error
