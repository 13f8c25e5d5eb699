"""A dataset writer whose unfinished file a later run goes on with, row by row."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from celebahq_builder.hdf5 import DatasetWriter
from celebahq_builder.hdf5_format.face_record import FaceRecord
from celebahq_builder.hdf5_format.labels_file import as_labels
from celebahq_builder.hdf5_format.levels import chunk_rows, level_key
from celebahq_builder.hdf5_format.partial_file import PartialFile


class ResumableWriter(DatasetWriter):
    """Write a dataset whose `.partial` outlives a failure, an interrupt and kill -9.

    All room is taken when the file is laid out, so that from then on only pixels are written, each to its final place:
    whatever moment ends the program, the file can be opened again. Which rows are in it is the caller's to know and to
    check (`stored`): a power cut may have lost the last ones.

    Args:
        path, resolution, num_faces, attributes, channels: as of DatasetWriter; num_faces may be too large in the end.
    """

    def __init__(
        self, path: Path, resolution: int, num_faces: int, *, attributes: Mapping[str, str], channels: int = 3
    ) -> None:
        self._completed = self._discarded = False
        super().__init__(path, resolution, num_faces, attributes=attributes, channels=channels)

    def stored(self, row: int) -> dict[int, np.ndarray]:
        """Return the levels of a row as the file has them; what was never written is anything."""
        return {r: self._file.hdf5[level_key(r)][row] for r in self._buffers}

    def go_on(self, records: Sequence[FaceRecord]) -> None:
        """Take the first len(records) rows as written."""
        for record in records:
            self._records.append(record)
        self._written = len(records)
        self._stored = dict.fromkeys(self._buffers, self._written)

    def flush(self) -> None:
        """Hand everything to the system: from here on a kill loses none of it."""
        for r in self._buffers:
            if self._stored[r] < self._written:
                self._store(r)
        self._file.hdf5.flush()
        self._file.check()

    def complete(self, labels: np.ndarray | None, label_names: Sequence[str] | None) -> None:
        """Say that there are no more rows than were written, and what their labels are."""
        self.flush()
        if self._written < self._num_faces:
            for r in self._buffers:
                self._file.hdf5[level_key(r)].resize(self._written, axis=0)
        self._num_faces = self._written
        self._labels = None if labels is None else as_labels(labels, self._written, f"{self._path}: labels")
        self._label_names = label_names
        self._completed = True

    def __exit__(self, exc_type, exc, traceback) -> None:
        if self._discarded:
            return
        if exc_type is None or not self._written:
            super().__exit__(exc_type, exc, traceback)
            return
        try:
            self._file.check_after(exc)
        finally:
            self._file.suspend()

    def discard(self) -> None:
        """Remove the file; for a caller that has put its rows elsewhere."""
        self._discarded = True
        self._file.discard()

    def _open(self, needed_bytes: int) -> PartialFile:
        return PartialFile(self._path, needed_bytes=needed_bytes, resume=True)

    def _refuse_what_exists(self) -> None:
        # A labels file is looked at once the labels are known: it may be what a kill left just before the end.
        if self._completed or self._path.exists():
            super()._refuse_what_exists()

    def _lay_out(self, attributes: Mapping[str, str | int], compression: str | None) -> None:
        file = self._file.hdf5
        if not all(self._fits(file.get(level_key(r)), r) for r in self._buffers):
            for key in list(file):
                del file[key]
        for key in ("faces", "labels"):  # of a run that was killed while it finished
            if key in file:
                del file[key]
        self._describe(attributes)
        for r in self._buffers:
            if level_key(r) in file:
                file[level_key(r)].resize(self._num_faces, axis=0)
                continue
            plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            self._create_level(r, dcpl=plan)
        file.flush()

    def _fits(self, level: object, resolution: int) -> bool:
        shape = (self._channels, resolution, resolution)
        return (
            isinstance(level, h5py.Dataset)
            and level.dtype == np.uint8
            and level.shape[1:] == shape
            and level.chunks == (chunk_rows(resolution, self._channels), *shape)
            and level.id.get_create_plist().get_nfilters() == 0
        )
