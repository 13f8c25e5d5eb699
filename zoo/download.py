"""A model's sources -> its checkpoint in the cache: in order, checked, one process at a time. No torch."""

import contextlib
import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from celebahq.progress import progress
from zoo.catalog import Entry, Source
from zoo.file_hash import WrongFileError, check_file, keep_record, record_of
from zoo.folder import ModelError
from zoo.remote.cache import cannot_write, downloads_folder, only_process
from zoo.remote.fetch import TIMEOUT, FetchError, fetch, open_client
from zoo.remote.hub_file import fetch_from_hub

_log = logging.getLogger("celebahq.zoo")


@dataclass(frozen=True)
class Checkpoint:
    """A published file that is on this machine, and what it is."""

    path: Path
    sha256: str
    source: Source


def download(entry: Entry, cache: str | Path | None = None, timeout: float = TIMEOUT) -> Checkpoint:
    """Return a model's checkpoint: one that lies in the cache already, or the first that a source gives.

    Args:
        entry: of the catalogue.
        cache: as zoo.remote.cache.cache_folder takes it.
        timeout: seconds without a byte after which a transfer counts as stalled.

    Raises:
        ModelError: no source gives it, the file that lies there is another one, or the cache cannot be written. One
            line: the file, why, and where to put it by hand.
    """
    folder = downloads_folder(cache) / entry.name
    if found := _in_cache(entry, folder):
        return found
    with only_process(folder / "download"):
        if found := _in_cache(entry, folder):  # another process was faster
            return found
        refusals: dict[str, list[str]] = {}
        try:
            with contextlib.closing(open_client(timeout)) as client:
                for source in entry.sources:
                    try:
                        if not source.manual:
                            return _from(source, client, folder)
                    except (FetchError, WrongFileError) as error:
                        refusals.setdefault(str(error), []).append(_host(source))
                        if source is not entry.sources[-1]:
                            _log.warning(f"{source.file}: {_host(source)}: {error}; the next source is tried")
        except OSError as error:
            raise cannot_write(folder, error) from None
    raise ModelError(by_hand(entry, folder, refusals))


def by_hand(entry: Entry, folder: Path, refusals: dict[str, list[str]]) -> str:
    """Return the message of a model that no source gave: why, which file, where from, and where to put it.

    Args:
        refusals: reason -> the hosts that gave it.
    """
    reasons = "; ".join(f"{', '.join(dict.fromkeys(hosts))}: {reason}" for reason, hosts in refusals.items())
    source = next((source for source in entry.sources if source.manual or source.url), entry.sources[0])
    why = f"cannot be downloaded ({reasons})" if refusals else "to be fetched by hand"
    return (
        f"{entry.name}: {why}, expected {source.inside or source.file} from {source.address} as {folder / source.file}"
    )


def offline() -> bool:
    """Whether the user forbids connections: HF_HUB_OFFLINE, as huggingface_hub reads it."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def _in_cache(entry: Entry, folder: Path) -> Checkpoint | None:
    """Return the first source's file that lies in the cache, downloaded or put there by hand; checked again."""
    for source in entry.sources:
        path = folder / source.file
        if path.is_file():
            record = record_of(path)
            try:
                sha256 = check_file(path, source, record)
            except WrongFileError as error:
                raise ModelError(f"{path}: {error}; another file, to be moved away") from None
            if not record.exists():
                with contextlib.suppress(OSError):  # a cache that is read-only does not need it
                    keep_record(record, sha256, path, "put there by hand")
            return Checkpoint(path, sha256, source)
    return None


def _from(source: Source, client: Any, folder: Path) -> Checkpoint:
    """Download one source. Raises FetchError, WrongFileError, OSError."""
    if source.hub:  # which looks into its own cache when it is offline
        path, stated = fetch_from_hub(source)
        return Checkpoint(path, check_file(path, replace(source, sha256=stated) if stated else source), source)
    if offline():
        raise FetchError("HF_HUB_OFFLINE is set")
    path = folder / source.file
    partial = path.with_name(path.name + ".part")
    verified = bool(source.sha256 or source.sha256_prefix or source.git_blob_prefix)
    for attempt in ("continued", "anew"):
        began = partial.stat().st_size if partial.exists() else 0
        _log.info(f"{source.file}: from {_host(source)}")
        with progress(source.file, unit="B") as bar:
            fetch(client, source.address, partial, bar.update, size=source.size, verified=verified)
        try:
            sha256 = check_file(partial, source, record_of(path))
            break
        except WrongFileError:
            partial.unlink()
            partial.with_name(partial.name + ".json").unlink(missing_ok=True)
            if attempt == "anew" or not began:
                raise
            _log.warning(f"{source.file}: the continued download does not fit together, once more from the start")
    partial.replace(path)
    partial.with_name(partial.name + ".json").unlink(missing_ok=True)
    keep_record(record_of(path), sha256, path, source.address)
    return Checkpoint(path, sha256, source)


def _host(source: Source) -> str:
    return source.hub or source.address.partition("://")[2].partition("/")[0]
