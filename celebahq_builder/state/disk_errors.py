"""The disk of a build full, closed to it or gone, in one line; what is done stays done."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from celebahq.files import NO_ROOM, printable
from celebahq_builder.config import BuildError

_REMEDIES = dict.fromkeys((*NO_ROOM, errno.EFBIG), "free some space")
_REMEDIES |= dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "make it writable")


@contextlib.contextmanager
def one_line_for_disk_errors() -> Iterator[None]:
    """Where the disk is full, cannot be written to or has gone, say so in one line; what is done stays done."""
    try:
        yield
    except BrokenPipeError:  # of the terminal
        raise
    except OSError as error:
        ours = error.strerror is None and (isinstance(error, FileExistsError) or error.errno == errno.EWOULDBLOCK)
        if ours:  # the writer's own words: something came to lie there, or another program is writing there
            raise BuildError(str(error)) from error
        if error.errno is None:
            raise
        remedy = _REMEDIES.get(error.errno, "put that right")
        raise BuildError(f"{_what(error)}; {remedy} and run the same command again to continue") from error


@contextlib.contextmanager
def no_room_beside(output: Path, waiting: Path) -> Iterator[None]:
    """Where a complete file's page or table finds no room, say what the same command frees before it writes them.

    Args:
        output: the file.
        waiting: the folder of the faces that waited for it, which it holds now.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM or not (waiting.is_dir() and any(waiting.iterdir())):
            raise
        remedy = "run the same command again: it first removes the faces that waited for it"
        raise BuildError(f"{_what(error)}; {printable(output)} is complete, {remedy}") from error


def _what(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)
