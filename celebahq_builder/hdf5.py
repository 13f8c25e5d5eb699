"""celebahq.h5: the file format of the dataset and its writer; the reader is hdf5_format/reader.py.

Root datasets `data{R}x{R}` for every power of two from the resolution down to 1, each (N, C, R, R) uint8, C = 3 (RGB)
or 1 (gray): what the programs of 2017 wrote and read. Row i is the same face in every one. Ours adds the group `faces`
(one entry a row), `rows` (all that was looked at), `labels` and root attributes; no other root name begins with "data":
the old readers take every such name for a level.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from celebahq.version import version
from celebahq_builder.hdf5_format.face_record import FaceColumns, FaceRecord
from celebahq_builder.hdf5_format.labels_file import as_labels, labels_path, npy_bytes, write_sidecar
from celebahq_builder.hdf5_format.levels import (
    FORMAT_VERSION,
    DatasetError,
    chunk_rows,
    encodable,
    level_key,
    level_resolutions,
    mask_key,
)
from celebahq_builder.hdf5_format.partial_file import PartialFile
from celebahq_builder.hdf5_format.reader import Dataset, open_dataset
from celebahq_builder.hdf5_format.rows import SlicedRows, write_rows
from celebahq_builder.hdf5_format.validation import open_hdf5

__all__ = [
    "FORMAT_VERSION",
    "Dataset",
    "DatasetError",
    "DatasetWriter",
    "FaceRecord",
    "chunk_rows",
    "level_key",
    "level_resolutions",
    "open_dataset",
]
_BUFFER_BYTES = 1 << 20  # small levels are written by the megabyte: a call a level would cost more than its pixels
_ATTRIBUTE_BYTES = 60_000  # what fits an object header; names of 16 bytes and more each


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
        label_names: L names of the classes or attributes, the attribute `names` of `labels`.
        channels: 3 for RGB, 1 for gray.
        rows: of everything that was looked at, kept or not: the group `rows`.
        columns: of the group `faces`, name -> (num_faces, ...), where no row comes with a FaceRecord.
        masks: every row has a label map, in `masks{R}x{R}`.

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
        label_names: Sequence[str] | None = None,
        channels: int = 3,
        rows: SlicedRows | None = None,
        columns: Mapping[str, np.ndarray] | None = None,
        masks: bool = False,
    ) -> None:
        if compression not in (None, "gzip"):
            raise ValueError(f"compression: got {compression!r}, expected None or 'gzip'")
        if num_faces < 1:
            raise ValueError(f"{path}: got a dataset of {num_faces} faces, expected at least 1")
        self._path = Path(path)
        self._num_faces = num_faces
        self._replace = replace
        self._written = 0
        self._records = FaceColumns()
        self._labels = None if labels is None else as_labels(labels, num_faces, f"{self._path}: labels")
        self._label_names = label_names
        if label_names is not None and (self._labels is None or len(label_names) != self._labels.shape[1]):
            raise ValueError(f"{self._path}: got {len(label_names)} names of labels, expected one a column")
        self._channels = channels
        self._rows = rows
        self._columns = columns
        self._masks = mask_key(resolution) if masks else None
        self._buffers = {}
        for r in level_resolutions(resolution):
            buffered = chunk_rows(r, channels) * max(1, _BUFFER_BYTES // (chunk_rows(r, channels) * channels * r * r))
            self._buffers[r] = np.empty((min(buffered, num_faces), channels, r, r), np.uint8)
        self._stored = dict.fromkeys(self._buffers, 0)  # rows of each level that are in the file, not in its buffer

        self._refuse_what_exists()
        image_bytes = num_faces * sum(channels * r * r for r in self._buffers)
        self._file = self._open(0 if compression else image_bytes)
        try:
            self._lay_out(attributes or {}, compression)
            self._file.check()
        except BaseException as error:
            self._discard(error)
            raise

    def write(
        self, levels: Mapping[int, np.ndarray], face: FaceRecord | None = None, mask: np.ndarray | None = None
    ) -> None:
        """Add one face.

        Args:
            levels: every resolution R -> (C, R, R) uint8.
            face: in every row or in none.
            mask: (R, R) uint8 of the top level, where the dataset has masks.
        """
        if levels.keys() != self._buffers.keys():
            raise ValueError(f"{self._path}: got levels {sorted(levels)} of a face, expected {sorted(self._buffers)}")
        if self._written == self._num_faces:
            raise ValueError(f"{self._path}: got one face more, expected {self._num_faces}")
        for r, image in levels.items():
            if image.shape != (self._channels, r, r) or image.dtype != np.uint8:
                wanted = f"({self._channels}, {r}, {r}) uint8"
                raise ValueError(f"{level_key(r)}: got {image.shape} {image.dtype}, expected {wanted}")
        if (mask is None) is (self._masks is not None):
            raise ValueError(f"{self._path}: got a row {'without' if mask is None else 'with'} a mask, unlike others")
        if self._masks is not None:
            self._file.hdf5[self._masks][self._written] = mask
            self._file.check()
        if face is not None:
            self._records.append(face)
        self._written += 1
        for r, image in levels.items():
            buffer, filled = self._buffers[r], self._written - self._stored[r]
            buffer[filled - 1] = image
            if filled == len(buffer) or self._written == self._num_faces:
                self._store(r)

    def _store(self, resolution: int) -> None:
        """Write what is in the buffer of a level."""
        first = self._stored[resolution]
        rows = self._buffers[resolution][: self._written - first]
        self._file.hdf5[level_key(resolution)][first : self._written] = rows
        self._file.check()
        self._stored[resolution] = self._written

    def _open(self, needed_bytes: int) -> PartialFile:
        return PartialFile(self._path, needed_bytes=needed_bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, exc_type, exc, traceback) -> None:
        if exc_type is not None:
            self._discard(exc)
            return
        try:
            self._finish()
        except BaseException as error:
            self._discard(error)
            raise

    def _discard(self, error: BaseException | None) -> None:
        """Remove what there is of the file; OSError where an error comes from a write that failed before it."""
        try:
            self._file.check_after(error)
        finally:
            self._file.discard()

    def _finish(self) -> None:
        """Complete the file, make it durable, publish it. The order of the steps is what a kill cannot break."""
        if self._written != self._num_faces:
            raise ValueError(f"{self._path}: got {self._written} faces, expected {self._num_faces}")
        columns = self._columns or self._records.whole(self._num_faces)
        file = self._file.hdf5
        for name, values in columns.items():
            file.create_dataset(f"faces/{name}", data=values)
            self._file.check()
        if self._labels is not None:
            table = file.create_dataset("labels", data=self._labels)
            if self._label_names is not None:
                names = [encodable(name) for name in self._label_names]
                table.attrs["names"] = names if 16 * len(names) < _ATTRIBUTE_BYTES else json.dumps(names)
        if self._rows is not None:
            write_rows(file, self._rows)
        del file.attrs["unfinished"]
        self._file.publish(before=self._publish_labels)
        if self._replace:
            write_sidecar(self._path, self._labels)

    def _publish_labels(self) -> None:
        """Before the dataset: a kill in between leaves labels without a dataset, never a dataset with wrong labels.

        Labels of a dataset that is replaced go before it and come after it: the file itself holds them, too.
        """
        self._refuse_what_exists()
        if self._replace:
            write_sidecar(self._path, None)
        elif self._labels is not None:
            write_sidecar(self._path, self._labels)

    def _lay_out(self, attributes: Mapping[str, str | int], compression: str | None) -> None:
        self._describe(attributes)
        for r in self._buffers:
            self._create_level(r, compression=compression, compression_opts=4 if compression == "gzip" else None)
        if self._masks is not None:  # packed they are a hundredth, and seldom read
            side = max(self._buffers)
            shape, chunks = (self._num_faces, side, side), (1, side, side)
            self._file.hdf5.create_dataset(
                self._masks, shape, np.uint8, chunks=chunks, compression="gzip", compression_opts=4
            )

    def _describe(self, attributes: Mapping[str, str | int]) -> None:
        file = self._file.hdf5
        file.attrs["unfinished"] = 1
        for name, value in {"config": "{}", "weights_sha256": "", **attributes}.items():
            file.attrs[str(_storable(name))] = _storable(value)
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["builder_version"] = version()

    def _create_level(self, resolution: int, **options) -> None:
        image = (self._channels, resolution, resolution)
        self._file.hdf5.create_dataset(
            level_key(resolution),
            shape=(self._num_faces, *image),
            maxshape=(None, *image),
            dtype=np.uint8,
            chunks=(chunk_rows(resolution, self._channels), *image),
            **options,
        )

    def _refuse_what_exists(self) -> None:
        if self._path.exists() and not self._replace:
            raise FileExistsError(f"{self._path}: exists already, and is not overwritten")
        sidecar = labels_path(self._path)
        if self._replace and self._replaced_has_labels():
            return  # it is that file's own
        if sidecar.exists() and (self._labels is None or sidecar.read_bytes() != npy_bytes(self._labels)):
            raise FileExistsError(f"{sidecar}: would pass for the labels of {self._path.name}, remove it first")

    def _replaced_has_labels(self) -> bool:
        if not self._path.exists():
            return False
        with open_hdf5(self._path) as file:
            return "labels" in file


def _storable(value: str | int) -> str | int:
    """Text of a damaged file whose bytes are no UTF-8 is spelled out: HDF5 stores no other."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
