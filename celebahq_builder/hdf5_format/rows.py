"""The group `rows`: every photo and face that a build looked at, kept or not, with its reason and all its numbers."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, overload

import h5py
import numpy as np

from celebahq_builder.hdf5_format.levels import DatasetError, key_text
from celebahq_builder.hdf5_format.validation import check_file, open_hdf5

GROUP = "rows"
ROWS_AT_ONCE = 1 << 16
"""Of many, that are texts and objects at the same time: some 60 MB."""
STATUSES = ("kept", "beaten", "duplicate", "refused", "failed")
_TEXT, _SHA256 = h5py.string_dtype("utf-8"), np.dtype("S64")

COLUMNS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "source": (_TEXT, ()),  # the photo, relative to --input, bytes of its name as UTF-8
    "source_sha256": (_SHA256, ()),
    "face_index": (np.int32, ()),  # -1: the photo as a whole, in which no face was looked at
    "status": (_TEXT, ()),  # one of STATUSES
    "reason": (_TEXT, ()),  # why it is not kept, a phrase to count by; empty for what is
    "detail": (_TEXT, ()),  # the same in the numbers of this photo; of a face, what was odd about the photo
    "marks": (_TEXT, ()),  # separated by spaces
    "overridden": (_TEXT, ()),  # the reason for which it would be refused, had --include not named it
    "score": (np.float64, ()),  # like all numbers below: nan where it is not known
    "breadth": (np.float64, ()),
    "isotropy": (np.float64, ()),
    "width": (np.float64, ()),  # of the photo as decoded, upright
    "height": (np.float64, ()),
    "eye_distance": (np.float64, ()),  # source pixels, seen from the front: what --min-face is compared with
    "scale": (np.float64, ()),
    "padding": (np.float64, ()),
    "invented": (np.float64, ()),
    "landmarks": (np.float32, (5, 2)),
    "quad": (np.float64, (4, 2)),
    "turned": (np.int32, ()),  # degrees counter-clockwise that bring a photo upright that lies on its side
    "duplicate_of": (_TEXT, ()),  # id of the kept row
    "row": (np.int32, ()),  # in data{R}x{R}; -1 for what is not kept
    # What else a later build needs to go on from here.
    "pixel_sha256": (_SHA256, ()),
    "perceptual_hash": (_SHA256, ()),
    "detail_map": (_SHA256, ()),  # how strong the edges of the face are, in 8x8 cells; none in files of before
    "num_rows": (np.int32, ()),  # of this photo
    "num_judged": (np.int32, ()),  # candidates of this photo that a threshold refused; -1 where that is not known
    "place": (np.int32, ()),  # in the list of --image-list; -1 without one
    "source_bytes": (np.int64, ()),
    "source_mtime_ns": (np.int64, ()),
    "traceback": (_TEXT, ()),
}

_ADDED = {"detail_map"}
"""Columns of text that files of before have not."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Columns of equal length, by name, sorted by source and face_index.

    `rows["score"]` is a numpy array: text as str, hashes too, numbers as COLUMNS says; there may be further columns.
    `rows[3:5]` and `rows[rows["score"] > 0]` are rows again.
    """

    columns: dict[str, np.ndarray]

    @overload
    def __getitem__(self, name: str) -> np.ndarray: ...
    @overload
    def __getitem__(self, name: slice | np.ndarray) -> "Rows": ...
    def __getitem__(self, name: str | slice | np.ndarray) -> "np.ndarray | Rows":
        if isinstance(name, str):
            return self.columns[name]
        return Rows({key: column[name] for key, column in self.columns.items()})

    def __len__(self) -> int:
        return len(self.columns["source"])

    def slices(self, at_once: int | None = None) -> Iterator["Rows"]:
        """Yield the rows, some at a time; without any, one slice of none."""
        size = at_once or ROWS_AT_ONCE
        for first in range(0, max(len(self), 1), size):
            yield self[first : first + size]

    @property
    def ids(self) -> list[str]:
        """Return `source#face_index` of each row: what --exclude and --include name."""
        pairs = zip(self["source"], self["face_index"], strict=True)
        return [row_id(source, int(index)) for source, index in pairs]

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return one dict of plain Python values a row, None for unknown numbers; landmarks and quad as lists."""
        lists = {name: _values(name, column) for name, column in self.columns.items()}
        return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def _values(name: str, column: np.ndarray) -> list[Any]:
    """Return a column as plain Python values, None for unknown numbers."""
    values = column.tolist()
    if column.dtype.kind != "f" or not column.size:
        return values
    if name in ("width", "height"):
        return [int(value) if math.isfinite(value) else None for value in values]  # inf is a file's of somebody else
    unknown = np.isnan(column.reshape(len(column), -1)[:, 0])
    for i in np.flatnonzero(unknown).tolist():
        values[i] = None
    return values


class SlicedRows(Protocol):
    """Rows that are read some at a time."""

    def __len__(self) -> int: ...
    def slices(self) -> Iterator[Rows]:
        """Yield the rows, some at a time; without any, one slice of none."""
        ...


def row_id(source: str, face_index: int) -> str:
    """Return the name of a row: `source#face_index`."""
    return f"{source}#{face_index}"


def rows_of_dicts(rows: Iterable[Mapping[str, Any]]) -> Rows:
    """Return the columns of rows that are given as dicts; a value that is None or absent is unknown or empty."""
    listed = sorted(rows, key=lambda row: (row["source"], row["face_index"]))
    return columns_of_dicts(listed, len(listed))


def columns_of_dicts(rows: Iterable[Mapping[str, Any]], count: int) -> Rows:
    """Return the columns of `count` dicts that are in order already; each may be gone once it was read."""
    columns, empty = {}, {}
    for name, (dtype, shape) in COLUMNS.items():
        column = np.empty((count, *shape), object if dtype in (_TEXT, _SHA256) else dtype)
        columns[name] = column
        empty[name] = "" if column.dtype == object else np.nan if column.dtype.kind == "f" else -1
    for i, row in enumerate(rows):
        for name, column in columns.items():
            value = row.get(name)
            column[i] = empty[name] if value is None else value
    return Rows(columns)


def write_rows(file: h5py.File, rows: "SlicedRows") -> None:
    """Write the group into an open file, slice by slice."""
    first = 0
    for some in rows.slices():
        for name, column in some.columns.items():
            kind: Any = column.dtype
            if column.dtype == object:
                kind = _SHA256 if COLUMNS.get(name, (_TEXT,))[0] == _SHA256 else _TEXT
                texts = [text.encode("utf-8", "surrogateescape") for text in column.ravel()]
                column = np.array(texts, kind).reshape(column.shape)
            if first == 0:
                file.create_dataset(f"{GROUP}/{name}", (len(rows), *column.shape[1:]), kind)
            if len(column):
                file[f"{GROUP}/{name}"][first : first + len(column)] = column
        first += len(some)


class StoredRows:
    """The rows of a dataset file, read slice by slice, any number of times; the file must stay as it is.

    Raises:
        DatasetError: when it is made or read from, damaged rows.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with open_hdf5(path) as file:
            self._count = len(_stored_columns(path, file)["source"])

    def __len__(self) -> int:
        return self._count

    def part(self, first: int, stop: int) -> Rows:
        """Return some rows."""
        with open_hdf5(self.path) as file:
            return _read_part(self.path, _stored_columns(self.path, file), slice(first, stop))

    def slices(self) -> Iterator[Rows]:
        """Yield the rows, some at a time; without any, one slice of none."""
        with open_hdf5(self.path) as file:
            columns = _stored_columns(self.path, file)
            for first in range(0, max(self._count, 1), ROWS_AT_ONCE):
                yield _read_part(self.path, columns, slice(first, first + ROWS_AT_ONCE))


def find_stored_rows(path: str | Path) -> StoredRows | None:
    """Look through the rows of a dataset file; None where it has none, as a file of before or of another program.

    Raises:
        DatasetError: no dataset file that can be read, or damaged rows.
    """
    path = Path(path)
    check_file(path, every_text=True)
    with open_hdf5(path) as file:
        if GROUP not in file:
            return None
    rows = StoredRows(path)
    for _ in rows.slices():  # or what is damaged in them would show later
        pass
    return rows


def find_rows(path: str | Path) -> Rows | None:
    """Read the rows of a dataset file; None where it has none.

    Raises:
        DatasetError: as of find_stored_rows.
    """
    path = Path(path)
    check_file(path, every_text=True)
    with open_hdf5(path) as file:
        if GROUP not in file:
            return None
        return _read_part(path, _stored_columns(path, file), slice(None))


def read_rows(path: str | Path) -> Rows:
    """Read the rows of a dataset file.

    Raises:
        DatasetError: as of find_rows; a file without rows.
    """
    rows = find_rows(path)
    if rows is None:
        raise DatasetError(f"{path}: got a dataset without rows, expected one that celebahq-build made or extended")
    return rows


def _stored_columns(path: Path, file: h5py.File) -> dict[str, h5py.Dataset]:
    """Return the columns of the group, in the order they came in; DatasetError where they are no rows."""
    group = file[GROUP]
    if not isinstance(group, h5py.Group):
        raise DatasetError(f"{path}: got {GROUP} that is no group, expected one column a fact")
    columns = {key_text(key): column for key, column in group.items()}
    columns = {name: columns[name] for name in (*COLUMNS, *columns) if name in columns}
    for name, column in columns.items():
        _check_column(path, name, column)
    if missing := COLUMNS.keys() - columns.keys() - _ADDED:
        raise DatasetError(f"{path}: got no {GROUP}/{min(missing)}, expected the columns of celebahq-build")
    if len({len(column) for column in columns.values()}) > 1:
        lengths = {name: len(column) for name, column in columns.items()}
        raise DatasetError(f"{path}: got columns of different length in {GROUP} ({lengths}), expected equal ones")
    return columns


def _check_column(path: Path, name: str, column: object) -> None:
    wanted, shape = COLUMNS.get(name, (None, None))
    if not isinstance(column, h5py.Dataset) or not column.shape:
        raise DatasetError(f"{path}: got {GROUP}/{name} that is no column, expected one entry a row")
    is_text = _is_text(column)
    if shape is not None:
        kinds = "OS" if np.dtype(wanted).kind in "OS" else "iu" if np.dtype(wanted).kind == "i" else "fiu"
        if column.shape[1:] != shape or column.dtype.kind not in kinds or is_text != (kinds == "OS"):
            found = f"{GROUP}/{name} of {column.shape} {column.dtype}"
            raise DatasetError(f"{path}: got {found}, expected (N{''.join(f', {n}' for n in shape)}) of {wanted}")
    elif not is_text and column.dtype.kind not in "biuf":
        raise DatasetError(f"{path}: got {GROUP}/{name} of {column.dtype}, expected numbers or text")


def _is_text(column: h5py.Dataset) -> bool:
    return column.dtype.kind == "S" or h5py.check_string_dtype(column.dtype) is not None


def _read_part(path: Path, columns: Mapping[str, h5py.Dataset], part: slice) -> Rows:
    """Read some rows of a group's columns."""
    found = {}
    for name, column in columns.items():
        wanted, _ = COLUMNS.get(name, (None, None))
        try:
            if _is_text(column):
                found[name] = column.asstr("utf-8", "surrogateescape")[part]
            else:
                found[name] = column[part] if wanted is None else column[part].astype(wanted, copy=False)
        except (OSError, RuntimeError, ValueError) as error:
            damaged = f"{path}: got damaged {GROUP}/{name} ({error}), expected a whole column"
            raise DatasetError(damaged) from None
    for name in _ADDED - found.keys():
        found[name] = np.full(len(found["source"]), "", object)
    found = {name: found[name] for name in (*COLUMNS, *found) if name in found}
    if unknown := set(found["status"]) - set(STATUSES):
        raise DatasetError(f"{path}: got status {min(unknown)!r} in {GROUP}, expected {', '.join(STATUSES)}")
    return Rows(found)
