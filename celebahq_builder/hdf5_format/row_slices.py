"""Any number of rows in slices on the disk: one slice of them is in memory at a time."""

import contextlib
import pickle
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from celebahq_builder.hdf5_format.rows import Rows

_IN_MEMORY = 32 << 20


@contextlib.contextmanager
def naming(file: "tempfile.SpooledTemporaryFile[bytes]", folder: Callable[[], str]) -> Iterator[None]:
    """Write into a file without a name; where its disk is full, say which: OSError with the folder as its filename."""
    try:
        yield
        file.flush()
    except OSError as error:
        with contextlib.suppress(OSError):  # or it is tried again, and told, when the file goes
            file.close()
        raise OSError(error.errno, error.strerror, folder()) from error


class RowSlices:
    """Rows that were added slice by slice, and are read so, any number of times.

    They lie in a temporary file that has no name once they are more than 32 MB.

    Args:
        folder: with room for them, some 0.7 kB a row; None: the system's for temporary files.
    """

    def __init__(self, folder: Path | None = None) -> None:
        where = self._folder = None if folder is None else str(folder)
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, dir=where)  # noqa: SIM115  # as long as this
        self._starts: list[int] = []
        self._end = self._count = 0

    def append(self, rows: Rows) -> None:
        """Add rows, of the same columns each time."""
        with naming(self._file, lambda: self._folder or tempfile.gettempdir()):
            self._file.seek(self._end)
            pickle.dump(rows.columns, self._file, protocol=5)
        self._starts.append(self._end)
        self._end = self._file.tell()
        self._count += len(rows)

    def __len__(self) -> int:
        return self._count

    def slices(self) -> Iterator[Rows]:
        """Yield the rows as they were added, at least one slice."""
        for start in self._starts:
            self._file.seek(start)
            yield Rows(pickle.load(self._file))  # of this process

    def whole(self) -> Rows:
        """Return all rows at once, where they are few."""
        import numpy as np

        slices = list(self.slices())
        return Rows({name: np.concatenate([some[name] for some in slices]) for name in slices[0].columns})
