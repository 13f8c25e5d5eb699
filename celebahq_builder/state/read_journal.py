"""The lines of a manifest into a table of rows, some megabytes at a time: by Arrow where it is, else one by one."""

import json
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import numpy as np

from celebahq.device import cpu_cores
from celebahq_builder.config import BuildError
from celebahq_builder.state.manifest_row import Row, row_of_record
from celebahq_builder.state.row_columns import Columns, arrow_schema, columns_of_lines, columns_of_rows
from celebahq_builder.state.row_table import RowTable

BLOCK_BYTES = 8 << 20
MOST_THREADS = 4
FEW_BYTES = 1 << 20
"""Of a journal that is read one by one sooner than Arrow is loaded."""
Block = tuple[bytes, bool]
"""Lines, and whether they are the last ones."""
Found = tuple[Columns, np.ndarray]
"""Of a block, and where each of its lines ends, (n,) int64."""


def read_journal(path: Path, file: IO[bytes], table: RowTable) -> None:
    """Read the rows behind the header into a table; the rows of a photo that is not complete at the end are left out.

    Args:
        path: for messages.
        file: at the first row.

    Raises:
        BuildError: a line that is not the last is not a row, or rows are out of order.
    """
    at, number = file.tell(), 2
    schema = arrow_schema() if path.stat().st_size - at > FEW_BYTES else None
    for (lines, is_last), found in _looked_at(_blocks(file), schema):
        if found is None:
            _one_by_one(path, table, at, lines, number, is_last)
        else:
            columns, stops = found
            starts = np.r_[0, stops[:-1]]
            table.add_journal(at + starts, stops - starts, columns)
        at += len(lines)
        number += lines.count(b"\n")


def _blocks(file: IO[bytes]) -> Iterator[Block]:
    """Yield the lines in blocks that end with the last row of a photo, and whether a block is the last one."""
    held = left = b""
    while data := file.read(BLOCK_BYTES):
        if held:
            yield held, False
        data = left + data
        stop = _end_of_a_photo(data)
        held, left = data[:stop], data[stop:]
    if held:
        yield held, not left
    if left:
        yield left, True


def _end_of_a_photo(data: bytes) -> int:
    """Return where the last line ends that is the last row of its photo; 0 where there is none."""
    stop = data.rfind(b"\n") + 1
    while stop:
        start = data.rfind(b"\n", 0, stop - 1) + 1
        try:
            record = json.loads(data[start:stop])
            if max(record.get("face_index", 0), 0) + 1 == record.get("rows", 1):
                return stop
        except (ValueError, TypeError, AttributeError):
            pass  # no row: whoever reads it says so
        stop = start
    return 0


def _looked_at(blocks: Iterator[Block], schema: Any) -> Iterator[tuple[Block, Found | None]]:
    """Yield each block with what Arrow found in it, in order; by some threads, a few blocks ahead."""
    if schema is None:
        yield from ((block, None) for block in blocks)
        return
    waiting: deque[tuple[Block, Future[Found | None]]] = deque()
    threads = min(cpu_cores(), MOST_THREADS)
    with ThreadPoolExecutor(threads) as pool:
        for block in blocks:
            waiting.append((block, pool.submit(_by_arrow, block[0], schema)))
            if len(waiting) > threads:
                block, job = waiting.popleft()
                yield block, job.result()
        while waiting:
            block, job = waiting.popleft()
            yield block, job.result()


def not_a_row(path: Path, number: int, what: str = "is not a row") -> BuildError:
    """Return the error of a line that something else wrote."""
    return BuildError(f"{path}: line {number} {what}; delete {path.parent} to start the build again")


def _by_arrow(lines: bytes, schema: Any) -> Found | None:
    """Return the columns of a block, and where each line ends; None where each wants a look."""
    stops = np.flatnonzero(np.frombuffer(lines, np.uint8) == 10) + 1
    found = columns_of_lines(lines, schema)
    if found is None:
        return None
    columns, ends = found
    whole = len(ends) == len(stops) and stops[-1] == len(lines) and ends[-1]
    return (columns, stops) if whole else None


def _one_by_one(path: Path, table: RowTable, at: int, data: bytes, number: int, is_last: bool) -> None:
    """Add the photos of a block; of the last one, those that are complete."""
    rows: list[Row] = []
    sizes: list[int] = []
    complete, position = 0, 0
    for line in data.splitlines(keepends=True):
        position += len(line)
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
    if complete < len(rows) and not is_last:
        raise not_a_row(path, number + len(rows), "is out of order")
    if complete:
        ends = np.cumsum(sizes[:complete])
        table.add_journal(at + np.r_[0, ends[:-1]], np.array(sizes[:complete]), columns_of_rows(rows[:complete]))
