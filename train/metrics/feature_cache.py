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
    text = json.dumps(dict(key), sort_keys=True)
    folder = cache_folder() / "features" if folder is None else folder
    path = folder / f"{what}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.npz"
    with contextlib.suppress(OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile), np.load(path) as file:
        if str(file["key"]) == text:
            return {name: file[name] for name in file.files if name != "key"}
    arrays = compute()
    named: dict[str, Any] = {"key": text, **arrays}
    with contextlib.suppress(OSError):  # a cache that takes no file costs time, not the result
        folder.mkdir(parents=True, exist_ok=True)
        with write_atomic(path, shared=True) as file:
            np.savez(file, **named)
    return arrays
