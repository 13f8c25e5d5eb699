"""The pipeline, top to bottom: photos -> faces, rows and scores -> the best N -> report.html and HDF5."""

import contextlib
import json
import logging
import os
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from celebahq.files import printable
from celebahq.version import version
from celebahq_builder.cluster.build_cluster import cluster_of, seen_by_nodes, tell_other_machine
from celebahq_builder.cluster.node_facts import node_facts
from celebahq_builder.config import BuildConfig, BuildError, BuildIncompleteError, flag
from celebahq_builder.executors import Kept, keep_workers, stop_large
from celebahq_builder.hdf5_format.labels_file import labels_path, write_sidecar
from celebahq_builder.hdf5_format.row_tables import are_tables_of, write_row_tables
from celebahq_builder.landmark_lists.match import read_landmarks
from celebahq_builder.marks import MARKS_VERSION
from celebahq_builder.official.places import read_places
from celebahq_builder.process_photos import Photos, count_reasons, limits, process_missing, process_photos
from celebahq_builder.quality import SCORE_VERSION
from celebahq_builder.report.summary import BuildResult, build_result, log_summary
from celebahq_builder.restore_settings import resolve_auto, restored_here
from celebahq_builder.sources.input_photos import list_input, origin, photos_sha256
from celebahq_builder.sources.remote import url_of
from celebahq_builder.state.best_faces import Choice, choose
from celebahq_builder.state.build_folder import BuildFolder
from celebahq_builder.state.disk_errors import no_room_beside, one_line_for_disk_errors
from celebahq_builder.state.earlier_faces import EarlierFaces
from celebahq_builder.state.failure import is_failure
from celebahq_builder.state.file_rows import FileRows, file_rows, kept_rows, manifest_rows
from celebahq_builder.state.manifest import Row, write_manifest
from celebahq_builder.state.masks import masks_digest
from celebahq_builder.state.name_lists import NameLists, read_name_lists, tell_unmatched
from celebahq_builder.state.outcomes import with_outcomes
from celebahq_builder.state.output_file import Found, look_at_output, looked_for, say_finished
from celebahq_builder.state.photo_changes import photo_digests
from celebahq_builder.state.photo_labels import labels_digest, read_photo_labels
from celebahq_builder.state.resume import (
    are_these_faces,
    are_these_rows,
    end_build_folder,
    header_of_before,
    holds_more,
    load_completed_rows,
)
from celebahq_builder.state.row_table import RowTable, keys_of
from celebahq_builder.state.waiting_faces import is_room_for_plain
from celebahq_builder.state.write_output import write_output

if TYPE_CHECKING:
    from celebahq_builder.hdf5 import Dataset
    from celebahq_builder.report.sprites import Thumbnails

_log = logging.getLogger("celebahq.build")


def build(config: BuildConfig) -> BuildResult:
    """Build config.output, or go on with it. Nothing is redone, lost or doubled, however often it was interrupted.

    A URL is built in config.work and sent there. Silent: what the command prints goes to
    logging.getLogger("celebahq.build").

    Raises:
        BuildError: wrong input, an output in the way, a full disk, options that changed since the build was begun.
        BuildIncompleteError: all is written, but some photos failed that the same command tries again; its `result`
            says what was made.
    """
    if url_of(config.output):
        from celebahq_builder.stores.build_to_store import build_to_store

        with one_line_for_disk_errors():
            return build_to_store(config, build)
    listing = list_input(config)
    places, list_sha256 = read_places(config, listing)
    names = listing.names
    lists = read_name_lists(config.exclude, config.include, names, config.refuse)
    labels = read_photo_labels(config.labels, names)
    chosen: dict[str, str | float] = {**lists.digests(), **labels_digest(labels), **masks_digest(config.masks, names)}
    config, weights_sha256 = resolve_auto(config)
    _log.info(f"{config}\n")
    landmarks, landmarks_sha256 = read_landmarks(config, names)
    options: dict[str, str | float] = {"landmarks_sha256": landmarks_sha256, **list_sha256}
    attributes = _attributes(config, names, options | chosen, weights_sha256)
    found = look_at_output(config, names, attributes)
    _say_what_is_dropped(config, found.options if found.kind == "other" else {})
    begun = header_of_before(config)
    before = begun or (found.options if found.rows else {})
    smallest = looked_for(config, before, config.build_folder if begun else config.output)
    if smallest != config.min_face:
        options["looked_for"] = smallest
        attributes = _attributes(config, names, options | chosen, weights_sha256)
    tell_other_machine(begun)
    header = {
        "builder_version": version(),
        "computed_on": node_facts(),
        "score_version": SCORE_VERSION,
        "marks_version": MARKS_VERSION,
        "input": origin(config),
        **config.face_options(),
        **config.thresholds(),
        "weights_sha256": weights_sha256,
        **options,
    }
    if found.kind == "same" and not holds_more(config, names, header, lists, found):
        with one_line_for_disk_errors():
            end_build_folder(config, header, lists)
            return _result_of_before(config, found, len(names), lists)

    disk_errors, build_folder = one_line_for_disk_errors(), BuildFolder(config.build_folder)
    with disk_errors, build_folder as folder, cluster_of(config) as cluster, keep_workers() as kept:
        packed = not is_room_for_plain(config, len(names))
        photos = Photos(seen_by_nodes(config), names, landmarks, places, lists, smallest, cluster, packed, kept)
        folder.earlier = _earlier_faces(config, found)
        rows = load_completed_rows(folder, header, names, config, lists, found)
        rows += process_photos(folder, photos, rows)
        rows, choice = process_missing(folder, photos, header, rows)
        stop_large(kept)
        tell_unmatched(lists, keys_of(rows))

        failed = [row for row in rows.looked if is_failure(row.reason)]
        every_row = folder.room.for_work(partial(file_rows, rows, choice, config.build_folder))
        if choice.kept and not _is_written(found, choice, every_row):
            attributes |= photo_digests(every_row.rows)
            replace = found.kind != "nothing"
            write = partial(write_output, folder, config, choice, every_row.rows, attributes, labels)
            folder.room.for_work(partial(write, replace=replace, cluster=cluster), pack_all=True)
        # The page about a file that stays as it was stays, too.
        from celebahq_builder.report.build_report import report_path

        stays = not choice.kept and found.kind != "nothing"
        page = partial(_write_report, config, every_row, choice, kept)
        goes = choice.kept and not config.keep_build_folder and not failed
        with no_room_beside(config.output, folder.faces) if goes else contextlib.nullcontext():
            report = report_path(config.output) if stays else folder.room.for_work(page)
            if choice.kept:
                folder.room.for_work(partial(write_row_tables, config.output, every_row.rows))
        if choice.kept:
            log_summary(config, listing, build_result(config, len(names), every_row, choice, report))
        if config.keep_build_folder or failed:
            again = partial(write_manifest, folder.manifest, header)
            folder.room.for_work(lambda: again(with_outcomes(rows, choice)))
        else:
            folder.remove()
    result = build_result(config, len(names), every_row, choice, report)
    _raise_what_is_left(config, result)
    return result


def _say_what_is_dropped(config: BuildConfig, before: Mapping[str, object]) -> None:
    """Say where the file that is extended has labels or masks, and this command gives none."""
    for name in ("labels", "masks"):
        if before.get(f"{name}_sha256") and getattr(config, name) is None:
            _log.warning(f"{flag(name)}: {printable(config.output)} has them; without this option they go")


def _result_of_before(config: BuildConfig, found: Found, num_photos: int, lists: NameLists) -> BuildResult:
    """What a finished build comes to; what a kill kept from being written at its very end is, now."""
    from celebahq_builder.hdf5 import open_dataset
    from celebahq_builder.report.build_report import report_path

    stale_rows = found.rows if not are_tables_of(config.output) else None  # tables are the last to be written
    with open_dataset(config.output) as dataset:
        report = report_path(config.output)
        if stale_rows is not None or not report.exists():  # ended between the file and the page about it
            _write_report_of_before(config, found, lists, dataset)
        if stale_rows is not None:
            write_row_tables(config.output, stale_rows)
        if stale_rows is not None or (dataset.labels is not None and not labels_path(config.output).exists()):
            write_sidecar(config.output, dataset.labels)
        say_finished(config, found, len(dataset))
        return BuildResult(output=config.output, report=report, num_photos=num_photos, num_faces=len(dataset))


def _write_report_of_before(config: BuildConfig, found: Found, lists: NameLists, dataset: "Dataset") -> None:
    """Write the page that a kill came before: the build's own, where this program would make the same of the rows."""
    from celebahq_builder.report.build_report import report_path, write_missing_report

    if found.rows is not None:
        rows = RowTable(manifest_rows(found.rows))
        choice = choose(rows, config.keep, config.dedupe, lists)
        every_row = file_rows(rows, choice)
        if are_these_faces(choice, found.faces) and are_these_rows(every_row.rows, found.rows):
            _write_report(config, every_row, choice)
            return
    write_missing_report(report_path(config.output), config, dataset)  # of an earlier version, or edited


def _earlier_faces(config: BuildConfig, found: Found) -> EarlierFaces | None:
    """Open the file that is extended; one line says so."""
    if found.kind == "nothing":
        return None
    if found.rows is None:
        if found.kind == "other":
            before = f"{printable(config.output)}: made by an earlier version, which kept no rows to go on from"
            _log.info(f"{before}; all photos are looked at again, and it stays until the new file is whole")
        return None
    _log.info(f"{printable(config.output)}: has {len(found.faces['source']):,} faces, which are not made again")
    return EarlierFaces(config.output, kept_rows(found.rows))


def _attributes(
    config: BuildConfig, names: list[str], options: dict[str, str | float], weights_sha256: str
) -> dict[str, str | int]:
    """Root attributes of the finished file: what it was made from and how."""
    return {
        "config": json.dumps(config.recipe() | options),
        "score_version": SCORE_VERSION,
        "marks_version": MARKS_VERSION,
        "weights_sha256": weights_sha256,
        "computed_on": json.dumps(node_facts()),
        "num_photos": len(names),
        "photos_sha256": photos_sha256(config.input, names),
    }


def _raise_what_is_left(config: BuildConfig, result: BuildResult) -> None:
    """Raise BuildIncompleteError where photos failed, and BuildError where none has a face that can be used."""
    failed, total = result.faults, result.num_photos
    refused = [f"{count} {reason}" for reason, count in (result.refused or {}).items()]
    reasons = ", ".join([*refused, *([f"{result.num_excluded} excluded"] if result.num_excluded else [])])
    why = f"--input: no face in the {total} photos of {url_of(config.input) or config.input} ({reasons})"
    why += f"; see {result.report}" if not config.output.exists() else f"; {config.output} stays as it was"
    if failed:
        what = f"{len(failed)} of {total} photos failed ({_reasons(failed)}): read why in {config.build_folder}"
        what += f"{os.sep}manifest.jsonl; the same command tries just these again"
        raise BuildIncompleteError(what if result.num_faces else f"{why}; {what}", result)
    if not result.num_faces:
        raise BuildError(why)


def _write_report(config: BuildConfig, found: FileRows, choice: Choice, kept: Kept | None = None) -> Path:
    """Write the page about what was made; the file is there already, and small faces are read from its levels."""
    from celebahq_builder.report.build_report import report_path, shown_photos, write_fault, write_report
    from celebahq_builder.report.photos import PhotoTask, photo_images

    path = report_path(config.output)
    _log.info(f"writing {printable(path)}")
    try:
        faces, refused = shown_photos(found, choice)
        with _kept_faces(config, found, choice) as (thumbnails, read_face):
            here = restored_here(config)
            tasks = [PhotoTask(row.source, here, row, read_face(i)) for i, row in faces]
            tasks += [PhotoTask(row.source, here, row, None) for row in refused]
            images = photo_images(config, tasks, limits(config), kept)
            write_report(path, config, found, choice, thumbnails, images)
    except (OSError, BuildError):
        raise
    except Exception as error:  # the faces are worth more than the page about them
        write_fault(path, config, traceback.format_exc())
        _log.warning(f"{printable(path)}: fault in this program, it shows which ({error!r})")
    return path


@contextlib.contextmanager
def _kept_faces(
    config: BuildConfig, found: FileRows, choice: Choice
) -> Iterator[tuple["Thumbnails | None", Callable[[int], np.ndarray]]]:
    """Give the thumbnails of the file and what reads a face (R, R, 3) uint8 from it; none where nothing was kept."""
    from celebahq_builder.hdf5 import open_dataset
    from celebahq_builder.report.shown_rows import num_shown_faces
    from celebahq_builder.report.sprites import Thumbnails

    if not choice.kept:
        yield None, lambda place: np.empty((0, 0, 3), np.uint8)
        return
    with open_dataset(config.output) as dataset:
        thumbnails = Thumbnails(num_shown_faces(len(found.rows), len(dataset)), dataset.resolutions, dataset.read)
        yield thumbnails, lambda place: dataset.read(dataset.resolution, [place])[0].transpose(1, 2, 0)


def _is_written(found: Found, choice: Choice, every_row: FileRows) -> bool:
    """Say whether the file that is there is the one that would be written."""
    return found.kind == "same" and are_these_faces(choice, found.faces) and are_these_rows(every_row.rows, found.rows)


def _reasons(rows: Iterable[Row]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in count_reasons(rows))
