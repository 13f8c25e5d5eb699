"""LMDB as LSUN ships its images: a folder with data.mdb, any key, an encoded image as value."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from celebahq_builder.formats import needs
from celebahq_builder.formats.export_rows import ExportRows, WriteOptions, read_label_names, write_label_names
from celebahq_builder.hdf5 import Dataset
from celebahq_builder.sources.images import MOST_BYTES, TOO_LARGE, SourceError, SourceLabels

OPENED_BY = "lmdb.open({output!r}, readonly=True, lock=False)"
_MAP_BYTES = 64 << 20
"""Of address space at first; it grows with what is in the file: clusters give a process less than a terabyte."""
_BATCH_BYTES = 32 << 20


def recognises(path: Path) -> bool:
    return path.is_dir() and (path / "data.mdb").is_file()


class Source:
    """An LMDB folder. Labels: labels.npy and label_names.json beside data.mdb, as `convert --to lmdb` writes them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lmdb = needs("lmdb", str(path))
        self.skipped: Counter[str] = Counter()
        try:
            self._environment = lmdb.open(str(path), readonly=True, lock=False, readahead=False)
            with self._environment.begin() as transaction:
                keys = list(transaction.cursor().iternext(values=False))
        except lmdb.Error as error:
            raise SourceError(f"{path}/data.mdb: got no readable LMDB ({error}), expected images") from None
        self._keys = {key.decode("utf-8", "backslashreplace"): bytes(key) for key in keys}
        self.names = list(self._keys)
        self.labels = self._labels()

    def read(self, name: str) -> bytes:
        with self._environment.begin(buffers=True) as transaction:
            value = transaction.get(self._keys[name])
            if len(value) > MOST_BYTES:
                raise SourceError(f"{self.path}/{name}: got an image {TOO_LARGE}", reason=TOO_LARGE)
            return bytes(value)

    def stamp(self, name: str) -> str:
        return str((self.path / "data.mdb").stat().st_mtime_ns)

    def close(self) -> None:
        self._environment.close()

    def _labels(self) -> SourceLabels | None:
        path = self.path / "labels.npy"
        if not path.is_file():
            return None
        try:
            table = np.load(path, allow_pickle=False, mmap_mode="r")
            if table.ndim != 2 or table.dtype.kind not in "fiub" or len(table) != len(self.names):
                raise ValueError(table.shape)
        except Exception:  # numpy's parser of headers raises many kinds
            raise SourceError(f"{path}: got no labels, expected {len(self.names)} rows of numbers") from None
        values = {name: row.tolist() for name, row in zip(self.names, table, strict=True)}
        return SourceLabels(values, read_label_names(self.path)[0])


def write(dataset: Dataset, output: Path, options: WriteOptions) -> None:
    """Write one LMDB: key 00000000 and on, the encoded image as value; labels.npy beside it."""
    lmdb = needs("lmdb", "--to lmdb")
    rows = ExportRows(dataset, options)
    output.mkdir()
    try:
        with lmdb.open(str(output), map_size=_MAP_BYTES) as environment:
            batch: list[tuple[bytes, bytes]] = []
            size = 0
            for row in rows:
                image = row.encode(options.image)
                batch.append((f"{row.index:08}".encode(), image))
                size += len(image)
                if size > _BATCH_BYTES:
                    _put(lmdb, environment, batch)
                    batch, size = [], 0
            _put(lmdb, environment, batch)
    except lmdb.Error as error:
        raise SourceError(f"{output}: got {str(error).rpartition(': ')[2]} from lmdb, expected room for it") from None
    (output / "lock.mdb").unlink(missing_ok=True)
    if dataset.labels is not None:
        np.save(output / "labels.npy", dataset.labels)
        write_label_names(output, rows)


def _put(lmdb: Any, environment: Any, batch: list[tuple[bytes, bytes]]) -> None:
    """Add pairs, all or none; the file grows where they do not fit."""
    while True:
        try:
            with environment.begin(write=True) as transaction:
                for key, value in batch:
                    transaction.put(key, value)
            return
        except lmdb.MapFullError:
            environment.set_mapsize(2 * environment.info()["map_size"])
