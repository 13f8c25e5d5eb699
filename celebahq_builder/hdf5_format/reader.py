"""Dataset: the reader of the file format. Every file is checked by validation.py before anything of it is read."""

import itertools
import json
import math
import operator
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from celebahq.files import PARTIAL
from celebahq_builder.hdf5_format.face_record import column_fault
from celebahq_builder.hdf5_format.labels_file import as_labels, read_sidecar
from celebahq_builder.hdf5_format.levels import (
    DatasetError,
    encodable,
    key_text,
    level_key,
    level_resolutions,
    mask_key,
    resolution_of,
)
from celebahq_builder.hdf5_format.shards import ShardedData, Shards
from celebahq_builder.hdf5_format.validation import check_file, open_hdf5
from celebahq_builder.stores.dataset_cache import local_dataset

_MOST_ENTRIES = 1 << 28  # of a label table, 1 GiB


def open_dataset(path: str | Path, resolution: int | None = None, *, every_text: bool = False) -> "Dataset":
    """Open a dataset for reading, which is also one for torch.utils.data.DataLoader.

    Args:
        path: of the file; or a URL that fsspec opens, which is fetched into a cache, with its shards.
        resolution: of the level that `dataset[i]` reads; None: the top level.
        every_text: text columns outside `faces` will be read too, so that the check reads them first.

    Raises:
        DatasetError: in one line, where it is not a complete dataset, or has no such level.
    """
    return Dataset(path, resolution, every_text=every_text)


class Dataset:
    """A dataset of this format, or one of the original programs (no attributes, no `faces`, any filter, any N).

    The file is opened again in every process that reads it, so a reader may be forked or pickled into workers.
    A map-style dataset of PyTorch by its `len()` and `[i]`; PyTorch itself is not needed.
    """

    def __init__(self, path: str | Path, resolution: int | None = None, *, every_text: bool = False) -> None:
        self.path = local_dataset(Path(path))
        self._pid: int | None = None
        self._levels: dict[int, h5py.Dataset | ShardedData] = {}
        self._shards: Shards | None = None
        check_file(self.path, every_text)
        try:
            file = self._open()
            self.resolutions, self.channels, self._len = _check_levels(self.path, file)
            self.attributes = {key_text(name): _plain(value) for name, value in file.attrs.items()}
            self.labels, self.label_names = _read_labels(self.path, file, self._len)
            _check_columns(self.path, file)
            self.resolution = self.resolutions[0] if resolution is None else resolution
            if self.resolution not in self.resolutions:
                levels = ", ".join(map(str, self.resolutions))
                raise DatasetError(f"{self.path}: got resolution {resolution}, expected one of {levels}")
        except BaseException:
            self.close()
            raise

    resolutions: tuple[int, ...]
    """Largest first, down to 1."""
    resolution: int
    """Of the level that `dataset[i]` reads: the top level, where open_dataset was not told another."""
    channels: int
    """3, or 1 for gray images."""
    attributes: dict[str, Any]
    """Of the root."""
    labels: np.ndarray | None
    """(N, L) float32 from the file, or else from `<name>-labels.npy` beside it; None where there are none."""
    label_names: tuple[str, ...] | None
    """The L names of the classes or attributes, where the file has them."""

    def __len__(self) -> int:
        return self._len

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return one row: its image (C, R, R) uint8, R = `resolution`, and its label (L,) float32, L = 0 without any.

        Raises:
            IndexError: no such row; -1 is the last one.
            DatasetError: the bytes of the row are damaged.
        """
        row = operator.index(index)
        if not -self._len <= row < self._len:
            raise IndexError(f"{self.path}: got row {row}, expected one of {self._len}")
        row %= self._len
        label = np.zeros(0, np.float32) if self.labels is None else self.labels[row]
        return self.read(self.resolution, [row])[0], label

    def read(self, resolution: int, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the rows `indices` (any order, any repeats) of one level: (n, C, resolution, resolution) uint8.

        Raises:
            DatasetError: the bytes of a row are damaged.
        """
        if resolution not in self.resolutions:
            raise ValueError(f"resolution: got {resolution}, expected one that {self.path} has: {self.resolutions}")
        rows = np.asarray(indices, dtype=np.int64)
        if rows.ndim != 1 or (len(rows) and (rows.min() < 0 or rows.max() >= self._len)):
            raise IndexError(f"{self.path}: got other rows, expected a flat list of 0..{self._len - 1}")
        self._open()
        try:
            return self._read(self._levels[resolution], rows)
        except DatasetError:  # of a shard
            raise
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            found = f"{level_key(resolution)} damaged in rows {rows.min()}..{rows.max()} ({error})"
            raise DatasetError(f"{self.path}: got {found}, expected images") from None

    def _read(self, level: h5py.Dataset | ShardedData, rows: np.ndarray) -> np.ndarray:
        # A slice or one row goes through h5py's fast reader; its fancy indexing selects point by point, far slower.
        steps = np.diff(rows)
        if len(rows) and (steps == 1).all():
            return level[int(rows[0]) : int(rows[-1]) + 1]
        out = np.empty((len(rows), *level.shape[1:]), np.uint8)
        if (steps <= 0).any():  # in the file's order, each row once
            before = -1
            for position in np.argsort(rows, kind="stable").tolist():
                again = before >= 0 and rows[position] == rows[before]
                out[position] = out[before] if again else level[int(rows[position])]
                before = position
            return out
        edges = [0, *(np.flatnonzero(steps != 1) + 1).tolist(), len(rows)]
        for a, b in itertools.pairwise(edges):
            if b - a == 1:
                out[a] = level[int(rows[a])]
            elif b > a:
                out[a:b] = level[int(rows[a]) : int(rows[a]) + b - a]
        return out

    @property
    def has_masks(self) -> bool:
        """Say whether every row has a label map."""
        masks, side = self.stored().get(mask_key(self.resolutions[0])), self.resolutions[0]
        if masks is None:
            return False
        if isinstance(masks, h5py.Group) or masks.shape != (self._len, side, side) or masks.dtype != np.uint8:
            found = f"{mask_key(side)} of {getattr(masks, 'shape', 'a group')} {getattr(masks, 'dtype', '')}"
            raise DatasetError(f"{self.path}: got {found}, expected ({self._len}, {side}, {side}) uint8")
        return True

    def read_masks(self, indices: Sequence[int]) -> np.ndarray:
        """Return the label maps of rows, in this order: (n, R, R) uint8; DatasetError where they are damaged."""
        masks: Any = self.stored().get(mask_key(self.resolutions[0]))
        try:
            return np.stack([masks[int(row)] for row in indices])
        except DatasetError:
            raise
        except (OSError, RuntimeError, ValueError) as error:
            raise DatasetError(f"{self.path}: got damaged masks ({error}), expected label maps") from None

    @property
    def faces(self) -> dict[str, np.ndarray]:
        """The group `faces`, column by column: (N, ...) arrays, text as str; empty for a file of the old programs.

        Raises:
            DatasetError: a column has not N entries.
        """
        columns = self.columns()
        for name, column in columns.items():
            if len(column) != self._len:
                found = f"faces/{name} of {len(column)} entries"
                raise DatasetError(f"{self.path}: got {found}, expected {self._len}, one a row")
        return columns

    def columns(self) -> dict[str, np.ndarray]:
        """Return the group `faces` as it is, whatever the lengths of its columns."""
        group = self._open().get("faces", {})
        try:
            return {
                key_text(key): v.asstr("utf-8", "surrogateescape")[:] if v.dtype.kind in "OS" else v[:]
                for key, v in group.items()
            }
        except (OSError, RuntimeError, ValueError) as error:
            raise DatasetError(f"{self.path}: got damaged columns in faces ({error}), expected whole ones") from None

    def stored(self) -> Shards:
        """Return what gives the datasets of the file by name, as h5py does; those in shards are read from them."""
        self._open()
        assert self._shards is not None
        return self._shards

    def close(self) -> None:
        if self._pid == os.getpid() and self._file is not None:
            if self._shards is not None:
                self._shards.close()
            self._file.close()
        self._pid, self._levels, self._shards = None, {}, None

    def __enter__(self) -> "Dataset":
        return self

    def __exit__(self, exc_type, exc, traceback) -> None:
        self.close()

    def __getstate__(self) -> dict:
        gone: dict[str, Any] = {"_pid": None, "_levels": {}, "_shards": None}
        return {k: v for k, v in self.__dict__.items() if k != "_file"} | gone

    def _open(self) -> h5py.File:
        """Return the file, opened by this process."""
        if self._pid != os.getpid():  # first use in this process
            self._levels, self._shards = {}, None
            self._file = None  # a handle inherited from the parent goes first, or HDF5 would share its descriptor
            self._file = open_hdf5(self.path)
            self._shards = shards = Shards(self.path, self._file)
            self._levels = {r: shards.get(key) for key in self._file if (r := resolution_of(key))}
            self._pid = os.getpid()
        return self._file


def _check_levels(path: Path, file: h5py.File) -> tuple[tuple[int, ...], int, int]:
    """Return the resolutions, largest first, the channels and the number of rows; DatasetError for uneven levels."""
    if path.suffix == PARTIAL or "unfinished" in file.attrs:
        raise DatasetError(f"{path}: an unfinished file, run the command that made it again")
    found = {r: file[key] for key in file if (r := resolution_of(key))}
    if not found:
        raise DatasetError(f"{path}: no data{{R}}x{{R}} in this HDF5 file, expected a dataset made by celebahq-build")
    resolution = max(found)
    if resolution & (resolution - 1):
        raise DatasetError(f"{path}: {level_key(resolution)} as top level, expected a power of two")
    resolutions = level_resolutions(resolution)
    if missing := [level_key(r) for r in resolutions if r not in found]:
        raise DatasetError(f"{path}: {', '.join(missing)} missing, expected every level down to data1x1")
    shape = getattr(found[resolution], "shape", None) or ()
    channels = 1 if shape[1:2] == (1,) else 3
    for r in resolutions:
        level = found[r]
        is_level = isinstance(level, h5py.Dataset) and level.shape is not None
        if not is_level or level.shape[1:] != (channels, r, r) or level.dtype != np.uint8:
            what = f"{level.shape} {level.dtype}" if isinstance(level, h5py.Dataset) else "a group"
            raise DatasetError(f"{path}: {level_key(r)} is {what}, expected (N, {channels}, {r}, {r}) uint8")
    lengths = {level_key(r): len(found[r]) for r in resolutions}
    if len(set(lengths.values())) > 1:
        raise DatasetError(f"{path}: got {lengths}, expected levels of one length; was its program stopped?")
    if not len(found[resolution]):
        raise DatasetError(f"{path}: 0 images, expected at least 1")
    return resolutions, channels, len(found[resolution])


def _read_labels(path: Path, file: h5py.File, num_faces: int) -> tuple[np.ndarray | None, tuple[str, ...] | None]:
    """Return the labels and their names, from the file or from beside it."""
    try:
        if "labels" not in file:
            labels = read_sidecar(path, num_faces)
            return labels, None
        table = file["labels"]
        if not isinstance(table, h5py.Dataset) or table.shape is None:
            raise ValueError(f"{path}: got labels that are a group or empty, expected ({num_faces}, L) numbers")
        if math.prod(table.shape) > _MOST_ENTRIES or table.dtype.kind not in "fiub" or table.ndim != 2:
            raise ValueError(f"{path}: labels: got {table.shape} {table.dtype}, expected ({num_faces}, L) numbers")
        labels = as_labels(table[()], num_faces, f"{path}: labels")
        return labels, _label_names(table, labels.shape[1])
    except (ValueError, OSError, RuntimeError) as error:
        raise DatasetError(error if isinstance(error, ValueError) else f"{path}: labels: {error}") from None


def _label_names(table: h5py.Dataset, num_labels: int) -> tuple[str, ...] | None:
    """Return the attribute `names`: one text a column, or their JSON where they are too many for an attribute."""
    value = table.attrs.get("names")
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    texts = value.reshape(-1).tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(texts, list) or len(texts) != num_labels:
        return None
    return tuple(text.decode("utf-8", "replace") if isinstance(text, bytes) else encodable(str(text)) for text in texts)


def _check_columns(path: Path, file: h5py.File) -> None:
    """What `faces` holds are columns, and those that we know are what we write."""
    if "faces" not in file:
        return
    if not isinstance(file["faces"], h5py.Group):
        raise DatasetError(f"{path}: got faces that is no group, expected one column a fact")
    for key, column in file["faces"].items():
        name = key_text(key)
        if fault := column_fault(name, column):
            raise DatasetError(f"{path}: got faces/{name} {fault}")


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value
