"""Rows of the manifest as rows of the finished file, with what became of each, and back again."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from celebahq_builder.hdf5_format.rows import Rows, row_id, rows_of_dicts
from celebahq_builder.landmarks import eye_distance
from celebahq_builder.state.best_faces import Choice
from celebahq_builder.state.failure import is_failure
from celebahq_builder.state.manifest import Row
from celebahq_builder.state.name_lists import EXCLUDED
from celebahq_builder.state.row_table import keys_of

BEATEN, DUPLICATE = "not among the best", "duplicate"
_SAME = (
    *("source", "source_sha256", "pixel_sha256", "source_bytes", "source_mtime_ns", "face_index", "place"),
    *("landmarks", "quad", "turned", "scale", "padding", "invented", "score", "breadth", "isotropy"),
    *("marks", "overridden", "perceptual_hash", "num_judged", "traceback"),
)
"""Names that mean the same in both."""


def file_rows(rows: Iterable[Row], choice: Choice) -> Rows:
    """Return what the finished file says of every row.

    Args:
        rows: of all photos, in any order.
        choice: among them.
    """
    became: dict[tuple[str, int], dict[str, Any]] = {}
    for i, row in enumerate(choice.kept):
        became[row.key] = {"status": "kept", "row": i}
    beaten = {"status": "beaten", "reason": BEATEN}
    for key in keys_of(choice.below_cutoff):
        became[key] = beaten
    for row in choice.excluded:
        became[row.key] = {"reason": EXCLUDED}
    for row in choice.marked:
        became[row.key] = {"reason": row.reason}
    for row, kept in choice.duplicates:
        became[row.key] = {"status": "duplicate", "reason": DUPLICATE, "duplicate_of": row_id(*kept.key)}
    return rows_of_dicts(_facts(row) | became.get(row.key, {}) for row in rows)


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
