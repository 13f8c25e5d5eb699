"""The lines of a manifest into a table of rows, some megabytes at a time: by Arrow where it is, else one by one."""

import json
import os
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
_WINDOW_BYTES = 1 << 16
"""That are looked at before the end of a block for the last row of a photo; more where there is none."""
Block = tuple[int, int, bool]
"""Where some lines begin and end in the file, and whether they are the last ones."""
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
    descriptor, at, number = file.fileno(), file.tell(), 2
    size = os.fstat(descriptor).st_size
    schema = arrow_schema() if size - at > FEW_BYTES else None
    for (start, stop, is_last), found in _looked_at(descriptor, _blocks(descriptor, at, size), schema):
        if found is None:
            lines = _read(descriptor, start, stop)
            _one_by_one(path, table, start, lines, number, is_last)
            number += lines.count(b"\n")
        else:
            columns, stops = found
            starts = np.r_[0, stops[:-1]]
            table.add_journal(start + starts, stops - starts, columns)
            number += len(stops)


def _blocks(descriptor: int, start: int, size: int) -> Iterator[Block]:
    """Yield the lines in blocks that end with the last row of a photo, but for what is left at the end."""
    stop = start
    while stop < size:
        stop = min(stop + BLOCK_BYTES, size)
        end = _end_of_a_photo(descriptor, start, stop)
        if end > start:
            yield start, end, end == size
            start = end
    if start < size:
        yield start, size, True


def _end_of_a_photo(descriptor: int, start: int, stop: int) -> int:
    """Return where the last line of a part of the file ends that is the last row of its photo; start where none is."""
    begin, window = stop, _WINDOW_BYTES
    while begin > start:
        begin, window = max(start, stop - window), 8 * window
        data = _read(descriptor, begin, stop)
        end = data.rfind(b"\n") + 1
        while end:
            line = data.rfind(b"\n", 0, end - 1) + 1
            if line == 0 and begin > start:  # it may begin before the window
                break
            if _ends_a_photo(data[line:end]):
                return begin + end
            end = line
    return start


def _ends_a_photo(line: bytes) -> bool:
    try:
        record = json.loads(line)
        return max(record.get("face_index", 0), 0) + 1 == record.get("rows", 1)
    except (ValueError, TypeError, AttributeError):
        return False  # no row: whoever reads it says so


def _read(descriptor: int, start: int, stop: int) -> bytes:
    """Return a part of a file, whatever its position; threads read at the same time."""
    data = os.pread(descriptor, stop - start, start)
    while 0 < len(data) < stop - start and (more := os.pread(descriptor, stop - start - len(data), start + len(data))):
        data += more
    return data


def _looked_at(descriptor: int, blocks: Iterator[Block], schema: Any) -> Iterator[tuple[Block, Found | None]]:
    """Yield each block with what Arrow found in it, in order; by some threads, a few blocks ahead."""
    if schema is None:
        yield from ((block, None) for block in blocks)
        return
    waiting: deque[tuple[Block, Future[Found | None]]] = deque()
    threads = min(cpu_cores(), MOST_THREADS)
    with ThreadPoolExecutor(threads) as pool:
        for block in blocks:
            waiting.append((block, pool.submit(_by_arrow, descriptor, block, schema)))
            if len(waiting) > threads:
                block, job = waiting.popleft()
                yield block, job.result()
        while waiting:
            block, job = waiting.popleft()
            yield block, job.result()


def not_a_row(path: Path, number: int, what: str = "is not a row") -> BuildError:
    """Return the error of a line that something else wrote."""
    return BuildError(f"{path}: line {number} {what}; delete {path.parent} to start the build again")


def _by_arrow(descriptor: int, block: Block, schema: Any) -> Found | None:
    """Return the columns of a block, and where each line ends; None where each wants a look."""
    lines = _read(descriptor, *block[:2])
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
