"""Arrays computed from a dataset once and kept: a file each, named by everything they depend on."""

import contextlib
import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from celebahq.files import write_atomic
from train.metrics.pretrained_file import cache_folder


def cached(
    what: str, key: Mapping[str, Any], compute: Callable[[], dict[str, np.ndarray]], folder: Path | None = None
) -> dict[str, np.ndarray]:
    """Return what compute() returns, from the file that an earlier call has left if there is one.

    A damaged file is computed again; a folder that cannot be written costs the time, not the result.

    Args:
        what: first word of the file's name.
        key: everything the arrays depend on: dataset, rows, resolution, weights. Plain JSON types.
        folder: by default the cache folder.
    """
    there = read_cached(what, key, folder)
    if there is not None:
        return there
    arrays = compute()
    keep_cached(what, key, arrays, folder)
    return arrays


def read_cached(what: str, key: Mapping[str, Any], folder: Path | None = None) -> dict[str, np.ndarray] | None:
    """Return the arrays that were kept, or None; arguments as of cached()."""
    path, text = _path_and_text(what, key, folder)
    with contextlib.suppress(OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile), np.load(path) as file:
        if str(file["key"]) == text:
            return {name: file[name] for name in file.files if name != "key"}
    return None


def keep_cached(what: str, key: Mapping[str, Any], arrays: dict[str, np.ndarray], folder: Path | None = None) -> None:
    """Keep arrays for the next time; arguments as of cached()."""
    path, text = _path_and_text(what, key, folder)
    named: dict[str, Any] = {"key": text, **arrays}
    with contextlib.suppress(OSError):  # a cache that takes no file costs time, not the result
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomic(path, shared=True) as file:
            np.savez(file, **named)


def _path_and_text(what: str, key: Mapping[str, Any], folder: Path | None) -> tuple[Path, str]:
    text = json.dumps(dict(key), sort_keys=True)
    folder = cache_folder() / "features" if folder is None else folder
    return folder / f"{what}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.npz", text
