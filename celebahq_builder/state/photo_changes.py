"""Whether photos changed since a build looked at them: by their time stamps, and where those moved, by their hashes."""

import hashlib
from array import array
from collections.abc import Container, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from celebahq.progress import progress
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.process_photo import LARGEST_FILE_BYTES
from celebahq_builder.sources.input_photos import FileStamp, file_stamp
from celebahq_builder.sources.listing import read_photo
from celebahq_builder.state.manifest_row import Row
from celebahq_builder.state.row_table import RowTable


def content_sha256(root: Path, name: str) -> str:
    """Return the hash that a row of this photo has; empty for one that cannot be read or is too large to be."""
    if file_stamp(root, name).num_bytes > LARGEST_FILE_BYTES:
        return ""
    try:
        return hashlib.sha256(read_photo(root, name)).hexdigest()
    except UnusablePhotoError:
        return ""


def unchanged(root: Path, rows: RowTable, present: Container[str]) -> tuple[np.ndarray, dict[int, Row]]:
    """Return the places of rows of photos that are what they were, (n,) int64, and those that get today's time stamp.

    A photo of another size has changed. One of another time has if its hash has: copying and unpacking set new times.

    Args:
        present: the names of the photos that are there.
    """
    stays, moved = array("q"), {}
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
            if rows.stamp(place).mtime_ns != now.mtime_ns:
                moved[place] = replace(rows[place], source_mtime_ns=now.mtime_ns)
    return np.array(stays, np.int64), moved


def _has_sha256(root: Path, name: str, digest: str) -> bool:
    return digest != "" and content_sha256(root, name) == digest


def photo_digests(rows: Iterable[Row]) -> dict[str, str]:
    """Return root attributes of the dataset by which a later run sees whether any photo changed."""
    times, contents = {}, {}
    for row in rows:
        times[row.source] = FileStamp(row.source_bytes, row.source_mtime_ns)
        contents[row.source] = row.source_sha256
    return {"photos_times_sha256": _times_digest(times), "photos_contents_sha256": _digest(contents)}


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
    return _digest({name: f"{stamp.num_bytes} {stamp.mtime_ns}" for name, stamp in stamps.items()})


def _digest(facts: dict[str, str]) -> str:
    digest = hashlib.sha256()
    for name in sorted(facts):
        digest.update(name.encode("utf-8", "surrogateescape") + b"\0" + facts[name].encode() + b"\n")
    return digest.hexdigest()
