"""The provenance of one row of the dataset, and how rows become the columns of the group `faces`."""

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import h5py
import numpy as np


@dataclass(frozen=True, eq=False)
class FaceRecord:
    """Where one row came from; the group `faces` holds one dataset a field.

    What is unknown is None, and must then be None in every row: a folder of ready-made faces has no landmarks.
    """

    source: str
    """Photo, relative to the input folder, POSIX style."""
    source_sha256: str
    """Hex digest of the file's bytes."""
    pixel_sha256: str
    """Hex digest of the decoded photo."""
    face_index: int = 0
    """Which face of the photo."""
    scale: float | None = None
    """Source pixels a pixel of the crop."""
    landmarks: np.ndarray | None = None
    """(5, 2) source pixels (x, y): left eye, right eye, nose, left mouth, right mouth."""
    quad: np.ndarray | None = None
    """(4, 2) source pixels (x, y): top-left, bottom-left, bottom-right, top-right."""
    score: float | None = None
    breadth: float | None = None
    isotropy: float | None = None
    padding: float | None = None
    """What of the crop lies outside the photo, 0 to 1."""
    invented: float | None = None
    """What of the face does: of a fixed oval around eyes, nose, mouth and chin."""
    marks: str | None = None
    """What was noticed about the face in its photo, separated by spaces."""
    idx: int | None = None
    """Place in the official CelebA-HQ; so are the next three, of its image_list.txt."""
    orig_idx: int | None = None
    proc_md5: str | None = None
    final_md5: str | None = None
    identity: int | None = None
    """CelebA's number of the person."""


_RECORDS_AT_ONCE = 4096
_COLUMNS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "source": (h5py.string_dtype("utf-8"), ()),
    "source_sha256": (np.dtype("S64"), ()),
    "pixel_sha256": (np.dtype("S64"), ()),
    "face_index": (np.int32, ()),
    "scale": (np.float64, ()),
    "landmarks": (np.float32, (5, 2)),
    "quad": (np.float64, (4, 2)),
    "score": (np.float64, ()),
    "breadth": (np.float64, ()),
    "isotropy": (np.float64, ()),
    "padding": (np.float64, ()),
    "invented": (np.float64, ()),
    "marks": (h5py.string_dtype("utf-8"), ()),
    "idx": (np.int32, ()),
    "orig_idx": (np.int32, ()),
    "proc_md5": (np.dtype("S32"), ()),
    "final_md5": (np.dtype("S32"), ()),
    "identity": (np.int32, ()),
}


def face_columns(records: Iterable[FaceRecord], num_faces: int) -> dict[str, np.ndarray]:
    """Turn rows into columns, leaving out what no row knows."""
    table = FaceColumns()
    for record in records:
        table.append(record)
    return table.whole(num_faces)


class FaceColumns:
    """Rows that become columns as they come: of a million, some thousands are objects at a time."""

    def __init__(self) -> None:
        self._waiting: list[FaceRecord] = []
        self._parts: dict[str, list[np.ndarray]] = {field.name: [] for field in fields(FaceRecord)}
        self._unknown: Counter[str] = Counter()
        self._count = 0

    def append(self, record: FaceRecord) -> None:
        """Add a row."""
        self._waiting.append(record)
        self._count += 1
        if len(self._waiting) == _RECORDS_AT_ONCE:
            self._convert()

    def whole(self, num_faces: int) -> dict[str, np.ndarray]:
        """Return the columns, without what no row knows; none without rows."""
        if not self._count:
            return {}
        if self._count != num_faces:
            raise ValueError(f"faces: got {self._count} records for {num_faces} rows, expected one a row or none")
        if self._waiting:  # of a multiple of _RECORDS_AT_ONCE, none are
            self._convert()
        columns = {}
        for name, parts in self._parts.items():
            unknown = self._unknown[name]
            if 0 < unknown < num_faces:
                raise ValueError(f"faces/{name}: got unknown in {unknown} of {num_faces} rows, expected in all or none")
            if not unknown:
                columns[name] = np.empty((num_faces, *parts[0].shape[1:]), _COLUMNS[name][0])
                for part, first in zip(parts, itertools.count(0, _RECORDS_AT_ONCE)):
                    columns[name][first : first + len(part)] = part
        return columns

    def _convert(self) -> None:
        for name, parts in self._parts.items():
            values: list[Any] = [getattr(record, name) for record in self._waiting]
            self._unknown[name] += sum(value is None for value in values)
            if self._unknown[name]:
                continue
            if name == "source":  # names of files are bytes: those that are no UTF-8 come back unchanged
                values = [value.encode("utf-8", "surrogateescape") for value in values]
            dtype, shape = _COLUMNS[name]
            part = np.array(values, dtype)
            if part.shape[1:] != shape:
                raise ValueError(f"faces/{name}: got {part.shape[1:]} a row, expected {shape}")
            parts.append(part)
        self._waiting = []


def column_fault(name: str, column: object) -> str | None:
    """Say why something in the group `faces` cannot be a column of it; None for one that can, of any length."""
    if not isinstance(column, h5py.Dataset) or not column.shape:
        return "that is no column, expected one entry a row"
    is_text = column.dtype.kind == "S" or h5py.check_string_dtype(column.dtype) is not None
    if not is_text and column.dtype.kind not in "biuf":
        return f"of {column.dtype}, expected numbers or text"
    if name not in _COLUMNS:
        return None
    dtype, shape = _COLUMNS[name]
    wants_text = np.dtype(dtype).kind in "OS"
    wants_int = np.dtype(dtype).kind == "i"
    if is_text != wants_text or column.shape[1:] != shape or (wants_int and column.dtype.kind not in "iu"):
        wanted = "text" if wants_text else "whole numbers" if wants_int else "numbers"
        return f"of {column.shape} {column.dtype}, expected {wanted} of shape {('N', *shape)}".replace("'N'", "N")
    return None
