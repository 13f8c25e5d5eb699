"""An HDF5 file that takes its final name only once it is whole, and is `<name>.partial` until then."""

import contextlib
import errno
import os
import re
import shutil
from pathlib import Path

import h5py


def partial_path(path: Path) -> Path:
    return path.with_name(path.name + ".partial")


def create_partial(path: Path, needed_bytes: int = 0) -> h5py.File:
    """Create `<path>.partial`; OSError when another process is writing it, or the disk has not needed_bytes."""
    partial = partial_path(path)
    if partial.exists():  # of a killed run, or of one that still runs and holds HDF5's lock
        try:
            h5py.File(partial, "r+").close()
        except BlockingIOError:
            raise os_error(errno.EWOULDBLOCK, f"{partial}: another process is writing it") from None
        except OSError:
            pass  # what a kill leaves is seldom readable
        partial.unlink()
    with clear_errors(partial):
        file = h5py.File(partial, "w")
    free = shutil.disk_usage(path.parent).free
    if needed_bytes > free:
        discard(file, partial)
        raise os_error(errno.ENOSPC, f"{path}: needs {needed_bytes / 1e9:.2f} GB, {free / 1e9:.2f} GB are free")
    return file


def discard(file: h5py.File, partial: Path) -> None:
    """Close and remove. Emptied first: HDF5 flushes when it closes, and would fail again where the disk is full."""
    for step in (lambda: os.truncate(partial, 0), file.close, partial.unlink):
        with contextlib.suppress(OSError, RuntimeError):
            step()


def publish(partial: Path, path: Path) -> None:
    """Give a closed file its final name, once its bytes are on the disk."""
    fsync(partial)
    partial.replace(path)
    with contextlib.suppress(OSError):  # a folder cannot be opened on Windows
        fsync(path.parent)


def fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def os_error(number: int, message: str) -> OSError:
    """Return an OSError whose text is the message alone, with the errno still to be asked for."""
    error = OSError(message)
    error.errno = number
    return error


@contextlib.contextmanager
def clear_errors(partial: Path):
    """Turn HDF5's paragraph about a failed write into one line: file and cause."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        told = re.search(r"errno = (\d+)", str(error))
        number = int(told[1]) if told else getattr(error, "errno", None)
        if not number:
            raise
        raise os_error(number, f"{partial}: {os.strerror(number)}; no dataset was made") from error
