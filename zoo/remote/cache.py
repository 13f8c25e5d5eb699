"""Where downloaded checkpoints and converted models are kept, and one process at a time in there. No torch."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.folder import CONFIG_NAME, ModelError

_log = logging.getLogger("celebahq.zoo")

VARIABLE = "CELEBAHQ_ZOO_CACHE"


def cache_folder(cache: str | Path | None = None) -> Path:
    """Return what is given, else $CELEBAHQ_ZOO_CACHE, else celebahq/zoo in $XDG_CACHE_HOME or in ~/.cache."""
    if cache is not None:
        return Path(cache)
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE]).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "celebahq" / "zoo"


def downloads_folder(cache: str | Path | None = None) -> Path:
    """Return where checkpoints lie as they were published."""
    return cache_folder(cache) / "downloads"


def cached_model(name: str, cache: str | Path | None = None) -> Path:
    """Return the model folder that a name of the catalogue has in the cache, whether it is there or not."""
    return cache_folder(cache) / "models" / name


def is_cached(name: str, cache: str | Path | None = None) -> bool:
    """Whether a model of the catalogue is in the cache, converted and whole."""
    return (cached_model(name, cache) / CONFIG_NAME).is_file()


@contextmanager
def only_process(path: Path) -> Iterator[None]:
    """Let one process at a time work on a path in the cache; others wait, and say so.

    Raises:
        ModelError: nothing can be written there.
    """
    import filelock

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(f"{path}.lock")
        try:
            lock.acquire(timeout=0.1)
        except filelock.Timeout:
            _log.info(f"{path.name}: another process is at it, waiting for it to finish")
            lock.acquire()
    except OSError as error:
        raise cannot_write(path.parent, error) from None
    try:
        yield
    finally:
        lock.release()


def cannot_write(path: Path, error: OSError) -> ModelError:
    """Return the error of a cache that is read-only or full."""
    reason = error.strerror or str(error)
    return ModelError(
        f"{path}: cannot be written ({reason}), expected --cache or {VARIABLE} with a writable, roomy place"
    )
