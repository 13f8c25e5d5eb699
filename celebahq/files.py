"""Files that are complete or not there, their hashes, their locks, and their names as they can be shown."""

import contextlib
import errno
import hashlib
import os
import re
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import IO, cast

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""Numbers of errors of a full disk, and of a user's share of it."""
PARTIAL = ".partial"
"""Ending of a file or folder that is not complete yet."""


@contextlib.contextmanager
def write_atomic(path: str | Path, *, durable: bool = False, shared: bool = False) -> Iterator[IO[bytes]]:
    """Open a file to write into; it takes its name only once all is written, and replaces what was there.

    Args:
        path: the final name. Until then the bytes are in `<name>.partial` beside it, which is always removed.
        durable: bytes and name are on the disk before this returns: a power cut leaves the old file or the new one.
        shared: several processes may write this file at once (a cache): each has a partial file of its own.

    Raises:
        OSError: with the final name; what was there before is still there.
    """
    with atomic_path(path, durable=durable, shared=shared) as partial, partial.open("wb") as file:
        yield file


@contextlib.contextmanager
def atomic_path(path: str | Path, *, durable: bool = False, shared: bool = False) -> Iterator[Path]:
    """Like write_atomic, for writers that want a name to write to instead of an open file."""
    path = Path(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}{PARTIAL}" if shared else partial_path(path).name)
    try:
        yield partial
        if durable:
            with partial.open("rb") as file:
                os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        if error.filename is not None and str(error.filename) not in (str(partial), str(path)):
            raise  # another file's
        if error.errno is None:
            raise  # not the system's
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    if durable:
        sync_folder(path.parent)


def partial_path(path: Path) -> Path:
    """Return where a file or folder is written until it is complete."""
    return path.with_name(path.name + PARTIAL)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder onto the disk: a file's own bytes are not enough to find it after a power cut."""
    with contextlib.suppress(OSError):  # a folder cannot be opened on Windows
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sha256_of(file: str | Path | IO[bytes]) -> str:
    """Return the sha256 of a file's bytes, or of what is left to read of an open one: 64 hexadecimal digits."""
    if not isinstance(file, str | Path):
        return hashlib.file_digest(cast(BufferedReader, file), "sha256").hexdigest()
    with Path(file).open("rb") as opened:
        return sha256_of(opened)


def lock(file: int | IO) -> bool:
    """Take the lock of an open file for as long as it is open.

    Returns:
        False where the file system has no locks (NFS, Lustre without them; Windows): the caller goes on, and says so.

    Raises:
        BlockingIOError: another process has it.
    """
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


def text_lines(text: str) -> list[str]:
    """Return the lines of a text that ends them as editors do; a name may hold what str.splitlines also cuts at."""
    lines = re.split(r"\r\n|\n|\r", text)
    return lines[:-1] if not lines[-1] else lines


def printable(name: object) -> str:
    """Return a name on one line with everything that is not printable spelled out, as in \\xff, \\n or \\x1b."""
    try:
        text = str(name).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a surrogate pair, as JSON may hold
        text = str(name).encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
