"""A small file that is either whole or not there: written under another name, then renamed."""

import contextlib
import os
from pathlib import Path


def write_whole(path: Path, data: bytes, durable: bool = False) -> None:
    """Write or replace a file. A killed program leaves it whole; with durable, so does a power cut.

    Raises:
        OSError: with the file's name; what was there before is still there.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise OSError(error.errno, error.strerror, str(path)) from error
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder onto the disk: a file's own bytes are not enough to find it after a power cut."""
    with contextlib.suppress(OSError):  # a folder cannot be opened on Windows
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
