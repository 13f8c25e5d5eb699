"""Datasets named by a URL: fetched once into a cache on this machine, and again where the object has changed."""

import hashlib
import json
import logging
import os
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from celebahq.files import NO_ROOM, printable, write_atomic
from celebahq_builder.hdf5_format.levels import DatasetError
from celebahq_builder.sources.remote import RemoteError, fetch_line, url_of

_log = logging.getLogger("celebahq")

VARIABLE = "CELEBAHQ_DATASET_CACHE"
_DATASETS = ("file", "a", "b", "files")
"""Options of celebahq-data that name datasets to read."""


def datasets_folder() -> Path:
    """Return $CELEBAHQ_DATASET_CACHE, else celebahq/datasets in $XDG_CACHE_HOME or in ~/.cache."""
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE]).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "celebahq" / "datasets"


def local_dataset(path: Path) -> Path:
    """Return the path of a dataset on this machine: itself, or the copy of what a URL names.

    The copy is compared with the store each time, by sizes and versions; where the store cannot be asked, it is used
    as it is, and a warning says so. Several processes fetch it once.

    Raises:
        DatasetError: nothing there, no dataset, or it did not come; the same call goes on.
    """
    url = url_of(path)
    if not url:
        return path
    from celebahq_builder.stores.fetch import fetch_set
    from celebahq_builder.stores.place import open_place, stamp
    from zoo.remote.cache import only_process

    folder = datasets_folder() / hashlib.sha256(url.encode()).hexdigest()[:16]
    note = folder / "fetched.json"
    try:
        place = open_place(url)
        with only_process(folder / path.name):
            before = _noted(note)
            try:
                there = place.listing()
            except RemoteError as error:
                if not before or not all((folder / name).exists() for name in before):
                    raise
                _log.warning(f"{printable(error)}; the copy in {printable(folder)} is used")
                return folder / place.name

            def is_here(name: str) -> bool:
                found = stamp(there.get(name))
                return before.get(name) == [found.num_bytes, found.mtime_ns] and (folder / name).exists()

            names = fetch_set(place, folder, there, is_here)
            now = {name: [stamp(there[name]).num_bytes, stamp(there[name]).mtime_ns] for name in names}
            if now != before:
                with write_atomic(note) as file:
                    file.write(json.dumps(now).encode())
                for name in before.keys() - now.keys():
                    (folder / name).unlink(missing_ok=True)
                _log.info(f"{printable(url)}: a copy lies in {printable(folder)}")
            return folder / place.name
    except RemoteError as error:
        raise DatasetError(str(error)) from None
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        remedy = f"free some space, or set {VARIABLE} to a folder with room; the same command goes on"
        raise DatasetError(f"{what}; {remedy if error.errno in NO_ROOM else 'put that right'}") from error


def with_local_files(config: Any, *, writes_beside: bool) -> Any:
    """Return the options of a command with copies in place of the URLs of datasets.

    Args:
        writes_beside: the command writes beside its dataset: a URL is refused with the line that fetches it.

    Raises:
        DatasetError: as of local_dataset.
    """
    changed: dict[str, Any] = {}
    for field in fields(config) if is_dataclass(config) else ():
        value = getattr(config, field.name)
        paths = value if isinstance(value, tuple) else (value,)
        if field.name not in _DATASETS or not any(isinstance(path, Path) and url_of(path) for path in paths):
            continue
        if writes_beside:
            url = url_of(value)
            raise DatasetError(f"{url}: got a URL, expected a file on this machine; fetch it first: {fetch_line(url)}")
        changed[field.name] = type(value)(map(local_dataset, paths)) if value is paths else local_dataset(value)
    return replace(config, **changed) if changed else config


def _noted(note: Path) -> dict[str, list[int]]:
    try:
        facts = json.loads(note.read_bytes())
        return facts if isinstance(facts, dict) else {}
    except (OSError, ValueError):
        return {}
