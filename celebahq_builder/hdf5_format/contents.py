"""What an HDF5 file may hold to be read at all: its own bytes, sizes that they justify, text that comes to an end."""

import math
import sys
from pathlib import Path

import h5py
import numpy as np

from celebahq_builder.hdf5_format.levels import DatasetError, key_text, resolution_of
from celebahq_builder.hdf5_format.shards import Span, spans_of

_MOST_OBJECTS = 100_000
_SLACK_BYTES = 1 << 20  # a small dataset whose chunks are missing is `verify`'s to name
_DEFLATE_RATIO = 1100  # gzip's best is 1032
_CHUNK_BYTES = 256 << 20
_FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 32000: "lzf"}
_CHECKSUM_BYTES = 4
_TEXT_BYTES = 1 << 16  # of one entry
_ATTRIBUTE_BYTES = 16 << 20
_BLOCK_BYTES = 256 << 20


def check_contents(path: Path, file: h5py.File, every_text: bool = False, shards: bool = True) -> tuple[Span, ...]:
    """Raise DatasetError for the first thing that a dataset file must not have; return the shards that it joins.

    Args:
        path: of the open file.
        every_text: read every text column through once, not only those of `faces`.
        shards: virtual levels that join the shards beside the file are allowed; what is in these is another call's.
    """
    num_bytes = path.stat().st_size
    joined: tuple[Span, ...] = ()
    _check_attributes(path, file, num_bytes)
    for name, item in _objects(path, file):
        if not isinstance(item, h5py.Dataset):
            continue
        if item.is_virtual:
            spans = _check_virtual(path, name, item, shards)
            if joined and spans != joined:
                raise DatasetError(f"{path}: got {name} over other shards than other levels, expected one set")
            joined = spans
            continue
        _check_storage(path, name, item, num_bytes)
        is_text = h5py.check_string_dtype(item.dtype) is not None and item.dtype.kind == "O"
        if is_text and item.shape is not None and (every_text or name.startswith("faces/")):
            _check_text(path, name, item, num_bytes)
        elif name.startswith("faces/") or name == "labels" or (every_text and resolution_of(name) is None):
            # not the levels, which are large
            _read_packed(item)
        if name == "labels":
            _check_attributes(path, item, num_bytes)
    return joined


def _objects(path: Path, file: h5py.File) -> list[tuple[str, object]]:
    """Return every object with its name; a link out of the file, or to nowhere, is refused before it is followed."""
    found, soft, seen = [], [], set()
    waiting: list[tuple[str, h5py.Group]] = [("", file)]
    while waiting:
        prefix, group = waiting.pop()
        for key in group:
            name = f"{prefix}{key_text(key)}"
            link = group.get(key, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise DatasetError(f"{path}: got {name}, a link to {link.filename}, expected data in the file itself")
            if isinstance(link, h5py.SoftLink):
                soft.append((name, link.path))  # once it is sure that no path leads out
                continue
            item = group[key]
            found.append((name, item))
            if len(found) + len(soft) > _MOST_OBJECTS:
                raise DatasetError(f"{path}: got more than {_MOST_OBJECTS:,} objects, expected a dataset")
            address = h5py.h5o.get_info(item.id).addr
            if isinstance(item, h5py.Group) and address not in seen:  # a group may hold itself
                seen.add(address)
                waiting.append((f"{name}/", item))
    for name, target in soft:
        try:
            found.append((name, file[name]))
        except KeyError:
            raise DatasetError(f"{path}: got {name}, a link to {target}, where nothing is, expected data") from None
    return found


def _check_storage(path: Path, name: str, item: h5py.Dataset, num_bytes: int) -> None:
    """All bytes lie in this file, and there are as many as the shape claims."""
    plan = item.id.get_create_plist()
    if plan.get_external_count():
        where = plan.get_external(0)[0].decode("utf-8", "surrogateescape")
        raise DatasetError(f"{path}: got {name}, whose bytes lie in {where}, expected them in the file itself")
    claimed = math.prod(item.shape or (0,)) * item.dtype.itemsize
    stored = item.id.get_storage_size()
    packed = plan.get_nfilters() > 0
    if stored > num_bytes or claimed > stored * (_DEFLATE_RATIO if packed else 1) + _SLACK_BYTES:
        raise DatasetError(
            f"{path}: got {name} of {_size(claimed)} by its shape {item.shape}, and {_size(min(stored, num_bytes))} "
            "stored, expected as many; was it cut short?"
        )
    chunk = math.prod(item.chunks or (0,)) * item.id.get_type().get_size()  # in the file: text is longer there
    if packed:
        _check_filters(path, name, item, chunk)
    if chunk > min(_CHUNK_BYTES, num_bytes * (_DEFLATE_RATIO if packed else 1) + _SLACK_BYTES):
        raise DatasetError(f"{path}: got {name} in chunks of {_size(chunk)}, expected {_size(_CHUNK_BYTES)} at most")


def _check_filters(path: Path, name: str, item: h5py.Dataset, chunk_bytes: int) -> None:
    """Refuse filters that no dataset needs, and chunks of sizes that no writer leaves, which crash or swell libraries.

    h5py's LZF unpacks a chunk of 0 bytes without end (h5py 3.16); fletcher32 of a chunk shorter than its checksum reads
    beyond it and crashes (libhdf5 2.0); gzip unpacks whatever a chunk holds, a thousand times its size.
    """
    plan = item.id.get_create_plist()
    filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
    if unknown := [number for number in filters if number not in _FILTERS]:
        known = ", ".join(_FILTERS.values())
        raise DatasetError(f"{path}: got {name} packed by HDF5's filter {unknown[0]}, expected {known} or none")
    least = 1 + _CHECKSUM_BYTES * ("fletcher32" in [_FILTERS[number] for number in filters])
    most = chunk_bytes + chunk_bytes // 100 + 1024  # deflate's and the checksum's own bytes
    sizes: list[int] = []
    item.id.chunk_iter(lambda chunk: sizes.append(chunk.size))
    if wrong := [size for size in sizes if not least <= size <= most]:
        raise DatasetError(
            f"{path}: got {name} with a packed chunk of {wrong[0]} bytes, expected {least} to {most}; it is damaged"
        )


def _read_packed(item: h5py.Dataset) -> None:
    """Unpack all of a packed column: what crashes or swells a library does so here, in a process of bounded memory."""
    if item.chunks is not None and item.id.get_create_plist().get_nfilters():
        rows = max(1, _BLOCK_BYTES // 16 // max(1, math.prod(item.shape[1:]) * item.dtype.itemsize))
        for start in range(0, len(item), rows):
            item[start : start + rows]


def _check_virtual(path: Path, name: str, item: h5py.Dataset, shards: bool) -> tuple[Span, ...]:
    """Only what joins `<name>-00000-of-00012.h5` beside the file may be virtual."""
    if not shards:
        raise DatasetError(f"{path}: got {name}, a virtual dataset, expected data in the file itself")
    return spans_of(path, name, item)


def _check_text(path: Path, name: str, column: h5py.Dataset, num_bytes: int) -> None:
    """Read text once: entries may all show one long string, and damaged ones send libhdf5 into an endless loop."""
    # On Linux the memory of the process that does this is bounded; elsewhere only the number of entries bounds it.
    rows = 4096 if sys.platform.startswith("linux") else max(1, _BLOCK_BYTES // max(num_bytes, 1))
    width = max(1, math.prod(column.shape[1:]))
    length = len(column) if column.ndim else 0
    block, total, start = max(1, min(rows, 4096) // width), 0, 0
    while start < length:
        texts = column[start : start + block].reshape(-1)
        longest = max(map(len, texts))
        total += sum(map(len, texts))
        if longest > _TEXT_BYTES or total > num_bytes:
            found = f"an entry of {longest} bytes" if longest > _TEXT_BYTES else f"{total} bytes of text"
            raise DatasetError(f"{path}: got {name} with {found}, expected names of files and the like")
        start += block


def _check_attributes(path: Path, item: h5py.File | h5py.Dataset, num_bytes: int) -> None:
    if len(item.attrs) > 1000:
        raise DatasetError(f"{path}: got {len(item.attrs)} attributes, expected some dozens")
    for name in item.attrs:
        about = item.attrs.get_id(name)
        entries = math.prod(about.shape or ()) if about.shape is not None else 0
        if entries * max(1, about.dtype.itemsize) > _ATTRIBUTE_BYTES:
            raise DatasetError(f"{path}: got an attribute {name} of {entries} entries, expected a few")
        value = item.attrs[name]
        texts = value.reshape(-1).tolist() if isinstance(value, np.ndarray) else [value]
        total = sum(len(text) for text in texts if isinstance(text, str | bytes))
        if total > min(_ATTRIBUTE_BYTES, num_bytes):
            raise DatasetError(f"{path}: got an attribute {name} of {total} bytes, expected less than the file")


def _size(num_bytes: int) -> str:
    for unit, scale in (("GiB", 1 << 30), ("MiB", 1 << 20), ("kiB", 1 << 10)):
        if num_bytes >= scale:
            return f"{num_bytes / scale:,.1f} {unit}"
    return f"{num_bytes} bytes"
