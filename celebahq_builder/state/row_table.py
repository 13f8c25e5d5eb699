"""The rows of a build without an object each: what a choice reads in columns, all else on the disk until asked for."""

import itertools
import json
import pickle
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import attrgetter
from typing import IO, Any, overload

import numpy as np

from celebahq_builder.hdf5_format.row_slices import naming
from celebahq_builder.sources.archives import FileStamp
from celebahq_builder.state.manifest_row import FIELDS, Row, row_of_record
from celebahq_builder.state.name_order import name_order
from celebahq_builder.state.row_columns import ALIGNED, LOOKED, Columns, columns_of_rows

_values = attrgetter(*FIELDS)
_IN_MEMORY = 64 << 20
_ROWS_AT_ONCE, _BYTES_AT_ONCE = 4096, 1 << 22
_VIEWED_AT_ONCE = 512


class RowTable(Sequence[Row]):
    """A list of rows that takes some 90 bytes of memory a row; each is made anew when it is asked for.

    Those of a journal stay in it: the file is held open, and a later one of its name does no harm. Others lie packed in
    a temporary file once they are more than 64 MB.

    Args:
        rows: to begin with.
        journal: an open file, at its first row.
    """

    def __init__(self, rows: Iterable[Row] = (), journal: IO[bytes] | None = None) -> None:
        self._journal = journal
        self._journal_begin = journal.tell() if journal is not None else 0
        self._packed = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115  # as long as this lives
        self._end = 0
        self._starts, self._sizes = array("q"), array("i")  # a place in the journal is negative: -1 is its first byte
        self._flags, self._keys, self._same = bytearray(), array("d"), bytearray()
        self._names, self._name_starts, self._faces = bytearray(), array("q"), array("i")
        self._num_bytes, self._mtimes_ns = array("q"), array("q")
        self.extend(rows)

    def append(self, row: Row) -> None:
        """Add a row."""
        self.extend([row])

    def extend(self, rows: Iterable[Row]) -> None:
        """Add rows."""
        left = iter(rows)
        while some := list(islice(left, _ROWS_AT_ONCE)):
            with naming(self._packed, tempfile.gettempdir):
                self._packed.seek(self._end)
                for row in some:
                    data = pickle.dumps(_values(row), protocol=5)
                    self._packed.write(data)
                    self._starts.append(self._end)
                    self._sizes.append(len(data))
                    self._end += len(data)
            self._add(columns_of_rows(some))

    def add_journal(self, starts: np.ndarray, sizes: np.ndarray, columns: Columns) -> None:
        """Add rows of the journal: (n,) int64 places of their lines, (n,) lengths, and what a choice reads of them."""
        self._starts.frombytes((-1 - starts).astype(np.int64).tobytes())
        self._sizes.frombytes(sizes.astype(np.int32).tobytes())
        self._add(columns)

    def __iadd__(self, rows: Iterable[Row]) -> "RowTable":
        self.extend(rows)
        return self

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> "RowView": ...
    def __getitem__(self, index: int | slice) -> "Row | RowView":
        if isinstance(index, slice):
            return RowView(self, np.arange(len(self))[index])
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        return _unpacked(self._read(self._starts[index], self._sizes[index]))

    def __iter__(self) -> Iterator[Row]:
        first = 0
        while first < len(self):  # by some megabytes of neighbors: others may read, or append, in between
            begin, stop, size = self._starts[first], first + 1, self._sizes[first]
            sign = 1 if begin >= 0 else -1
            while stop < len(self) and size < _BYTES_AT_ONCE and self._starts[stop] == begin + sign * size:
                size += self._sizes[stop]
                stop += 1
            data, at = self._read(begin, size), 0
            for i in range(first, stop):
                yield _unpacked(data[at : at + self._sizes[i]])
                at += self._sizes[i]
            first = stop

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(Row.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]

    @property
    def aligned(self) -> np.ndarray:
        """(M,) int64, the places of aligned rows."""
        return np.flatnonzero(np.frombuffer(self._flags, np.uint8) & ALIGNED)

    @property
    def looked(self) -> "RowView":
        """The rows that a resumed build looks at whatever else: failed, overridden, with an outcome ..."""
        return RowView(self, np.flatnonzero(np.frombuffer(self._flags, np.uint8) & LOOKED))

    def stamp(self, index: int) -> FileStamp:
        """Return size and time of the photo of a row, without reading the row."""
        return FileStamp(self._num_bytes[index], self._mtimes_ns[index])

    def mtimes_of(self, places: np.ndarray) -> np.ndarray:
        """Return the time of the photo of some rows, without reading them: (M,) int64."""
        return np.frombuffer(self._mtimes_ns, np.int64)[places]

    def keys_of(self, places: np.ndarray) -> np.ndarray:
        """Return by what aligned rows are ranked, the least first: (M,) float64."""
        return self._at(np.frombuffer(self._keys, np.float64), places)

    def same_of(self, places: np.ndarray) -> np.ndarray:
        """Return (M, 2) uint64, equal for rows with the same pixels, index and box."""
        return self._at(np.frombuffer(self._same, np.uint64).reshape(-1, 2), places)

    def _at(self, column: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Return a column at ascending places; where these are all, the column itself, not to be kept."""
        return column if len(places) == len(self) else column[places]

    def key(self, index: int) -> tuple[str, int]:
        """Return the key of a row, without reading the row."""
        stop = self._name_starts[index + 1] if index + 1 < len(self) else len(self._names)
        return self._names[self._name_starts[index] : stop].decode("utf-8", "surrogatepass"), self._faces[index]

    def keys(self) -> Iterator[tuple[str, int]]:
        """Yield the key of each row, without reading the rows."""
        return map(self.key, range(len(self)))

    def by_name(self, places: np.ndarray | None = None, groups: np.ndarray | None = None) -> np.ndarray:
        """Return the places of the rows by name and face_index: (N,) int64; of some rows, the places among these.

        Args:
            groups: (M,) integers, never falling: a row stays among those of its group.
        """
        names, starts = np.frombuffer(self._names, np.uint8), np.frombuffer(self._name_starts, np.int64)
        return name_order(names, starts, np.frombuffer(self._faces, np.int32), places, groups)

    def at(self, places: np.ndarray) -> list[Row]:
        """Return the rows at some places, in that order; those that lie one behind the other are read at once."""
        starts = np.frombuffer(self._starts, np.int64)[places]
        sizes = np.frombuffer(self._sizes, np.int32)[places].astype(np.int64)
        begins = np.where(starts < 0, -1 - starts, starts)
        by = np.lexsort((begins, starts < 0))
        follows = (begins[by][1:] == (begins + sizes)[by][:-1]) & ((starts < 0)[by][1:] == (starts < 0)[by][:-1])
        found: list[Any] = [None] * len(places)
        for run in np.split(by, np.flatnonzero(~follows) + 1) if len(by) else ():
            data, at = self._read(int(starts[run[0]]), int(sizes[run].sum())), 0
            for i, size in zip(run.tolist(), sizes[run].tolist(), strict=True):
                found[i] = _unpacked(data[at : at + size])
                at += size
        return found

    def lines(self, places: np.ndarray) -> Iterator[bytes] | None:
        """Return the lines of some rows, in that order; None where one is not in the journal."""
        starts = np.frombuffer(self._starts, np.int64)[places]
        if len(starts) == 0 or starts.max() >= 0:
            return None
        sizes = np.frombuffer(self._sizes, np.int32)[places]
        return (self._read(start, size) for start, size in zip(starts.tolist(), sizes.tolist(), strict=True))

    def sources(self) -> set[str]:
        """Return the names of all photos."""
        return {self.key(i)[0] for i in range(len(self))}

    def num_photos(self, places: np.ndarray | None = None) -> int:
        """Return how many photos the rows are of, or those of some places, in order; a photo's stand together."""
        names = (self.key(i)[0] for i in (range(len(self)) if places is None else places.tolist()))
        return sum(1 for _ in itertools.groupby(names))

    @property
    def journal_end(self) -> int:
        """Where the last row in the journal ends; without any, its header."""
        if len(self) and self._starts[-1] < 0:
            return -1 - self._starts[-1] + self._sizes[-1]
        return self._journal_begin

    def _add(self, columns: Columns) -> None:
        self._flags += columns.flags.astype(np.uint8).tobytes()
        self._num_bytes.frombytes(columns.num_bytes.astype(np.int64).tobytes())
        self._mtimes_ns.frombytes(columns.mtimes_ns.astype(np.int64).tobytes())
        self._keys.frombytes(columns.keys.astype(np.float64).tobytes())
        self._same += columns.same.astype(np.uint64).tobytes()
        self._faces.frombytes(columns.faces.astype(np.int32).tobytes())
        self._name_starts.frombytes((columns.name_starts + len(self._names)).astype(np.int64).tobytes())
        self._names += columns.names

    def _read(self, start: int, size: int) -> bytes:
        file: Any = self._packed if start >= 0 else self._journal
        file.seek(start if start >= 0 else -1 - start)
        return file.read(size)


class RowView(Sequence[Row]):
    """Some rows of a table, in an order of their own: 8 bytes each."""

    def __init__(self, table: RowTable, places: np.ndarray) -> None:
        self.table, self.places = table, places

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> "RowView": ...
    def __getitem__(self, index: int | slice) -> "Row | RowView":
        if isinstance(index, slice):
            return RowView(self.table, self.places[index])
        return self.table[int(self.places[index])]

    def __iter__(self) -> Iterator[Row]:
        for first in range(0, len(self.places), _VIEWED_AT_ONCE):
            yield from self.table.at(self.places[first : first + _VIEWED_AT_ONCE])

    def __reduce__(self) -> tuple[type, tuple[list[Row]]]:
        return list, (list(self),)  # what another process gets

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(Row.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]

    def keys(self) -> Iterator[tuple[str, int]]:
        """Yield the key of each row, without reading the rows."""
        return (self.table.key(int(place)) for place in self.places)


def keys_of(rows: Iterable[Row]) -> Iterator[tuple[str, int]]:
    """Yield the key of each row; of a table and of its views without reading them."""
    return rows.keys() if isinstance(rows, RowTable | RowView) else (row.key for row in rows)


class RowPairs(Sequence[tuple[Row, Row]]):
    """Pairs of rows of a table: duplicates and the faces that they equal."""

    def __init__(self, ones: RowView, others: RowView) -> None:
        self.ones, self.others = ones, others

    def __len__(self) -> int:
        return len(self.ones)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return RowPairs(self.ones[index], self.others[index])
        return self.ones[index], self.others[index]

    def __iter__(self) -> Iterator[tuple[Row, Row]]:
        return zip(self.ones, self.others, strict=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


def _unpacked(data: bytes) -> Row:
    if data[:1] == b"{":
        return row_of_record(json.loads(data))
    return Row(**dict(zip(FIELDS, pickle.loads(data), strict=True)))  # of this process
