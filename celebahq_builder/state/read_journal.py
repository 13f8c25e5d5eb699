"""The lines of a manifest into a table of rows, some megabytes at a time: by Arrow where it is, else one by one."""

import json
from pathlib import Path
from typing import IO

import numpy as np

from celebahq_builder.config import BuildError
from celebahq_builder.state.manifest_row import Row, row_of_record
from celebahq_builder.state.row_columns import arrow_schema, columns_of_lines, columns_of_rows
from celebahq_builder.state.row_table import RowTable

BLOCK_BYTES = 16 << 20
FEW_BYTES = 1 << 20
"""Of a journal that is read one by one sooner than Arrow is loaded."""


def read_journal(path: Path, file: IO[bytes], table: RowTable) -> None:
    """Read the rows behind the header into a table; the rows of a photo that is not complete at the end are left out.

    Args:
        path: for messages.
        file: at the first row.

    Raises:
        BuildError: a line that is not the last is not a row, or rows are out of order.
    """
    at, number, left = file.tell(), 2, b""
    schema = arrow_schema() if path.stat().st_size - at > FEW_BYTES else None
    while data := file.read(BLOCK_BYTES):
        data = left + data
        is_last = len(data) - len(left) < BLOCK_BYTES
        whole = data[: data.rfind(b"\n") + 1]
        starts = np.flatnonzero(np.frombuffer(whole, np.uint8) == 10) + 1  # behind each line
        done = _by_arrow(table, at, whole, starts, schema) if schema is not None else None
        if done is None:
            done = _one_by_one(path, table, at, data, number, is_last)
        number += done
        taken = int(starts[done - 1]) if done else 0
        at, left = at + taken, data[taken:]


def not_a_row(path: Path, number: int, what: str = "is not a row") -> BuildError:
    """Return the error of a line that something else wrote."""
    return BuildError(f"{path}: line {number} {what}; delete {path.parent} to start the build again")


def _by_arrow(table: RowTable, at: int, lines: bytes, stops: np.ndarray, schema: object) -> int | None:
    """Add the photos that are complete in a block; return of how many lines, None where each wants a look."""
    found = columns_of_lines(lines, schema) if lines else None
    if found is None:
        return None
    columns, ends = found
    complete = np.flatnonzero(ends)
    if len(ends) != len(stops) or not len(complete):
        return None
    count = int(complete[-1]) + 1
    starts = np.r_[0, stops[: count - 1]]
    table.add_journal(at + starts, stops[:count] - starts, columns.first(count))
    return count


def _one_by_one(path: Path, table: RowTable, at: int, data: bytes, number: int, is_last: bool) -> int:
    """Add the photos that are complete in a block; return of how many lines."""
    rows: list[Row] = []
    sizes: list[int] = []
    complete, position = 0, 0
    for line in data.splitlines(keepends=True):
        position += len(line)
        if not line.endswith(b"\n") and not is_last:
            break
        try:
            if not line.endswith(b"\n"):
                raise ValueError("truncated")
            row = row_of_record(json.loads(line))
        except (ValueError, TypeError, KeyError):
            if is_last and position == len(data):  # truncated by a kill
                break
            raise not_a_row(path, number + len(rows)) from None
        unfinished = len(rows) - complete
        if unfinished and (rows[complete].source != row.source or unfinished != max(row.face_index, 0)):
            raise not_a_row(path, number + len(rows), "is out of order")
        rows.append(row)
        sizes.append(len(line))
        if unfinished + 1 == row.rows:
            complete = len(rows)
    if complete:
        ends = np.cumsum(sizes[:complete])
        table.add_journal(at + np.r_[0, ends[:-1]], np.array(sizes[:complete]), columns_of_rows(rows[:complete]))
    return complete
