"""The file that joins shards: levels and masks virtual, all else its own; written and published as any dataset."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from celebahq.version import version
from celebahq_builder.hdf5 import DatasetWriter
from celebahq_builder.hdf5_format.labels_file import as_labels
from celebahq_builder.hdf5_format.levels import level_key
from celebahq_builder.hdf5_format.partial_file import PartialFile
from celebahq_builder.hdf5_format.rows import SlicedRows
from celebahq_builder.hdf5_format.shards import SET_ATTRIBUTE, bounds


class ShardWriter(DatasetWriter):
    """Write one shard, a dataset of its own; its labels lie in it alone, not beside it."""

    def _publish_labels(self) -> None:
        self._refuse_what_exists()

    def _refuse_what_exists(self) -> None:
        if self._path.exists():
            raise FileExistsError(f"{self._path}: exists already, and is not overwritten")


class JoiningWriter(DatasetWriter):
    """Write a dataset whose rows lie in shards beside it; only what is not pixels is written.

    Args:
        path, resolution, num_faces, attributes, labels, replace, label_names, channels, rows, columns, masks: as of
            DatasetWriter.
        names: of the shards, complete already, with the rows that `bounds` gives them.
    """

    def __init__(
        self,
        path: Path,
        resolution: int,
        num_faces: int,
        names: Sequence[str],
        *,
        attributes: Mapping[str, str | int],
        labels: np.ndarray | None = None,
        replace: bool = False,
        label_names: Sequence[str] | None = None,
        channels: int = 3,
        rows: SlicedRows | None = None,
        columns: Mapping[str, np.ndarray] | None = None,
        masks: bool = False,
    ) -> None:
        self._names = names
        super().__init__(
            path,
            resolution,
            num_faces,
            attributes=attributes,
            labels=labels,
            replace=replace,
            label_names=label_names,
            channels=channels,
            rows=rows,
            columns=columns,
            masks=masks,
        )
        self._written = num_faces

    def _open(self, needed_bytes: int) -> PartialFile:
        return super()._open(0)  # the pixels are there

    def _lay_out(self, attributes: Mapping[str, str | int], compression: str | None) -> None:
        self._describe(attributes)
        for r in self._buffers:
            self._join(level_key(r), (self._channels, r, r))
        if self._masks is not None:
            self._join(self._masks, (max(self._buffers),) * 2)

    def _join(self, key: str, image: tuple[int, ...]) -> None:
        layout = h5py.VirtualLayout((self._num_faces, *image), np.uint8)
        for name, (first, stop) in zip(self._names, bounds(self._num_faces, len(self._names)), strict=True):
            # HDF5 takes a single % for a pattern of names.
            layout[first:stop] = h5py.VirtualSource(name.replace("%", "%%"), key, (stop - first, *image))
        self._file.hdf5.create_virtual_dataset(key, layout)


def set_digest(
    attributes: Mapping[str, str | int],
    columns: Mapping[str, np.ndarray],
    labels: np.ndarray | None,
    compression: str | None,
    count: int,
) -> str:
    """Return what tells this set of shards from any other: a hash of how they were made and of every row's columns."""
    facts = [version(), compression, count, *(f"{name}={attributes[name]}" for name in sorted(attributes))]
    digest = hashlib.sha256(json.dumps(facts).encode())
    for name, column in sorted(columns.items()):
        data = _joined(column.tolist()) if column.dtype == object else np.ascontiguousarray(column).tobytes()
        digest.update(f"{name} {column.shape} {column.dtype}".encode() + data)
    if labels is not None:
        digest.update(as_labels(labels, len(labels), "labels").tobytes())
    return digest.hexdigest()[:32]


def _joined(texts: Sequence[bytes | str]) -> bytes:
    return b"\0".join(x if isinstance(x, bytes) else x.encode("utf-8", "surrogateescape") for x in texts)


def shard_attributes(attributes: Mapping[str, str | int], digest: str) -> dict[str, str | int]:
    """Return the attributes that the joined file and its shards share: what is of all photos is the joined file's."""
    return {name: value for name, value in attributes.items() if "photos" not in name} | {SET_ATTRIBUTE: digest}
