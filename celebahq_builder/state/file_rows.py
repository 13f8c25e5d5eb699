"""Rows of the manifest as rows of the finished file, with what became of each, and back again."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from celebahq_builder.hdf5_format.row_slices import RowSlices
from celebahq_builder.hdf5_format.rows import ROWS_AT_ONCE, Rows, columns_of_dicts
from celebahq_builder.landmarks import eye_distance
from celebahq_builder.state.best_faces import Choice
from celebahq_builder.state.failure import is_failure
from celebahq_builder.state.manifest import Row
from celebahq_builder.state.outcomes import Outcomes
from celebahq_builder.state.row_counts import RowCounts, count_rows
from celebahq_builder.state.row_table import RowTable, RowView

_SAME = (
    *("source", "source_sha256", "pixel_sha256", "source_bytes", "source_mtime_ns", "face_index", "place"),
    *("landmarks", "quad", "turned", "scale", "padding", "invented", "score", "breadth", "isotropy"),
    *("marks", "overridden", "perceptual_hash", "num_judged", "traceback"),
)
"""Names that mean the same in both."""


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
        pairs = zip(RowView(table, places), places.tolist(), strict=True)
        found.append(columns_of_dicts((_facts(row) | outcomes.of_file(place) for row, place in pairs), len(places)))
    return FileRows(found, table, order, count_rows(found.slices(), len(choice.kept)))


def manifest_rows(rows: Rows) -> list[Row]:
    """Return rows as the manifest had them, but for the hashes of faces in a build folder."""
    return [_manifest_row(row) for row in rows.as_dicts()]


def _facts(row: Row) -> dict[str, Any]:
    facts = {name: getattr(row, name) for name in _SAME}
    return facts | {
        "status": "failed" if is_failure(row.reason) else "refused",
        "reason": row.reason,
        "detail": row.detail,
        "width": row.width or None,
        "height": row.height or None,
        "eye_distance": None if row.landmarks is None else eye_distance(np.array(row.landmarks)),
        "num_rows": row.rows,
    }


def _manifest_row(row: dict[str, Any]) -> Row:
    facts = {name: row[name] for name in _SAME}
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
