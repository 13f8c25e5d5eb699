"""A set from its store onto this machine: gone on with after an interruption, checked, the dataset itself last."""

import json
import logging
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from io import FileIO
from pathlib import Path

from celebahq.files import partial_path, printable, write_atomic
from celebahq.progress import progress
from celebahq_builder.hdf5_format.labels_file import labels_path
from celebahq_builder.hdf5_format.levels import DatasetError
from celebahq_builder.hdf5_format.partial_file import require_room
from celebahq_builder.hdf5_format.shards import joined_spans
from celebahq_builder.hdf5_format.validation import check_file, open_hdf5
from celebahq_builder.sources.archives import FileStamp
from celebahq_builder.sources.remote import RemoteError, words_of
from celebahq_builder.stores.checksums import PART_BYTES, is_checksum_of, is_equal, read_part, stated_checksum
from celebahq_builder.stores.place import Place, stamp

_log = logging.getLogger("celebahq")
_AT_ONCE = 4


def fetch_set(
    place: Place,
    folder: Path,
    there: dict[str, dict],
    is_here: Callable[[str], bool] = lambda name: False,
    no_newer_than: Path | None = None,
) -> list[str]:
    """Fetch a dataset with its shards and labels; return their names, the dataset's last.

    Args:
        there: what place.listing() found.
        is_here: says which need not be fetched.
        no_newer_than: a file whose time the dataset takes: what lies beside it and is older counts as of another one.

    Raises:
        RemoteError: it is not there, changed meanwhile, or did not come, several times.
        DatasetError: it is no dataset.
        OSError: the disk is full.
    """
    if place.name not in there:
        raise RemoteError(f"got {place.url}, which does not exist, expected a dataset")
    folder.mkdir(parents=True, exist_ok=True)
    target, labels = folder / place.name, labels_path(folder / place.name).name
    newcomer = folder / "fetched" / place.name  # of the same name, with which those of its shards begin
    source = target
    if not is_here(place.name):
        _fetch_files(place, {place.name: newcomer}, there)
        source = newcomer
    names = _shards_of(source)
    if missing := [name for name in names if name not in there]:
        raise RemoteError(f"got {place.url} without {missing[0]}, expected all its {len(names):,} shards beside it")
    names += [labels] if labels in there else []
    _fetch_files(place, {name: folder / name for name in names if not is_here(name)}, there)
    if source == newcomer:
        if no_newer_than is not None and no_newer_than.exists():
            now = no_newer_than.stat().st_mtime_ns
            os.utime(newcomer, ns=(now, now))
        newcomer.replace(target)
        newcomer.parent.rmdir()
    return [*names, place.name]


def fetch_beside(place: Place, folder: Path, names: list[str], there: dict[str, dict]) -> None:
    """Fetch further files of a set that are there; RemoteError as of fetch_set."""
    _fetch_files(place, {name: folder / name for name in names if name in there}, there)


def _shards_of(path: Path) -> list[str]:
    """Return the names of the shards that a dataset joins, which need not be here."""
    try:
        check_file(path, alone=True)
        with open_hdf5(path) as file:
            return [span.name for span in joined_spans(path, file)]
    except DatasetError:
        path.unlink(missing_ok=True)
        raise


def _fetch_files(place: Place, files: dict[str, Path], there: dict[str, dict]) -> None:
    sizes = {name: int(there[name].get("size") or 0) for name in files}
    if not files:
        return
    first = next(iter(files.values()))
    first.parent.mkdir(exist_ok=True)
    begun = sum(_begun(partial_path(path), stamp(there[name])) for name, path in files.items())
    require_room(first, sum(sizes.values()) - begun)
    what = f"{len(files):,} file{'s'[: len(files) > 1]}, {sum(sizes.values()) / 1e6:,.1f} MB"
    _log.info(f"fetching {what}, from {printable(place.url)}")
    with progress(f"from {place.url.partition('://')[0]}", sum(sizes.values()), "B") as bar:
        for name, path in files.items():
            bar.note(name)
            path.parent.mkdir(exist_ok=True)
            _fetch_file(place, name, there[name], path, bar.advance)


def _fetch_file(place: Place, name: str, info: dict, path: Path, got: Callable[[int], None]) -> None:
    """Fetch one file block by block; what a killed run left of the same object is gone on with."""
    partial, size = partial_path(path), int(info.get("size") or 0)
    done = _begun(partial, stamp(info))
    if not done:
        with write_atomic(_note_of(partial)) as file:
            file.write(json.dumps([*_version(stamp(info))]).encode())
    got(done)
    firsts = iter(range(done, size, PART_BYTES))
    try:
        with partial.open("r+b" if done else "wb", buffering=0) as file, ThreadPoolExecutor(_AT_ONCE) as pool:
            file.seek(done)
            waiting: deque[Future[bytes]] = deque()

            def ask() -> None:
                if (first := next(firsts, None)) is not None:
                    stop = min(first + PART_BYTES, size)
                    waiting.append(pool.submit(read_part, place.system, place.of(name), first, stop))

            for _ in range(_AT_ONCE):
                ask()
            while waiting:
                data = waiting.popleft().result()
                ask()
                _write(file, data, partial)
                got(len(data))
    except OSError as error:
        if error.filename is not None and Path(error.filename) == partial:
            raise  # this machine's disk
        raise _not_fetched(place, name, error) from None
    except Exception as error:  # whatever the store's library raises
        raise _not_fetched(place, name, error) from None
    _check(place, name, info, partial)
    path.unlink(missing_ok=True)
    partial.replace(path)
    _note_of(partial).unlink(missing_ok=True)


def _write(file: FileIO, data: bytes, path: Path) -> None:
    """Write all of it; OSError names the file, by which it is told from one of the store."""
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _check(place: Place, name: str, info: dict, path: Path) -> None:
    """Raise RemoteError where the bytes that came are not those that the store states; they are removed."""
    stated = stated_checksum(info)
    if stated is None or is_checksum_of(path, *stated):
        return
    # Of parts whose size nobody states, or of bytes that the store encrypted: no proof against it.
    is_tag = stated[0] == "etag"
    if is_tag and ("-" in stated[1] or is_equal(place.system, place.of(name), info, path, read_back=True)):
        return
    path.unlink()
    raise RemoteError(f"got {place.url_of(name)} with other bytes than its {stated[0]} says; the same command again")


def _not_fetched(place: Place, name: str, error: Exception) -> RemoteError:
    what = f"got {place.url_of(name)} ({words_of(error)}), expected one that can be fetched"
    return RemoteError(f"{what}; the same command goes on where this one ended")


def _begun(partial: Path, now: FileStamp) -> int:
    """Return how many bytes of this version of an object a killed run left, whole blocks."""
    try:
        if json.loads(_note_of(partial).read_bytes()) == [*_version(now)]:
            return partial.stat().st_size // PART_BYTES * PART_BYTES
    except (OSError, ValueError):
        pass
    return 0


def _note_of(partial: Path) -> Path:
    return partial.with_name(partial.name + ".version")


def _version(found: FileStamp) -> tuple[int, int]:
    return found.num_bytes, found.mtime_ns
