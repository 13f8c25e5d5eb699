"""The disk of a build full, closed to it or gone, in one line; what is done stays done."""

import contextlib
import errno
from collections.abc import Iterator

from celebahq.files import NO_ROOM
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
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        remedy = _REMEDIES.get(error.errno, "put that right")
        raise BuildError(f"{what}; {remedy} and run the same command again to continue") from error
