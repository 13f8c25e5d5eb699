"""Facts of rows as columns of a finished file: by Arrow from lines of a journal, else row by row."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from celebahq_builder.hdf5_format.rows import COLUMNS, Rows, columns_of_dicts
from celebahq_builder.landmarks import eye_distance, eye_distances
from celebahq_builder.state.failure import is_failure
from celebahq_builder.state.manifest_row import Row
from celebahq_builder.state.row_columns import points_of, read_lines
from celebahq_builder.state.row_table import RowTable, RowView

SAME = (
    *("source", "source_sha256", "pixel_sha256", "source_bytes", "source_mtime_ns", "face_index", "place"),
    *("landmarks", "quad", "turned", "scale", "padding", "invented", "score", "breadth", "isotropy"),
    *("marks", "overridden", "perceptual_hash", "detail_map", "num_judged", "traceback"),
)
"""Names that mean the same in rows of the manifest and in columns of the file."""
_LINES_AT_ONCE = 8192
_MAY_LACK = ("scale", "padding", "invented", "score", "breadth", "isotropy", "place", "num_judged", "landmarks", "quad")
_IN_A_LINE = {"num_rows": "rows"}


def file_columns(table: RowTable, places: np.ndarray) -> Rows:
    """Return what the file says of some rows of a table; of faces, as if all were refused."""
    columns = _of_lines(table.lines(places))
    if columns is None:
        return columns_of_dicts(map(facts, RowView(table, places)), len(places))
    return Rows(columns)


def facts(row: Row) -> dict[str, Any]:
    """Return the same of one row, by name."""
    same = {name: getattr(row, name) for name in SAME}
    return same | {
        "status": _status(row.reason),
        "reason": row.reason,
        "detail": row.detail,
        "width": row.width or None,
        "height": row.height or None,
        "eye_distance": None if row.landmarks is None else eye_distance(np.array(row.landmarks)),
        "num_rows": row.rows,
    }


def _status(reason: str) -> str:
    return "failed" if is_failure(reason) else "refused"


def _of_lines(lines: Iterator[bytes] | None) -> dict[str, np.ndarray] | None:
    """Return the columns of lines of a journal; None where Arrow does not take one as it stands, or is not there."""
    found = None if lines is None else _arrow_columns(lines)
    if found is None or any(column.null_count for name, column in found.items() if name not in _MAY_LACK):
        return None  # of an early version, too
    landmarks, quads = points_of(found["landmarks"], 5), points_of(found["quad"], 4)
    if landmarks is None or quads is None:
        return None
    columns: dict[str, np.ndarray] = {}
    for name, column in found.items():
        kind = np.dtype(COLUMNS[name][0])
        if kind.kind in "OS":
            columns[name] = column.to_numpy(zero_copy_only=False)
        elif name not in ("landmarks", "quad"):
            unknown = np.nan if kind.kind == "f" and name in _MAY_LACK else -1
            columns[name] = column.fill_null(unknown).to_numpy(zero_copy_only=False).astype(kind)
    for name in ("width", "height"):
        columns[name][columns[name] == 0] = np.nan
    lack = {name: found[name].is_null().to_numpy(zero_copy_only=False) for name in ("landmarks", "quad")}
    landmarks[lack["landmarks"]], quads[lack["quad"]] = np.nan, np.nan
    columns["eye_distance"] = eye_distances(landmarks)
    columns["landmarks"], columns["quad"] = landmarks.astype(np.float32), quads
    statuses = {reason: _status(reason) for reason in set(columns["reason"])}
    columns["status"] = np.array([statuses[reason] for reason in columns["reason"]], object)
    columns["duplicate_of"], columns["row"] = np.full(len(quads), "", object), np.full(len(quads), -1, np.int32)
    return {name: columns[name] for name in COLUMNS}


def _arrow_columns(lines: Iterator[bytes]) -> dict[str, Any] | None:
    """Return what Arrow finds in lines, by name of the file's column."""
    try:
        import pyarrow
    except ImportError:
        return None
    points = pyarrow.list_(pyarrow.list_(pyarrow.float64()))
    kinds: dict[str, Any] = {"landmarks": points, "quad": points, "width": pyarrow.int64(), "height": pyarrow.int64()}
    for name in (*SAME, "reason", "detail", "num_rows"):
        kind = np.dtype(COLUMNS[name][0]).kind
        kinds.setdefault(name, {"f": pyarrow.float64(), "i": pyarrow.int64()}.get(kind, pyarrow.string()))
    schema = pyarrow.schema([(_IN_A_LINE.get(name, name), kind) for name, kind in kinds.items()])
    tables = []
    while some := list(islice(lines, _LINES_AT_ONCE)):
        table = read_lines(b"".join(some), schema)
        if table is None or len(table) != len(some):
            return None
        tables.append(table)
    if not tables:
        return None
    whole = pyarrow.concat_tables(tables)
    return {name: whole.column(_IN_A_LINE.get(name, name)).combine_chunks() for name in kinds}
