"""What an earlier run left behind: rows of photos that need no second look, in build folder or finished file."""

import itertools
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.hdf5_format.row_slices import RowSlices
from celebahq_builder.hdf5_format.rows import StoredRows
from celebahq_builder.state.best_faces import Choice, choose
from celebahq_builder.state.build_folder import BuildFolder
from celebahq_builder.state.changed_decisions import without_changed_decisions
from celebahq_builder.state.failure import is_failure
from celebahq_builder.state.file_rows import manifest_rows
from celebahq_builder.state.manifest import read_header, read_manifest, refuse_changed_options, write_manifest
from celebahq_builder.state.manifest_row import Row
from celebahq_builder.state.masks import photos_of_changed_masks
from celebahq_builder.state.name_lists import NameLists
from celebahq_builder.state.outcomes import with_outcomes
from celebahq_builder.state.output_file import Found
from celebahq_builder.state.photo_changes import unchanged
from celebahq_builder.state.row_table import RowTable, RowView

_log = logging.getLogger("celebahq.build")


def header_of_before(config: BuildConfig) -> dict[str, Any]:
    """Return the options of the build folder, where there is one with a manifest; else {}."""
    try:
        return read_header(config.build_folder / "manifest.jsonl")
    except (OSError, BuildError):
        return {}


def holds_more(config: BuildConfig, names: list[str], header: dict, lists: NameLists, found: Found) -> bool:
    """Say whether the build folder, where there is one of this build, holds what the finished file lacks."""
    try:
        before, rows = read_manifest(config.build_folder / "manifest.jsonl")
    except (OSError, BuildError):
        return False
    if before | {"computed_on": None} != header | {"computed_on": None}:
        return False
    done = {row.source for row in rows if not is_failure(row.reason)}
    choice = choose(rows, config.keep, config.dedupe, lists)
    return not done.issuperset(names) or not are_these_faces(choice, found.faces)


def end_build_folder(config: BuildConfig, header: dict, lists: NameLists) -> None:
    """Remove the build folder of a finished build, or complete one that is kept, where a kill came before that.

    One of other options is left alone where it is to be kept: the build is none that it could be completed for.
    """
    if not config.build_folder.exists():
        return
    with BuildFolder(config.build_folder) as folder:
        if not config.keep_build_folder:
            folder.remove()
            return
        try:
            before, rows = read_manifest(folder.manifest)
        except (OSError, BuildError):
            return
        if before | {"computed_on": None} != header | {"computed_on": None}:
            return
        choice = choose(rows, config.keep, config.dedupe, lists)
        if any(row.outcome != end.outcome for row, end in zip(rows, with_outcomes(rows, choice), strict=True)):
            write_manifest(folder.manifest, before, with_outcomes(rows, choice))


def are_these_faces(choice: Choice, faces: dict[str, np.ndarray]) -> bool:
    """Say whether a dataset holds just what was chosen.

    Args:
        faces: columns of the group `faces`.
    """
    columns: list[Any] = [faces.get(name, []) for name in ("source", "face_index", "score")]
    if any(len(column) != len(choice.kept) for column in columns):
        return False
    there = ((str(source), int(index), float(score)) for source, index, score in zip(*columns, strict=True))
    return all(row == (kept.source, kept.face_index, kept.score) for row, kept in zip(there, choice.kept, strict=True))


def are_these_rows(rows: RowSlices, there: StoredRows | None) -> bool:
    """Say whether the rows of a file are just these."""
    if there is None or len(rows) != len(there):
        return False
    first = 0
    for some in rows.slices():
        part = there.part(first, first + len(some))
        if some.columns.keys() - part.columns.keys():
            return False
        for name, column in some.columns.items():
            of_file = part[name]
            news = name not in ("source_mtime_ns", "traceback")
            if news and not np.array_equal(column, of_file, equal_nan=column.dtype.kind == "f"):
                return False
        first += len(some)
    return True


def load_completed_rows(
    folder: BuildFolder, header: dict, names: list[str], config: BuildConfig, lists: NameLists, found: Found
) -> RowTable:
    """Return the rows of photos that need not be looked at again, and leave a manifest that holds just these."""
    before, rows = read_manifest(folder.manifest) if folder.manifest.exists() else ({}, RowTable())
    journal = rows
    if before:  # else killed before the first line was whole
        refuse_changed_options(folder.manifest, before, header)
        rows = without_changed_decisions(rows, before, config, header["score_version"], lists)
    if found.kind != "nothing" and found.rows is not None:
        done = rows.sources()
        others = RowTable(row for row in manifest_rows(found.rows) if row.source not in done)
        others = without_changed_decisions(others, found.options, config, header["score_version"], lists)
        rows = RowTable(itertools.chain(rows, others)) if len(rows) else others
    elif not before:
        write_manifest(folder.manifest, header, [])
        return RowTable()

    if again := photos_of_changed_masks(rows if config.masks is not None else rows.looked, config.masks):
        rows = RowTable(row for row in rows if row.source not in again)
    places, times = unchanged(config.input, rows, set(names))
    if len(places) < len(rows):
        changed = rows.num_photos() - rows.num_photos(places)
        _log.info(f"photos gone or changed since the last run: {changed}, what came of them is dropped")
    looked = RowView(rows, np.intersect1d(rows.looked.places, places))
    failed = {row.source for row in looked if is_failure(row.reason)}
    same = len(places) == len(rows) and not len(looked) and np.array_equal(times, rows.mtimes_of(places))
    if rows is journal and before == header and same:
        os.truncate(folder.manifest, rows.journal_end)  # what a kill left of another photo
    else:
        rows = RowTable(row for row in _to_decide_anew(rows, places, times) if row.source not in failed)
        folder.room.for_work(partial(write_manifest, folder.manifest, header, rows))
    again_words = f"; {len(failed)} that failed are tried again" if failed else ""
    _log.info(f"continuing: {rows.num_photos()} of {len(names)} photos are done{again_words}")
    return rows


def _to_decide_anew(rows: RowTable, places: np.ndarray, times: np.ndarray) -> Iterator[Row]:
    """Yield rows with the times of their photos today, without what became of them: with these photos and options."""
    for row, time in zip(RowView(rows, places), times.tolist(), strict=True):
        yield replace(row, outcome="", source_mtime_ns=time) if row.outcome or row.source_mtime_ns != time else row
