"""Rows of a file that are changed, or joined with those of others, slice by slice as they are read."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from celebahq_builder.hdf5_format.rows import COLUMNS, ROWS_AT_ONCE, Rows, StoredRows


class ChangedRows:
    """Rows of which each slice is changed when it is read.

    Args:
        change: gives other columns of the same rows.
    """

    def __init__(self, rows: "StoredRows | ChangedRows", change: Callable[[Rows], Rows]) -> None:
        self._rows, self._change = rows, change

    def __len__(self) -> int:
        return len(self._rows)

    def part(self, first: int, stop: int) -> Rows:
        """Return some rows."""
        return self._change(self._rows.part(first, stop))

    def slices(self) -> Iterator[Rows]:
        """Yield the rows, some at a time; without any, one slice of none."""
        return map(self._change, self._rows.slices())


class JoinedRows:
    """Rows of several files in one order; of each, the columns of celebahq-build.

    Args:
        chosen: (n,) int64, places among the rows of all files, one file behind the other.
    """

    def __init__(self, parts: Sequence[StoredRows | ChangedRows], chosen: np.ndarray) -> None:
        self._parts, self._chosen = parts, chosen

    def __len__(self) -> int:
        return len(self._chosen)

    def slices(self) -> Iterator[Rows]:
        """Yield the rows, some at a time; without any, one slice of none."""
        for first in range(0, max(len(self), 1), ROWS_AT_ONCE):
            yield self._gathered(self._chosen[first : first + ROWS_AT_ONCE])

    def _gathered(self, places: np.ndarray) -> Rows:
        columns = {}
        for name, (kind, shape) in COLUMNS.items():
            columns[name] = np.empty((len(places), *shape), object if np.dtype(kind).kind in "OS" else kind)
        begin = 0
        for part in self._parts:
            mine = (places >= begin) & (places < begin + len(part))
            if mine.any():
                wanted = places[mine] - begin  # of a file in order, neighbors
                first = int(wanted.min())
                some = part.part(first, int(wanted.max()) + 1)
                for name, column in columns.items():
                    column[mine] = some[name][wanted - first]
            begin += len(part)
        return Rows(columns)
