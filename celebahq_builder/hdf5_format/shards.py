"""Datasets in shards: the levels of `celebahq.h5` are virtual, over `celebahq-00000-of-00012.h5` ... beside it.

HDF5 shows black where a shard is missing or short, looks for it in other folders too, and keeps every one open. So the
validation demands all of them, and ours are read by this file, shard by shard; programs of 2017 read them through HDF5.
"""

import bisect
import itertools
import math
import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import h5py
import numpy as np

from celebahq_builder.hdf5_format.levels import DatasetError, key_text, mask_key, resolution_of

SET_ATTRIBUTE = "shard_set"
"""Root attribute of the joined file and of its shards: equal for what was written together."""
SHARD_ATTRIBUTE = "shard"
"""Root attribute of a shard: its number."""
_MOST_OPEN = 64
_ANY_SHARD = re.compile(r"[^/\\]+-\d{5}-of-\d{5}(?:-r[1-9]\d{0,8})?\.h5", re.ASCII)
Value = TypeVar("Value")


@dataclass(frozen=True)
class Span:
    """One shard: the name of its file, which lies beside the joined one, and the rows first .. stop - 1 it holds."""

    name: str
    first: int
    stop: int

    def rows_of(self, path: Path) -> str:
        """Return what it holds, for a message."""
        return f"rows {self.first}..{self.stop - 1} of {path.name}"


def shard_names(dataset: Path, count: int, revision: int = 1) -> list[str]:
    """Return the names of the shards of a dataset: `celebahq-00000-of-00012.h5`, and `...-r2.h5` of a second set."""
    ending = "" if revision == 1 else f"-r{revision}"
    return [f"{dataset.stem}-{k:05}-of-{count:05}{ending}.h5" for k in range(count)]


def shard_pattern(dataset: Path) -> re.Pattern[str]:
    """Return what matches the names of shards of a dataset, their number and how many there are."""
    return re.compile(re.escape(dataset.stem) + r"-(\d{5})-of-(\d{5})(?:-r[1-9]\d{0,8})?\.h5", re.ASCII)


def bounds(num_faces: int, count: int) -> list[tuple[int, int]]:
    """Return the rows first .. stop - 1 of each of `count` shards, which differ by one row at most."""
    edges = [k * num_faces // count for k in range(count + 1)]
    return list(itertools.pairwise(edges))


def spans_of(path: Path, name: str, item: h5py.Dataset) -> tuple[Span, ...]:
    """Return the shards that a virtual dataset joins.

    Raises:
        DatasetError: it is virtual in any other way: only whole shards of our names, beside the file, one behind the
            other, may be joined, and only levels and masks are.
    """
    real = path.resolve()
    allowed = resolution_of(name) is not None or any(name == mask_key(1 << k) for k in range(20))
    if not allowed:
        raise DatasetError(f"{path}: got {name}, a virtual dataset, expected data in the file itself")
    wanted = f"expected data in the file itself, or in {real.stem}-NNNNN-of-NNNNN.h5 beside it"
    renamed = "a dataset in shards keeps its name: rename it back; celebahq-data select makes one file of it"
    pattern, sources, found, first = shard_pattern(real), item.virtual_sources(), [], 0
    for k, source in enumerate(sources):
        file_name = source.file_name.replace("%%", "%")  # HDF5 takes a single one for a pattern
        match = pattern.fullmatch(file_name)
        if match is None or source.file_name.replace("%%", "").count("%"):
            remedy = f"; {renamed}" if _ANY_SHARD.fullmatch(file_name) else ""
            raise DatasetError(f"{path}: got {name}, which shows {source.file_name}, {wanted}{remedy}")
        in_order = (int(match[1]), int(match[2])) == (k, len(sources))
        low, high = source.vspace.get_select_bounds()
        shape = (high[0] + 1 - low[0], *item.shape[1:])
        whole = low == (first, *(0,) * (item.ndim - 1)) and high[1:] == tuple(n - 1 for n in item.shape[1:])
        whole &= source.vspace.get_select_npoints() == math.prod(shape)
        whole &= source.src_space.get_select_type() == h5py.h5s.SEL_ALL
        if not in_order or not whole or source.dset_name.lstrip("/") != name:
            what = f"{source.dset_name} of {source.file_name}"
            raise DatasetError(f"{path}: got {name}, which shows {what} in part or out of order, {wanted}")
        found.append(Span(file_name, first, high[0] + 1))
        first = high[0] + 1
    if not found or first != len(item):
        raise DatasetError(
            f"{path}: got {name} of shape {item.shape} over {first} rows of its shards, expected as many"
        )
    return tuple(found)


def joined_spans(path: Path, file: h5py.File) -> tuple[Span, ...]:
    """Return the shards of an open file that was validated; () where all its bytes are its own."""
    levels = (file[key] for key in file if resolution_of(key) is not None)
    virtual = next((item for item in levels if isinstance(item, h5py.Dataset) and item.is_virtual), None)
    return () if virtual is None else spans_of(path, key_text(virtual.name).lstrip("/"), virtual)


def require_shard(path: Path, span: Span, shard: Path) -> None:
    """Raise DatasetError where a shard is missing, or lies elsewhere."""
    if shard.is_symlink() or not shard.exists():
        found = "got a link" if shard.is_symlink() else "missing"
        raise DatasetError(f"{shard}: {found}, expected the shard with {span.rows_of(path)}; put it there again")


def refuse_shard(path: Path, file: h5py.File, span: Span, shard: Path, opened: h5py.File) -> None:
    """Raise DatasetError where a shard does not hold what the joined file shows of it.

    Args:
        path, file: the joined file.
        shard, opened: the shard of this span.
    """
    where = f"expected {span.rows_of(path)}"
    ours, its = (found.attrs.get(SET_ATTRIBUTE) for found in (file, opened))
    if ours != its:
        raise DatasetError(f"{shard}: got a shard of another set ({its}), {where} ({ours})")
    for key in file:
        whole = file[key]
        if not isinstance(whole, h5py.Dataset) or not whole.is_virtual:
            continue
        part = opened.get(key)
        if not isinstance(part, h5py.Dataset) or part.shape != (span.stop - span.first, *whole.shape[1:]):
            got = f"{part.shape[0]} rows" if isinstance(part, h5py.Dataset) and part.shape else "none"
            raise DatasetError(f"{shard}: got {got} in {key_text(key)}, {where}")
        if part.dtype != whole.dtype or part.is_virtual:
            raise DatasetError(f"{shard}: got {key_text(key)} of {part.dtype}, {where} as {whole.dtype}")


@dataclass(frozen=True)
class Storage:
    """How a dataset is stored: rows a chunk and filter, of the first shard where there are several; bytes of all."""

    chunk_rows: int | None
    compression: str | None
    stored_bytes: int
    missing_chunks: tuple[str, ...]
    """What is missing of it, in words: "3 of 12 chunks", with the shard's name behind it where there are any."""


def storage_of(data: "h5py.Dataset | ShardedData") -> Storage:
    """Return how a dataset is stored; a chunk that was never written reads as black."""
    if isinstance(data, h5py.Dataset):
        wanted = [-(-side // chunk) for side, chunk in zip(data.shape, data.chunks or (), strict=False)]
        found = data.id.get_num_chunks() if data.chunks else 1
        missing = (f"{found} of {math.prod(wanted)} chunks",) if data.chunks and found != math.prod(wanted) else ()
        rows = data.chunks[0] if data.chunks else None
        return Storage(rows, data.compression, data.id.get_storage_size(), missing)
    parts = data.map_parts(storage_of)
    named = [f"{what} in {name}" for name, part in zip(data.names, parts, strict=True) for what in part.missing_chunks]
    return Storage(parts[0].chunk_rows, parts[0].compression, sum(part.stored_bytes for part in parts), tuple(named))


class Shards:
    """What an open dataset file holds, with its virtual levels read from their shards.

    Args:
        path, file: a validated file, open; it stays open as long as this is used.
    """

    def __init__(self, path: Path, file: h5py.File) -> None:
        self.path, self.file = path, file
        self.spans = joined_spans(path, file)
        self.starts = [span.first for span in self.spans]
        self._open: OrderedDict[int, h5py.File] = OrderedDict()
        self.lock = threading.Lock()

    def get(self, name: str) -> "h5py.Dataset | h5py.Group | ShardedData | None":
        """Return what has this name; for a virtual dataset, one that reads from the shards."""
        item = self.file.get(name)
        return ShardedData(self, name, item) if isinstance(item, h5py.Dataset) and item.is_virtual else item

    def storage(self, name: str) -> Storage:
        """Return how a dataset is stored."""
        return storage_of(self.get(name))

    def place(self, k: int) -> Path:
        """Return the path of a shard."""
        return self.path.resolve().parent / self.spans[k].name

    def shard(self, k: int) -> h5py.File:
        """Return a shard, open; the lock must be held while it is used.

        Raises:
            DatasetError: it is missing, damaged, or another one than that of this set.
        """
        from celebahq_builder.hdf5_format.validation import open_hdf5  # which asks this file about shards

        if k not in self._open:
            require_shard(self.path, self.spans[k], self.place(k))
            opened = open_hdf5(self.place(k))
            try:
                refuse_shard(self.path, self.file, self.spans[k], self.place(k), opened)
            except BaseException:
                opened.close()
                raise
            self._open[k] = opened
            if len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(k)
        return self._open[k]

    def close(self) -> None:
        """Close the shards, not the joined file."""
        with self.lock:
            while self._open:
                self._open.popitem()[1].close()


class ShardedData:
    """A virtual dataset, read from its shards; shape, dtype, len() and [row], [first:stop] are as of h5py's."""

    def __init__(self, shards: Shards, name: str, item: h5py.Dataset) -> None:
        self.shape, self.dtype, self.ndim = item.shape, item.dtype, item.ndim
        self.names = [span.name for span in shards.spans]
        self._shards, self._name = shards, name

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: int | slice) -> np.ndarray:
        """Return a row, or a run of rows (N, ...), as the shards hold them; DatasetError, OSError as of reading."""
        if not isinstance(rows, slice):
            return self[int(rows) : int(rows) + 1][0]
        first, stop, _ = rows.indices(len(self))
        if first >= stop:
            return np.empty((0, *self.shape[1:]), self.dtype)
        k = bisect.bisect_right(self._shards.starts, first) - 1
        parts = []
        with self._shards.lock:
            while first < stop:
                span = self._shards.spans[k]
                end = min(stop, span.stop)
                parts.append(self._shards.shard(k)[self._name][first - span.first : end - span.first])
                first, k = end, k + 1
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def map_parts(self, function: Callable[[h5py.Dataset], Value]) -> list[Value]:
        """Return function(dataset) of each shard, open meanwhile."""
        found = []
        for k in range(len(self._shards.spans)):
            with self._shards.lock:
                found.append(function(self._shards.shard(k)[self._name]))
        return found
