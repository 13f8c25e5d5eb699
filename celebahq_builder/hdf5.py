"""celebahq.h5: the file format of the dataset, its writer and its reader.

Root datasets `data{R}x{R}` for every power of two from the resolution down to 1, each (N, 3, R, R) uint8 RGB: what the
programs of 2017 wrote and read. Row i is the same face in every one. Ours adds the group `faces` (one entry a row),
`labels` and root attributes; no other root name begins with "data": the old readers take every such name for a level.
"""

import itertools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from celebahq_builder.face_record import FaceRecord, face_columns
from celebahq_builder.labels_file import as_labels, labels_path, npy_bytes, read_sidecar
from celebahq_builder.partial_file import PartialFile
from celebahq_builder.version import builder_version
from celebahq_builder.whole_file import write_whole

FORMAT_VERSION = 1
_BUFFER_BYTES = 1 << 20  # small levels are written by the megabyte: a call a level would cost more than its pixels


class DatasetError(ValueError):
    """A file that is not a whole dataset of this format; the message is one line that begins with the file."""


def level_key(resolution: int) -> str:
    return f"data{resolution}x{resolution}"


def level_resolutions(resolution: int) -> tuple[int, ...]:
    """Return resolution, resolution / 2, ..., 1; ValueError unless it is a power of two."""
    if resolution < 1 or resolution & (resolution - 1):
        raise ValueError(f"resolution: {resolution} is not a power of two")
    return tuple(resolution >> k for k in range(resolution.bit_length()))


def chunk_rows(resolution: int) -> int:
    """Images a chunk, as released: at least 128 bytes, so 1 from 8x8 up, 3 at 4x4, 11 at 2x2, 43 at 1x1."""
    return -(-128 // (3 * resolution * resolution))


class DatasetWriter:
    """Write a dataset face by face; the file takes its final name only once it is whole.

    Until then it is `<path>.partial`, which is removed when the `with` block fails and overwritten by the next run when
    this one was killed. What exists is never overwritten: neither `path` nor a labels file that holds something else.

    Args:
        resolution: of the top level, a power of two.
        num_faces: how many times write() will be called.
        attributes: root attributes: `config` (JSON), `weights_sha256`; format_version and builder_version are added.
        compression: None, or "gzip" for the filter of the released files (level 4; reads 13 times slower).
        labels: (num_faces, L) float, written as float32 into the file and into `<name>-labels.npy`.
        replace: path is an older dataset, which the new one replaces in one step once it is whole.

    Raises:
        FileExistsError: path exists, or a foreign labels file does.
        OSError: the disk is full (checked before the first face where the size is known), or cannot be written to.
    """

    def __init__(
        self,
        path: str | Path,
        resolution: int,
        num_faces: int,
        *,
        attributes: Mapping[str, str | int] | None = None,
        compression: str | None = None,
        labels: np.ndarray | None = None,
        replace: bool = False,
    ) -> None:
        if compression not in (None, "gzip"):
            raise ValueError(f"compression: {compression!r} is unknown, None or 'gzip' is wanted")
        if num_faces < 1:
            raise ValueError(f"{path}: a dataset of {num_faces} faces, at least 1 is wanted")
        self._path = Path(path)
        self._num_faces = num_faces
        self._replace = replace
        self._written = 0
        self._records: list[FaceRecord] = []
        self._labels = None if labels is None else as_labels(labels, num_faces, f"{self._path}: labels")
        self._buffers = {}
        for r in level_resolutions(resolution):
            rows = chunk_rows(r) * max(1, _BUFFER_BYTES // (chunk_rows(r) * 3 * r * r))
            self._buffers[r] = np.empty((min(rows, num_faces), 3, r, r), np.uint8)

        self._refuse_what_exists()
        image_bytes = num_faces * sum(3 * r * r for r in self._buffers)
        self._file = PartialFile(self._path, needed_bytes=0 if compression else image_bytes)
        try:
            self._lay_out(attributes or {}, compression)
            self._file.check()
        except BaseException:
            self._file.discard()
            raise

    def write(self, levels: Mapping[int, np.ndarray], face: FaceRecord | None = None) -> None:
        """Add one face: `levels` maps every resolution R to (3, R, R) uint8; `face` in every row or in none."""
        if levels.keys() != self._buffers.keys():
            raise ValueError(f"{self._path}: levels {sorted(levels)} of a face, {sorted(self._buffers)} are wanted")
        if self._written == self._num_faces:
            raise ValueError(f"{self._path}: more than the {self._num_faces} faces that were announced")
        for r, image in levels.items():
            if image.shape != (3, r, r) or image.dtype != np.uint8:
                raise ValueError(f"{level_key(r)}: {image.shape} {image.dtype}, (3, {r}, {r}) uint8 is wanted")
        if face is not None:
            self._records.append(face)
        self._written += 1
        for r, image in levels.items():
            buffer = self._buffers[r]
            filled = (self._written - 1) % len(buffer) + 1
            buffer[filled - 1] = image
            if filled == len(buffer) or self._written == self._num_faces:
                self._file.hdf5[level_key(r)][self._written - filled : self._written] = buffer[:filled]
                self._file.check()

    def __enter__(self) -> "DatasetWriter":
        return self

    def __exit__(self, exc_type, exc, traceback) -> None:
        if exc_type is not None:
            self._file.discard()
            return
        try:
            self._finish()
        except BaseException:
            self._file.discard()
            raise

    def _finish(self) -> None:
        """Complete the file, make it durable, publish it. The order of the steps is what a kill cannot break."""
        if self._written != self._num_faces:
            raise ValueError(f"{self._path}: {self._written} of {self._num_faces} faces written")
        columns = face_columns(self._records, self._num_faces)
        file = self._file.hdf5
        for name, values in columns.items():
            file.create_dataset(f"faces/{name}", data=values)
        if self._labels is not None:
            file.create_dataset("labels", data=self._labels)
        del file.attrs["unfinished"]
        self._file.publish(before=self._publish_labels)

    def _publish_labels(self) -> None:
        """Before the dataset: a kill in between leaves labels without a dataset, never a dataset with wrong labels."""
        self._refuse_what_exists()
        if self._labels is not None:
            write_whole(labels_path(self._path), npy_bytes(self._labels), durable=True)

    def _lay_out(self, attributes: Mapping[str, str | int], compression: str | None) -> None:
        file = self._file.hdf5
        file.attrs["unfinished"] = 1
        for name, value in {"config": "{}", "weights_sha256": "", **attributes}.items():
            file.attrs[name] = value
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["builder_version"] = builder_version()
        for r in self._buffers:
            file.create_dataset(
                level_key(r),
                shape=(self._num_faces, 3, r, r),
                maxshape=(None, 3, r, r),
                dtype=np.uint8,
                chunks=(chunk_rows(r), 3, r, r),
                compression=compression,
                compression_opts=4 if compression == "gzip" else None,
            )

    def _refuse_what_exists(self) -> None:
        if self._path.exists() and not self._replace:
            raise FileExistsError(f"{self._path}: exists already, and is not overwritten")
        sidecar = labels_path(self._path)
        if sidecar.exists() and (self._labels is None or sidecar.read_bytes() != npy_bytes(self._labels)):
            raise FileExistsError(f"{sidecar}: would pass for the labels of {self._path.name}, remove it first")


def open_dataset(path: str | Path) -> "Dataset":
    """Open a dataset for reading; DatasetError, in one line, when it is not a whole one."""
    return Dataset(path)


class Dataset:
    """A dataset of this format, or one of the original programs (no attributes, no `faces`, any filter, any N).

    The file is opened again in every process that reads it, so a reader may be forked or pickled into workers.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._pid = None
        try:
            file = self._open()
        except OSError as error:
            found = _why_unreadable(self.path, error)
            raise DatasetError(f"{self.path}: {found}, a dataset made by celebahq-build is wanted") from None
        self.resolutions, self._len = _check_levels(self.path, file)
        self.attributes = {k: v.item() if isinstance(v, np.generic) else v for k, v in file.attrs.items()}
        try:
            if "labels" in file:
                labels = as_labels(file["labels"][()], self._len, f"{self.path}: labels")
            else:
                labels = read_sidecar(self.path, self._len)
        except ValueError as error:
            raise DatasetError(str(error)) from None
        self.labels: np.ndarray | None = labels
        """(N, L) float32 from the file, or else from `<name>-labels.npy` beside it; None where there are none."""

    @property
    def resolution(self) -> int:
        """Of the top level; `resolutions` lists it first and goes down to 1."""
        return self.resolutions[0]

    def __len__(self) -> int:
        return self._len

    def read(self, resolution: int, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the rows `indices` (any order, any repeats) of one level: (n, 3, resolution, resolution) uint8."""
        if resolution not in self.resolutions:
            raise ValueError(f"resolution: {resolution} is not in {self.path}, which has {self.resolutions}")
        rows = np.asarray(indices, dtype=np.int64)
        if rows.ndim != 1 or (len(rows) and (rows.min() < 0 or rows.max() >= self._len)):
            raise IndexError(f"{self.path}: rows 0..{self._len - 1} are wanted, in a flat list")
        wanted, where = np.unique(rows, return_inverse=True)
        out = np.empty((len(wanted), 3, resolution, resolution), np.uint8)
        level = self._open()[level_key(resolution)]
        # One read a run of neighbours: h5py's own fancy indexing builds a selection point by point, far slower.
        edges = [0, *(np.flatnonzero(np.diff(wanted) != 1) + 1), len(wanted)]
        for a, b in itertools.pairwise(edges):
            if b > a:
                level.read_direct(out, np.s_[wanted[a] : wanted[b - 1] + 1], np.s_[a:b])
        return out if np.array_equal(wanted, rows) else out[where]

    @property
    def faces(self) -> dict[str, np.ndarray]:
        """The group `faces`, column by column: (N, ...) arrays, text as str; empty for a file of the old programs."""
        group = self._open().get("faces", {})
        return {k: v.asstr(errors="surrogateescape")[:] if v.dtype.kind in "OS" else v[:] for k, v in group.items()}

    def close(self) -> None:
        if self._pid == os.getpid():
            self._file.close()
        self._pid = None

    def __enter__(self) -> "Dataset":
        return self

    def __exit__(self, exc_type, exc, traceback) -> None:
        self.close()

    def __getstate__(self) -> dict:
        return {k: v for k, v in self.__dict__.items() if k != "_file"} | {"_pid": None}

    def _open(self) -> h5py.File:
        if self._pid != os.getpid():  # first use in this process
            self._file = None  # a handle inherited from the parent goes first, or HDF5 would share its descriptor
            self._file = h5py.File(self.path, "r")
            self._pid = os.getpid()
        return self._file


def _check_levels(path: Path, file: h5py.File) -> tuple[tuple[int, ...], int]:
    """Return the resolutions, largest first, and the number of rows; DatasetError when any is missing or uneven."""
    if path.suffix == ".partial" or "unfinished" in file.attrs:
        raise DatasetError(f"{path}: an unfinished file, run the command that made it again")
    found = {int(m[1]): file[key] for key in file if (m := re.fullmatch(r"data(\d+)x\1", key))}
    if not found:
        raise DatasetError(f"{path}: no data{{R}}x{{R}} in this HDF5 file, a dataset made by celebahq-build is wanted")
    resolution = max(found)
    if resolution & (resolution - 1):
        raise DatasetError(f"{path}: {level_key(resolution)} as top level, a power of two is wanted")
    resolutions = level_resolutions(resolution)
    if missing := [level_key(r) for r in resolutions if r not in found]:
        raise DatasetError(f"{path}: {', '.join(missing)} missing, every level down to data1x1 is wanted")
    for r in resolutions:
        level = found[r]
        if not isinstance(level, h5py.Dataset) or level.shape[1:] != (3, r, r) or level.dtype != np.uint8:
            what = f"{level.shape} {level.dtype}" if isinstance(level, h5py.Dataset) else "a group"
            raise DatasetError(f"{path}: {level_key(r)} is {what}, (N, 3, {r}, {r}) uint8 is wanted")
    lengths = {level_key(r): len(found[r]) for r in resolutions}
    if len(set(lengths.values())) > 1:
        raise DatasetError(f"{path}: levels of different length, {lengths}; was its program stopped?")
    if not len(found[resolution]):
        raise DatasetError(f"{path}: 0 images, at least 1 is wanted")
    return resolutions, len(found[resolution])


def _why_unreadable(path: Path, error: OSError) -> str:
    if path.is_dir():
        return "a folder"
    if isinstance(error, FileNotFoundError | PermissionError):
        return os.strerror(error.errno).lower()
    return "not HDF5, or cut short"
