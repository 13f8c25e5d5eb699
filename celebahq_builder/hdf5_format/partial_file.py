"""An HDF5 file that takes its final name only once it is complete, and is `<name>.partial` until then."""

import contextlib
import errno
import io
import os
import shutil
from pathlib import Path

import h5py

from celebahq.files import lock, partial_path, sync_folder
from celebahq_builder.hdf5_format.levels import DatasetError
from celebahq_builder.hdf5_format.validation import check_file

_MOST_KEPT = 256 << 20
"""Bytes in memory after a write that failed; writers ask for the error after each megabyte."""


class PartialFile:
    """The file under construction: `hdf5` to write into, then publish() or discard().

    HDF5 cannot live through a failed write: it fails again at every close, and ends in a segmentation fault. So it
    writes through _Sink, which remembers the first error and goes on in memory; check() raises it.

    With resume, what an earlier run left under the partial name is opened again, where it can be read.

    Raises:
        OSError: the folder is missing or closed to us, the disk has not needed_bytes, or another process writes here.
    """

    def __init__(self, path: Path, needed_bytes: int = 0, resume: bool = False) -> None:
        self.path = path
        self.partial = partial_path(path)
        readable = resume and self._is_readable()  # before the lock, which HDF5 would run into
        try:
            self._sink = _Sink(os.open(self.partial, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+")
        except OSError as error:
            raise self._failure(error) from None
        self._lock()
        if readable:
            self.hdf5 = self._open("r+")
            return
        self._sink.truncate(0)  # of a run that was killed
        try:
            require_room(path, needed_bytes)
        except OSError:
            self._sink.close()
            self.partial.unlink()
            raise
        self.hdf5 = self._open("w")

    def _open(self, mode: str) -> h5py.File:
        try:
            return h5py.File(self._sink, mode)
        except OSError as error:
            self.check_after(error)
            raise

    def _is_readable(self) -> bool:
        """Say whether an earlier run left a sound HDF5 file."""
        try:
            check_file(self.partial)
        except DatasetError:
            return False
        return True

    def suspend(self) -> None:
        """Close the file and leave it under its partial name, for a later run to go on with."""
        with contextlib.suppress(OSError, RuntimeError):
            self.hdf5.close()
        self._sink.close()

    def check(self) -> None:
        """Raise OSError, in one line, if anything that was written did not reach the file."""
        if self._sink.error is not None:
            raise self._failure(self._sink.error)

    def check_after(self, error: BaseException | None) -> None:
        """Raise what check() would in place of an error: HDF5 stumbles over what it did not find written."""
        if isinstance(error, Exception):
            self.check()

    def publish(self, before=lambda: None) -> None:
        """Complete the file, call `before`, and give it its name once its bytes are on the disk."""
        self.hdf5.close()
        self.check()
        try:
            os.fsync(self._sink.fileno())
            before()
            self.partial.replace(self.path)
        except OSError as error:
            raise self._failure(error) from None
        self._sink.close()
        sync_folder(self.path.parent)

    def discard(self) -> None:
        """Remove the file, whatever state it is in; one that was published stays."""
        if not self._sink.closed:
            self._sink.swallow()
        with contextlib.suppress(OSError, RuntimeError):
            self.hdf5.close()
        self._sink.close()
        self.partial.unlink(missing_ok=True)

    def _lock(self) -> None:
        """Keep a second writer out for as long as this process lives."""
        try:
            lock(self._sink)
        except BlockingIOError:
            self._sink.close()
            raise _os_error(errno.EWOULDBLOCK, f"{self.partial}: another process is writing it") from None

    def _failure(self, error: OSError) -> OSError:
        if error.strerror is None:  # one of ours already
            return error
        return _os_error(error.errno, f"{self.partial}: {error.strerror}; no dataset was made")


class _Sink(io.FileIO):
    """A file that never fails: the first error is remembered, and what is written after it stays in memory.

    So HDF5 reads back what it wrote: without that it ends in its own errors, or in a segmentation fault.
    """

    error: OSError | None = None
    _kept_bytes = _end = 0
    """Of what is in memory; and where the file seems to end since the error."""

    def __init__(self, descriptor: int, mode: str) -> None:
        super().__init__(descriptor, mode)
        self._kept: list[tuple[int, bytes]] = []

    def write(self, data) -> int:
        rest, at = memoryview(data).cast("B"), self.tell()
        stop = at + len(rest)
        while rest and self.error is None:
            try:
                rest = rest[super().write(rest) :]
            except OSError as error:
                self._fail(error)
        if rest:
            self._keep(stop - len(rest), rest)
            self.seek(stop)
        return stop - at

    def readinto(self, buffer) -> int:
        if self.error is None:
            return super().readinto(buffer) or 0
        view, at = memoryview(buffer).cast("B"), self.tell()
        count = super().readinto(view) or 0
        view[count:] = bytes(len(view) - count)
        for start, data in self._kept:
            first, stop = max(start, at), min(start + len(data), at + len(view))
            if first < stop:
                view[first - at : stop - at] = data[first - start : stop - start]
        self.seek(at + len(view))
        return len(view)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END and self.error is not None:
            return super().seek(self._end + offset)
        return super().seek(offset, whence)

    def truncate(self, size: int | None = None) -> int:
        if self.error is None:
            try:
                return super().truncate(size)
            except OSError as error:
                self._fail(error)
        self._end = self.tell() if size is None else size
        return self._end

    def swallow(self) -> None:
        if self.error is None:
            self._fail(OSError(errno.ECANCELED, os.strerror(errno.ECANCELED)))

    def _fail(self, error: OSError) -> None:
        self._end, self.error = os.fstat(self.fileno()).st_size, error

    def _keep(self, start: int, data: memoryview) -> None:
        self._end = max(self._end, start + len(data))
        if self._kept_bytes < _MOST_KEPT:
            self._kept.append((start, bytes(data)))
            self._kept_bytes += len(data)


def require_room(path: Path, needed_bytes: int) -> None:
    """Raise OSError where the disk of a file that is to be made has not this many bytes."""
    free = shutil.disk_usage(path.parent).free
    if needed_bytes > free:
        raise _os_error(errno.ENOSPC, f"{path}: needs {needed_bytes / 1e6:,.1f} MB, {free / 1e6:,.1f} MB are free")


def _os_error(number: int | None, message: str) -> OSError:
    """Return an OSError whose text is the message alone, with the errno still to be asked for."""
    error = OSError(message)
    error.errno = number
    return error
