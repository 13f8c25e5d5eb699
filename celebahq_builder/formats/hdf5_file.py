"""Datasets in HDF5: those of the programs of 2017 with their -labels.npy, and ours, as something to import from."""

from collections import Counter
from pathlib import Path

import numpy as np

from celebahq_builder.hdf5 import DatasetError, open_dataset
from celebahq_builder.sources.images import SourceError, SourceLabels

SUFFIXES = (".h5", ".hdf5")


def recognises(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in SUFFIXES


class Source:
    """The top level of a dataset file; the smaller levels are made anew, and are the same."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.skipped: Counter[str] = Counter()
        self._dataset = open_dataset(path)
        self.names = [f"{row:08}" for row in range(len(self._dataset))]
        self.labels = None
        if self._dataset.labels is not None:
            values = {name: row.tolist() for name, row in zip(self.names, self._dataset.labels, strict=True)}
            self.labels = SourceLabels(values, self._dataset.label_names)

    def read(self, name: str) -> np.ndarray:
        try:
            image = self._dataset.read(self._dataset.resolution, [int(name)])[0]
        except DatasetError as error:
            raise SourceError(error, reason="damaged row") from None
        return np.ascontiguousarray(image.transpose(1, 2, 0))

    def stamp(self, name: str) -> str:
        return str(self.path.stat().st_mtime_ns)

    def close(self) -> None:
        self._dataset.close()
