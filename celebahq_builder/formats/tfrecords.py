"""The TFRecords of the released ProGAN program: <name>-rNN.tfrecords for each level from 4x4 up, <name>-rxx.labels."""

import os
import re
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from celebahq.files import PARTIAL
from celebahq_builder.formats import needs
from celebahq_builder.formats.export_rows import ExportRows, WriteOptions, read_label_names, write_label_names
from celebahq_builder.hdf5 import Dataset
from celebahq_builder.sources.images import MOST_BYTES, TOO_LARGE, SourceError, SourceLabels

OPENED_BY = "dataset.TFRecordDataset({output!r}), of progressive_growing_of_gans"
_FILE = re.compile(r"(.*)-r(\d\d)\.tfrecords", re.ASCII)


def recognises(path: Path) -> bool:
    return bool(_FILE.fullmatch(path.name)) if path.is_file() else bool(_levels(path))


class Source:
    """A folder of one dataset's TFRecords, of which the largest level is read, or one such file; without TensorFlow."""

    def __init__(self, path: Path) -> None:
        self.path = path
        file = path if path.is_file() else max(_levels(path), key=lambda file: int(_parts(file)[1]))
        self._crc = needs("google_crc32c", str(path)).value
        self._handle = os.open(file, os.O_RDONLY)
        self._size = os.fstat(self._handle).st_size
        self.skipped: Counter[str] = Counter()
        try:
            self._records = self._index(file)
            self.names = [f"{i:08}" for i in range(len(self._records))]
            self.labels = self._labels(file)
        except BaseException:
            self.close()
            raise

    def _index(self, file: Path) -> list[tuple[int, int]]:
        records, at = [], 0
        while at < self._size:
            head = os.pread(self._handle, 12, at)
            length = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else MOST_BYTES + 1
            if length > MOST_BYTES or struct.unpack("<I", head[8:])[0] != _masked(self._crc(head[:8])):
                raise SourceError(f"{file}: got no record at byte {at}, expected a whole file of TFRecords")
            records.append((at + 12, length))
            at += length + 16
        return records

    def read(self, name: str) -> np.ndarray:
        offset, length = self._records[int(name)]
        data = os.pread(self._handle, length + 4, offset)
        if len(data) < length + 4 or struct.unpack("<I", data[length:])[0] != _masked(self._crc(data[:length])):
            raise SourceError(f"{self.path}: got record {name} damaged, expected its checksum", reason="damaged record")
        try:
            features = parse_example(data[:length])
            shape = tuple(features["shape"])
            pixels = np.frombuffer(features["data"][0], np.uint8).reshape(shape)
            if len(shape) != 3 or shape[0] not in (1, 3):
                raise ValueError(shape)
        except (KeyError, IndexError, ValueError, TypeError):
            raise SourceError(f"{self.path}: got record {name} of another kind, expected shape and data") from None
        return np.ascontiguousarray(pixels.transpose(1, 2, 0))

    def stamp(self, name: str) -> str:
        return f"{self._records[int(name)]} {os.fstat(self._handle).st_mtime_ns}"

    def close(self) -> None:
        os.close(self._handle)

    def _labels(self, file: Path) -> SourceLabels | None:
        path = file.with_name(f"{_parts(file)[0]}-rxx.labels")
        if not path.is_file():
            return None
        if path.stat().st_size > MOST_BYTES:
            raise SourceError(f"{path}: got a file {TOO_LARGE}, expected labels")
        try:
            table = np.load(path, allow_pickle=False, mmap_mode="r")
            if table.ndim != 2 or table.dtype.kind not in "fiub" or len(table) < len(self.names):
                raise ValueError(table.shape)
        except Exception:  # numpy's parser of headers raises many kinds
            raise SourceError(f"{path}: got no labels, expected {len(self.names)} rows as numpy saves them") from None
        names, _ = read_label_names(file.parent)
        return SourceLabels({name: row.tolist() for name, row in zip(self.names, table, strict=False)}, names)


def write(dataset: Dataset, output: Path, options: WriteOptions) -> None:
    """Write every level from options.resolution down to 4x4, in the order of the rows, and the labels."""
    crc = needs("google_crc32c", "--to tfrecords").value
    if options.resolution < 4:
        raise SourceError(f"--resolution: got {options.resolution}, expected 4 or more for TFRecords")
    output.mkdir()
    for resolution in (r for r in dataset.resolutions if 4 <= r <= options.resolution):
        rows = ExportRows(dataset, WriteOptions(resolution))
        path = output / f"{output.name.removesuffix(PARTIAL)}-r{resolution.bit_length() - 1:02}.tfrecords"
        with path.open("wb") as file:
            for row in rows:
                pixels = np.ascontiguousarray(row.pixels.transpose(2, 0, 1))
                data = example({"shape": list(pixels.shape), "data": [pixels.tobytes()]})
                length = struct.pack("<Q", len(data))
                file.write(length + struct.pack("<I", _masked(crc(length))) + data)
                file.write(struct.pack("<I", _masked(crc(data))))
    if dataset.labels is not None:
        with (output / f"{output.name.removesuffix(PARTIAL)}-rxx.labels").open("wb") as file:
            np.save(file, dataset.labels)
        write_label_names(output, rows)


def _parts(file: Path) -> tuple[str, str]:
    """The dataset's name and the level's number in the name of a file of its TFRecords."""
    found = _FILE.fullmatch(file.name)
    return (found[1], found[2]) if found else (file.stem, "0")


def _levels(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    found = [file for file in path.iterdir() if _FILE.fullmatch(file.name) and file.is_file()]
    if len({_parts(file)[0] for file in found}) > 1:
        raise SourceError(f"{path}: got the TFRecords of several datasets, expected one; name the file")
    return found


def _masked(crc: int) -> int:
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


# tf.train.Example, as far as it goes here: features { feature { key value { int64_list | bytes_list { value } } } }


def example(features: dict[str, list]) -> bytes:
    """Return a serialised tf.train.Example of lists of integers or of bytes."""
    entries = b""
    for key, values in features.items():
        if values and isinstance(values[0], bytes):
            value = _field(1, b"".join(_field(1, item) for item in values))
        else:
            value = _field(3, _field(1, b"".join(_varint(item) for item in values)))
        entries += _field(1, _field(1, key.encode()) + _field(2, value))
    return _field(1, entries)


def parse_example(data: bytes) -> dict[str, list[Any]]:
    """Return the lists of a serialised tf.train.Example; ValueError for anything else."""
    features: dict[str, list[Any]] = {}
    for number, entries in _fields(data):
        for _, entry in _fields(entries) if number == 1 else ():
            parts = dict(_fields(entry))
            values: list[Any] = []
            for kind, listed in _fields(parts[2]):
                for _, item in _fields(listed):
                    if kind == 3:
                        values += [item] if isinstance(item, int) else _varints(item)
                    else:
                        values.append(item)
            features[bytes(parts[1]).decode()] = values
    return features


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("varint")
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return value, at


def _varints(data: bytes) -> list[int]:
    values, at = [], 0
    while at < len(data):
        value, at = _read_varint(data, at)
        values.append(value)
    return values


def _fields(data: Any) -> list[tuple[int, Any]]:
    fields, at = [], 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        if tag & 7 == 0:
            value, at = _read_varint(data, at)
            fields.append((tag >> 3, value))
        elif tag & 7 == 2:
            length, at = _read_varint(data, at)
            if at + length > len(data):
                raise ValueError("length")
            fields.append((tag >> 3, data[at : at + length]))
            at += length
        else:
            raise ValueError("kind of field")
    return fields
