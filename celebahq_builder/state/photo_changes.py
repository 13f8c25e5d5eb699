"""Whether photos changed since a build looked at them: by their time stamps, and where those moved, by their hashes."""

import hashlib
from array import array
from collections.abc import Container, Iterator
from pathlib import Path

import numpy as np

from celebahq.progress import progress
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.hdf5_format.row_slices import RowSlices
from celebahq_builder.process_photo import LARGEST_FILE_BYTES
from celebahq_builder.sources.input_photos import FileStamp, file_stamp
from celebahq_builder.sources.listing import read_photo
from celebahq_builder.state.row_table import RowTable


def content_sha256(root: Path, name: str) -> str:
    """Return the hash that a row of this photo has; empty for one that cannot be read or is too large to be."""
    if file_stamp(root, name).num_bytes > LARGEST_FILE_BYTES:
        return ""
    try:
        return hashlib.sha256(read_photo(root, name)).hexdigest()
    except UnusablePhotoError:
        return ""


def unchanged(root: Path, rows: RowTable, present: Container[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of rows of photos that are what they were, (n,) int64, and the time of each today, (n,) int64.

    A photo of another size has changed. One of another time has if its hash has: copying and unpacking set new times.

    Args:
        present: the names of the photos that are there.
    """
    stays, times = array("q"), array("q")
    name, same, now = None, False, FileStamp(-1, 0)
    for place in range(len(rows)):
        source, _ = rows.key(place)
        if source != name:  # the rows of a photo stand one behind the other
            name, same = source, False
            if source in present:
                before, now = rows.stamp(place), file_stamp(root, source)
                same = before == now or (
                    before.num_bytes == now.num_bytes != -1 and _has_sha256(root, source, rows[place].source_sha256)
                )
        if same:
            stays.append(place)
            times.append(now.mtime_ns)
    return np.array(stays, np.int64), np.array(times, np.int64)


def _has_sha256(root: Path, name: str, digest: str) -> bool:
    return digest != "" and content_sha256(root, name) == digest


def photo_digests(rows: RowSlices) -> dict[str, str]:
    """Return root attributes of the dataset by which a later run sees whether any photo changed.

    Args:
        rows: of all photos, by name.
    """
    times, contents = _Digest(), _Digest()
    for name, num_bytes, mtime_ns, sha256 in _each_photo(rows):
        times.add(name, _stamp_words(FileStamp(num_bytes, mtime_ns)))
        contents.add(name, sha256)
    return {"photos_times_sha256": times.hex(), "photos_contents_sha256": contents.hex()}


def _each_photo(rows: RowSlices) -> Iterator[tuple[str, int, int, str]]:
    """Yield name, size, time and hash of each photo; its rows stand one behind the other."""
    photo = None
    for some in rows.slices():
        columns = (some[name].tolist() for name in ("source", "source_bytes", "source_mtime_ns", "source_sha256"))
        for facts in zip(*columns, strict=True):
            if photo is not None and facts[0] != photo[0]:
                yield photo
            photo = facts
    if photo is not None:
        yield photo


def changed_since(root: Path, names: list[str], attributes: dict, kept: dict[str, str]) -> str:
    """Return which photo is not what it was when the dataset was made; empty where all are.

    Args:
        attributes: of the dataset. One that was made before there were digests tells nothing.
        kept: source -> source_sha256 of the faces in it, for the message.
    """
    if "photos_times_sha256" not in attributes or "photos_contents_sha256" not in attributes:
        return ""
    if _times_digest({name: file_stamp(root, name) for name in names}) == attributes["photos_times_sha256"]:
        return ""
    contents = {}
    with progress("photos whose time stamps moved, compared", len(names)) as bar:
        for name in names:
            contents[name] = content_sha256(root, name)
            bar.advance()
    if _digest(contents) == attributes["photos_contents_sha256"]:
        return ""
    return next((name for name in names if kept.get(name, contents[name]) != contents[name]), "a photo")


def _times_digest(stamps: dict[str, FileStamp]) -> str:
    return _digest({name: _stamp_words(stamp) for name, stamp in stamps.items()})


def _stamp_words(stamp: FileStamp) -> str:
    return f"{stamp.num_bytes} {stamp.mtime_ns}"


def _digest(facts: dict[str, str]) -> str:
    digest = _Digest()
    for name in sorted(facts):
        digest.add(name, facts[name])
    return digest.hex()


class _Digest:
    """Of facts about names that are given in order."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()

    def add(self, name: str, fact: str) -> None:
        self._sha256.update(name.encode("utf-8", "surrogateescape") + b"\0" + fact.encode() + b"\n")

    def hex(self) -> str:
        return self._sha256.hexdigest()
