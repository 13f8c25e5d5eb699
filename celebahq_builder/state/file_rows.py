"""Rows of the manifest as rows of the finished file, with what became of each, and back again."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from celebahq_builder.hdf5_format.row_slices import RowSlices
from celebahq_builder.hdf5_format.rows import ROWS_AT_ONCE, Rows, StoredRows
from celebahq_builder.state.best_faces import Choice
from celebahq_builder.state.file_columns import SAME, file_columns
from celebahq_builder.state.manifest import Row
from celebahq_builder.state.outcomes import Outcomes
from celebahq_builder.state.row_counts import RowCounts, count_rows
from celebahq_builder.state.row_table import RowTable

_OBJECTS_AT_ONCE = 1 << 12


@dataclass(frozen=True, eq=False)
class FileRows:
    """What the finished file says of every row, on the disk, and the rows that it says it of.

    rows: by name and face_index. table: as they came. order: (N,) int64, where each of `rows` is in `table`.
    """

    rows: RowSlices
    table: RowTable
    order: np.ndarray
    counts: RowCounts


def file_rows(rows: Iterable[Row], choice: Choice, folder: Path | None = None) -> FileRows:
    """Return what the finished file says of every row; some ten thousand of them are in memory at a time.

    Args:
        rows: of all photos, in any order.
        choice: among them.
        folder: with room for a temporary file of 0.7 kB a row; None: the system's.
    """
    table = rows if isinstance(rows, RowTable) else RowTable(rows)
    outcomes, order, found = Outcomes(table, choice), table.by_name(), RowSlices(folder)
    for first in range(0, max(len(order), 1), ROWS_AT_ONCE):
        places = order[first : first + ROWS_AT_ONCE]
        columns = file_columns(table, places)
        outcomes.write_into(columns, places)
        found.append(columns)
    return FileRows(found, table, order, count_rows(found.slices(), len(choice.kept)))


def manifest_rows(rows: Rows | StoredRows) -> Iterator[Row]:
    """Yield rows as the manifest had them, but for the hashes of faces in a build folder."""
    for some in rows.slices():
        for part in some.slices(_OBJECTS_AT_ONCE):
            yield from map(_manifest_row, part.as_dicts())


def kept_rows(rows: Rows | StoredRows) -> Iterator[tuple[Row, int]]:
    """Yield the rows of kept faces as the manifest had them, each with its row in data{R}x{R}."""
    for some in rows.slices():
        for part in some[some["row"] != -1].slices(_OBJECTS_AT_ONCE):
            yield from ((_manifest_row(row), row["row"]) for row in part.as_dicts())


def _manifest_row(row: dict[str, Any]) -> Row:
    facts = {name: row[name] for name in SAME}
    for name in ("place", "num_judged"):
        facts[name] = None if row[name] == -1 else row[name]
    for name in ("landmarks", "quad"):
        points = row[name]
        facts[name] = None if points is None or math.isnan(points[0][0]) else tuple((x, y) for x, y in points)
    aligned = row["score"] is not None
    return Row(
        **facts,
        rows=row["num_rows"],
        status="aligned" if aligned else "refused",
        reason="" if aligned else row["reason"],
        detail=row["detail"],
        width=row["width"] or 0,
        height=row["height"] or 0,
    )
