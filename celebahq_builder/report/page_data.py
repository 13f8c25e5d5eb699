"""The rows as the script of report.html reads them: column by column, numbers short, texts that repeat said once."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from celebahq_builder.hdf5_format.rows import Rows, row_id

_NOT_SHOWN = {"source_bytes", "source_mtime_ns", "rows", "outcome", "traceback", "perceptual_hash", "detail_map"}
_NOT_SHOWN |= {"place", "num_rows", "num_judged"}
_NOT_SHOWN_ENDS = ("_sha256", "_md5")
_POINTS = ("landmarks", "quad")
_DIGITS = 5  # of a number; a pixel's tenth of a point

PageRow = Mapping[str, Any]
"""One photo or face: `source`, `face_index` (-1: a photo without a face), `status`, `row` (in the file, -1 for none),
and whatever else is known of it, by name: numbers, texts, points."""


def in_order(rows: Iterable[PageRow]) -> list[PageRow]:
    """Return the rows in the order of the page: those of the file as they lie there, the others by name."""
    return sorted(rows, key=lambda row: (row["row"] < 0, row["row"], row["source"], row["face_index"]))


def fingerprint(rows: Iterable[PageRow]) -> str:
    """Return what tells this set of rows from another: decisions about one are not taken for the other's."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(f"{row_id(row['source'], row['face_index'])}\0{row['row']}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]


def page_columns(rows: Sequence[PageRow]) -> dict[str, dict[str, Any]]:
    """Return every column that is worth showing, by name; whatever names the rows have.

    Returns:
        {"numbers": [..]} with None for what is unknown; {"words": [..], "codes": [..]}, the text of a row being
        words[code]; or {"points": [..]}, x and y in turn.
    """
    columns = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        if not is_shown(name):
            continue
        column = _column([row.get(name) for row in rows], name in _POINTS)
        if column is not None:
            columns[name] = column
    return columns


def is_shown(name: str) -> bool:
    """Say whether a column is worth showing."""
    return name not in _NOT_SHOWN and not name.endswith(_NOT_SHOWN_ENDS)


def shown(rows: Rows) -> Rows:
    """Return the columns that are worth showing."""
    return Rows({name: column for name, column in rows.columns.items() if is_shown(name)})


def json_for_html(value: object) -> str:
    """Return JSON that no text in it can end early when it stands between <script> tags; ASCII only."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _column(values: list[Any], points: bool) -> dict[str, Any] | None:
    known = [value for value in values if value is not None and not isinstance(value, str)]
    if points:
        flat = [None if value is None else np.asarray(value, float).reshape(-1) for value in values]
        return {"points": [_short_points(value) for value in flat]} if known else None
    if known and all(np.ndim(value) == 0 for value in known):
        numbers = [None if value is None or isinstance(value, str) else _short(float(value)) for value in values]
        return {"numbers": numbers} if any(number is not None for number in numbers) else None
    texts = [value if isinstance(value, str) else "" for value in values]
    if not any(texts):
        return None
    words = list(dict.fromkeys(texts))
    code = {word: i for i, word in enumerate(words)}
    return {"words": words, "codes": [code[text] for text in texts]}


def _short(number: float) -> float | int | None:
    if not math.isfinite(number):
        return None
    rounded = number if abs(number) >= 10**_DIGITS else float(f"{number:.{_DIGITS}g}")
    return int(rounded) if rounded.is_integer() else rounded


def _short_points(flat: np.ndarray | None) -> list[float] | None:
    if flat is None or not np.isfinite(flat).all():
        return None
    return [round(x, 1) for x in flat.tolist()]
