"""A run folder belongs to one process at a time; a start that comes to nothing takes back what it made of it."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from celebahq import files
from train.config import TrainError
from train.state.checkpoint import checkpoints

BEGINNING = ("checkpoints", "config.json", "history.json", "reals.png", "events.out.tfevents.*", "wandb-id.txt",
             "wandb", "lock")  # fmt: skip
"""What a run writes before its first tick."""


@contextlib.contextmanager
def lock_run_folder(folder: str | Path, info: Callable[[str], None]) -> Iterator[None]:
    """Make the folder and hold its lock. Where that ends by an error before the first tick or checkpoint, what is new
    is removed: no folder that looks like a run remains of a start that was refused.

    Raises:
        TrainError: it cannot be made or written, or another process trains in it.
    """
    folder = Path(folder)
    try:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        before = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    except OSError as error:  # a name that is too long, a folder closed to us
        raise _not_writable(folder, error) from None
    with _locked(folder, info):
        try:
            yield
        except BaseException:
            if not (folder / "log.jsonl").exists() and not checkpoints(folder / "checkpoints"):
                _take_back(folder, before, missing)
            raise


def _locked(folder: Path, info: Callable[[str], None]) -> IO[str]:
    """Return the open file that holds the lock for as long as it is open."""
    while True:
        try:
            (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
            file = (folder / "lock").open("w")
        except OSError as error:
            raise _not_writable(folder, error) from None
        try:
            if not files.lock(file):
                info(f"{folder}: this file system has no locks; see that no other process trains in it")
                return file
        except BlockingIOError:
            file.close()
            raise TrainError(f"{folder}: another process trains in it, wait for it or give --name") from None
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(file.fileno()), (folder / "lock").stat()):
                return file
        file.close()  # of a refused start, which removed it in between: a lock that nobody else would meet


def _not_writable(folder: Path, error: OSError) -> TrainError:
    return TrainError(f"{folder}: cannot be written ({error.strerror}), expected a writable --outdir")


def _take_back(folder: Path, before: set[str], missing: list[Path]) -> None:
    """Remove what a start made: of the names in the folder those that are new, and the folders on the way to it."""
    with contextlib.suppress(OSError):  # what somebody else put there stays
        for path in (path for name in BEGINNING for path in folder.glob(name) if path.name not in before):
            if path.is_dir() and path.name == "wandb":
                shutil.rmtree(path)
            elif path.is_dir():
                path.rmdir()
            else:
                path.unlink()
        for path in missing:
            path.rmdir()
