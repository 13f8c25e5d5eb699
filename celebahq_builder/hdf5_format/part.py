"""Datasets as parts of a new one: rows of one file or several, with all their columns, into another file."""

import contextlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from celebahq.files import printable
from celebahq.progress import progress
from celebahq_builder.hdf5 import Dataset, DatasetError, DatasetWriter, level_key, open_dataset
from celebahq_builder.hdf5_format.changed_rows import ChangedRows, JoinedRows
from celebahq_builder.hdf5_format.rows import Rows, StoredRows, find_stored_rows
from celebahq_builder.hdf5_format.shards import SET_ATTRIBUTE, SHARD_ATTRIBUTE
from celebahq_builder.hdf5_format.validation import open_hdf5
from celebahq_builder.marks import UNMEASURED

_log = logging.getLogger("celebahq.data")
_BLOCK_ROWS = 32
_OF_ALL_PHOTOS = ("num_photos", "photos_sha256", "photos_times_sha256", "photos_contents_sha256")
_WRITERS = ("format_version", "builder_version", "unfinished", SET_ATTRIBUTE, SHARD_ATTRIBUTE)


PartRows = StoredRows | ChangedRows


@dataclass(frozen=True, eq=False)
class Part:
    """One file that is read from.

    dataset: open; faces: columns of the group `faces` as they are stored, hashes as bytes; rows: of the group `rows`.
    compression: of its top level.
    """

    dataset: Dataset
    faces: dict[str, np.ndarray]
    rows: PartRows | None
    compression: str | None

    @property
    def path(self) -> Path:
        return self.dataset.path

    def options(self) -> dict[str, Any]:
        """Return the options that it was made with; {} where it says nothing."""
        try:
            options = json.loads(str(self.dataset.attributes.get("config", "{}")))
        except (ValueError, RecursionError):
            return {}
        return options if isinstance(options, dict) else {}

    @property
    def marks_version(self) -> int:
        """By which thresholds its faces were marked; 0 where none were, or nobody says."""
        version = self.dataset.attributes.get("marks_version", 0)
        return int(version) if isinstance(version, int | np.integer) else 0

    def ids(self) -> list[tuple[str, int]]:
        """Return (source, face_index) of each row; DatasetError where the file names no sources."""
        columns = self.dataset.faces
        if "source" not in columns:
            raise DatasetError(f"{self.path}: got no faces/source, expected it to find faces by their names")
        indices = columns.get("face_index", np.zeros(len(self.dataset), np.int32))
        return [(str(source), int(index)) for source, index in zip(columns["source"], indices, strict=True)]


@contextlib.contextmanager
def open_part(path: Path) -> Iterator[Part]:
    """Open a dataset file to take rows from.

    Raises:
        DatasetError: no dataset, or one whose columns are not as long as it is.
    """
    rows = find_stored_rows(path)
    with open_dataset(path) as dataset, open_hdf5(path) as file:
        faces = {name: file["faces"][name][:] for name in dataset.faces}
        yield Part(dataset, faces, rows, dataset.stored().storage(level_key(dataset.resolution)).compression)


def write_parts(
    output: Path,
    parts: Sequence[Part],
    order: Sequence[tuple[int, int]],
    *,
    names: Sequence[str],
    rows: ChangedRows | JoinedRows | None,
    edited: str,
    unlike: Sequence[str] = (),
) -> None:
    """Write a dataset of rows of others.

    Args:
        order: (part, row) of each new row.
        names: columns of `faces` to write; every part has them.
        rows: of the new file.
        edited: what was done, for the attribute `config`.
        unlike: options that the parts do not share, which the new file does not record.

    Raises:
        FileExistsError, OSError: as of DatasetWriter.
        DatasetError: damaged rows.
    """
    first = parts[0]
    options = {name: value for name, value in first.options().items() if name not in unlike} | {"edited": edited}
    attributes = dict(first.dataset.attributes) | {"config": json.dumps(options)}
    for name in (*_OF_ALL_PHOTOS, *_WRITERS):
        attributes.pop(name, None)
    if newest := max(part.marks_version for part in parts):
        attributes["marks_version"] = newest  # those of others are not known: same_marks
    columns = {name: _gathered([part.faces[name] for part in parts], order) for name in names}
    labels = None
    if all(part.dataset.labels is not None for part in parts):
        labels = _gathered([np.asarray(part.dataset.labels) for part in parts], order)
    with (
        DatasetWriter(
            output,
            first.dataset.resolution,
            len(order),
            attributes=attributes,
            compression="gzip" if first.compression == "gzip" else None,
            labels=labels,
            label_names=first.dataset.label_names if labels is not None else None,
            channels=first.dataset.channels,
            rows=rows,
            columns=columns,
            masks=all(part.dataset.has_masks for part in parts),
        ) as writer,
        progress("faces into the file", len(order)) as bar,
    ):
        for start in range(0, len(order), _BLOCK_ROWS):
            block = order[start : start + _BLOCK_ROWS]
            for levels, mask in _read(parts, block):
                writer.write(levels, mask=mask)
                bar.advance()


def same_marks(parts: Sequence[Part]) -> list[Part]:
    """Return the parts with marks by the thresholds of one version, the newest: what others say becomes unmeasured.

    A mark is measured in the photograph, before restoration, and cannot be had from the face; a word that meant
    something else would be one that nobody can trust. A build that goes on from the file, with --refuse, measures them.
    """
    newest = max(part.marks_version for part in parts)
    if all(part.marks_version == newest for part in parts):
        return list(parts)
    made = []
    for part in parts:
        faces, rows = dict(part.faces), part.rows
        if part.marks_version != newest:
            faces["marks"] = np.full(len(part.dataset), UNMEASURED.encode(), object)
            _log.warning(
                f"{printable(part.path)}: its marks are of version {part.marks_version}, others' of {newest}: those of "
                f"its {len(part.dataset):,} faces become {UNMEASURED}"
            )
            if rows is not None:
                rows = ChangedRows(rows, _unmeasured)
        made.append(Part(part.dataset, faces, rows, part.compression))
    return made


def _unmeasured(rows: Rows) -> Rows:
    marks = np.where(np.isfinite(rows["score"]), UNMEASURED, rows["marks"]).astype(object)
    return Rows(rows.columns | {"marks": marks})


def _read(
    parts: Sequence[Part], block: Sequence[tuple[int, int]]
) -> list[tuple[dict[int, np.ndarray], np.ndarray | None]]:
    """Return levels and mask of each of these rows."""
    found: list[Any] = [None] * len(block)
    for number, part in enumerate(parts):
        places = [place for place, (of, _) in enumerate(block) if of == number]
        if not places:
            continue
        dataset, wanted = part.dataset, [block[place][1] for place in places]
        levels = {r: dataset.read(r, wanted) for r in dataset.resolutions}
        masks = dataset.read_masks(wanted) if all(part.dataset.has_masks for part in parts) else None
        for i, place in enumerate(places):
            found[place] = {r: level[i] for r, level in levels.items()}, None if masks is None else masks[i]
    return found


def _gathered(columns: Sequence[np.ndarray], order: Sequence[tuple[int, int]]) -> np.ndarray:
    starts = np.cumsum([0, *map(len, columns)])
    joined = columns[0] if len(columns) == 1 else np.concatenate(columns)
    found = joined[[starts[part] + row for part, row in order]]
    if found.dtype != object:
        return found
    texts = np.empty(found.shape, h5py.string_dtype("utf-8"))  # what concatenate returns is ASCII to h5py
    texts[...] = found
    return texts


def moved_rows(rows: PartRows, places: dict[int, int], reason: str) -> ChangedRows:
    """Return the rows of a file of which some faces went elsewhere.

    Args:
        places: row -> row in the new file, of what it keeps.
        reason: of all others that were kept.
    """

    def moved(some: Rows) -> Rows:
        columns = some.columns | {name: some[name].copy() for name in ("row", "status", "reason")}
        for i in np.flatnonzero(some["row"] != -1).tolist():
            row = columns["row"][i] = places.get(int(some["row"][i]), -1)
            if row == -1:
                columns["status"][i], columns["reason"][i] = "refused", reason
        return Rows(columns)

    return ChangedRows(rows, moved)
