"""Validation of every HDF5 file: what it refers to elsewhere, claims beyond its size or hides in damage is refused.

A dataset file of ours holds all its bytes itself, but for virtual levels that join shards beside it. A file of somebody
else may read /etc/passwd as images (external storage, links), claim 149 GiB of labels in 25 kB, or send libhdf5 into
an endless loop (one damaged heap in a hundred). So a child process goes through it first, with bounded time and memory.
"""

import contextlib
import gc
import os
import re
import shlex
import signal
import stat
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import h5py

from celebahq_builder.hdf5_format.contents import check_contents
from celebahq_builder.hdf5_format.levels import DatasetError
from celebahq_builder.hdf5_format.shards import Span, refuse_shard, require_shard

CPU_SECONDS = 3
"""Of the child, and a second for every 10 MB: a file of 26 kB takes 4 ms, one of 200,000 rows and 94 MB 0.3 s."""
_BYTES_A_SECOND = 10_000_000
MEMORY_BYTES = 2 << 30
"""On top of what the process had before."""
_WALL_SECONDS = 600  # a slow network is no fault of the file
_SOUND = b"\0"
"""What the child says of a file that may be read; of one that ends it, it says nothing."""
_WANTED = "a dataset made by celebahq-build"
IMPORT_HINT = "; images become one by: celebahq-data import "
_IMPORTED = re.compile(r".*(\.zip|\.tar|\.parquet|-r\d\d\.tfrecords)", re.IGNORECASE)
"""Names of files that import takes, and that are no dataset."""


def check_file(path: Path, every_text: bool = False, alone: bool = False) -> None:
    """Raise DatasetError, in one line, for a file that must not be read.

    Args:
        path: of the file.
        every_text: all text columns of the file will be read, not only those of `faces`.
        alone: the shards that it joins need not be there yet; none of them will be read.
    """
    _require_regular_file(path)
    if not sys.platform.startswith("linux"):  # elsewhere a forked process may not use the system's libraries
        _check(path, every_text, alone=alone)
        return
    receiver, sender = os.pipe()
    collects = gc.isenabled()
    # A child that collected this process's garbage could wait for ever: an ONNX session's end waits for its threads.
    gc.disable()
    with warnings.catch_warnings():
        # Python warns of forks beside threads. The child takes no lock but h5py's, which h5py holds across a fork.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _answer(path, every_text, alone, sender)
    if collects:
        gc.enable()
    os.close(sender)
    answer = _wait(receiver, child)
    if answer == _SOUND:
        return
    if answer:
        raise DatasetError(answer.decode("utf-8", "surrogateescape"))
    raise DatasetError(f"{path}: got a damaged file that cannot be read to its end, expected {_WANTED}")


def open_hdf5(path: Path) -> h5py.File:
    """Open a file for reading, on file systems without locks too; DatasetError, in one line, where it cannot be."""
    try:
        try:
            return h5py.File(path, "r")
        except OSError as error:
            # "unable to lock file", or once it is open without: "file locking flag values don't match"
            if ("lock file" not in str(error) and "file locking" not in str(error)) or isinstance(
                error, BlockingIOError
            ):
                raise
            return h5py.File(path, "r", locking=False)  # NFS or Lustre without locks
    except BlockingIOError:
        raise DatasetError(f"{path}: got a file that another program is writing, expected {_WANTED}; wait") from None
    except (FileNotFoundError, PermissionError) as error:
        raise DatasetError(f"{path}: {_reason(error)}, expected {_WANTED}") from None
    except Exception:  # h5py raises much more than OSError on damaged bytes
        raise DatasetError(f"{path}: not HDF5, or cut short, expected {_WANTED}{_import_line(path)}") from None


def _reason(error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    return str(error) if number is None else os.strerror(number).lower()


def _require_regular_file(path: Path) -> None:
    """A pipe would be waited for, and a device may do anything when it is opened."""
    from celebahq_builder.sources.remote import fetch_line, url_of

    if url := url_of(path):
        raise DatasetError(f"{url}: got a URL, expected a file on this machine; fetch it first: {fetch_line(url)}")
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: {_reason(error)}, expected {_WANTED}") from None
    if not stat.S_ISREG(mode):
        what = "folder" if stat.S_ISDIR(mode) else "device or pipe"
        raise DatasetError(f"{path}: a {what}, expected {_WANTED}{_import_line(path)}")


def _import_line(path: Path) -> str:
    """Return what makes a dataset of a folder, an archive or a file of another format; "" for what is none.

    By the name, as import tells them: one that ends in .h5 is a damaged dataset to it, too.
    """
    with contextlib.suppress(OSError):
        if path.is_dir() or (path.is_file() and _IMPORTED.fullmatch(path.name)):
            return f"{IMPORT_HINT}{shlex.quote(str(path))} --output NAME.h5"
    return ""


def _check(
    path: Path, every_text: bool, allow: Callable[[Path], None] = lambda path: None, alone: bool = False
) -> None:
    """Check a file and the shards that it joins.

    Args:
        allow: called with each shard before it is opened.
        alone: not its shards.
    """
    with open_hdf5(path) as file:
        for span in _check_contents(path, file, every_text=every_text):
            if alone:
                return
            shard = path.resolve().parent / span.name
            require_shard(path, span, shard)
            _require_regular_file(shard)
            allow(shard)
            try:
                opened = open_hdf5(shard)
            except DatasetError as error:
                raise DatasetError(f"{error}: the shard with {span.rows_of(path)}") from None
            with opened:
                _check_contents(shard, opened, shards=False)
                refuse_shard(path, file, span, shard, opened)


def _check_contents(path: Path, file: h5py.File, **options: bool) -> tuple[Span, ...]:
    try:
        return check_contents(path, file, **options)
    except (DatasetError, KeyboardInterrupt):
        raise
    except BaseException as error:  # whatever h5py makes of damaged bytes
        found = str(error).strip().splitlines() or [type(error).__name__]
        raise DatasetError(f"{path}: got damaged HDF5 ({found[0][:200]}), expected {_WANTED}") from None


def _answer(path: Path, every_text: bool, alone: bool, sender: int) -> None:
    """The child's whole life: check, say what is wrong, leave without touching anything of the parent's."""
    try:
        _limit(path)
        _check(path, every_text, _more_time, alone)
        os.write(sender, _SOUND)
    except DatasetError as error:
        os.write(sender, str(error).encode("utf-8", "surrogateescape")[:4000])
    except BaseException:  # includes Ctrl-C: the parent hears it too
        pass
    finally:
        os._exit(0)


def _limit(path: Path) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)  # of the machine; a process that passes the soft one ends, too
    seconds = _seconds(path) if hard == resource.RLIM_INFINITY else min(_seconds(path), hard)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, hard))
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    bound = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY_BYTES
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY or bound < soft:
        resource.setrlimit(resource.RLIMIT_AS, (bound, hard))


def _more_time(shard: Path) -> None:
    """Give the child what a shard may take on top."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    seconds = soft + _seconds(shard)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds if hard == resource.RLIM_INFINITY else min(seconds, hard), hard))


def _seconds(path: Path) -> int:
    return CPU_SECONDS + path.stat().st_size // _BYTES_A_SECOND


def _wait(receiver: int, child: int) -> bytes:
    """Return what the child said; it never outlives this call."""
    import select

    answer, deadline, has_ended = b"", time.monotonic() + _WALL_SECONDS, False
    try:
        while select.select([receiver], [], [], max(0.0, deadline - time.monotonic()))[0]:
            if not (part := os.read(receiver, 4096)):
                has_ended = True
                break
            answer += part
        return answer
    finally:
        os.close(receiver)
        with contextlib.suppress(ProcessLookupError, ChildProcessError):  # it leaves nothing where SIGCHLD is ignored
            if not has_ended:
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
