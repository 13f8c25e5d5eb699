"""CIFAR-10 and CIFAR-100, python and binary version, unpacked or as the .tar.gz that they are downloaded as."""

import io
import pickle
import re
import tarfile
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from celebahq_builder.sources.images import MOST_BYTES, SourceError, SourceLabels

_BATCH = re.compile(r"data_batch_\d+(\.bin)?|train(\.bin)?", re.ASCII)
_NAMES = ("batches.meta", "batches.meta.txt", "meta", "fine_label_names.txt")
_PIXELS = 3 * 32 * 32
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}
"""What an array in a pickle needs; any other name in it is refused, and nothing else is ever called."""


def recognises(path: Path) -> bool:
    if path.is_dir():
        names = {file.name for file in path.iterdir()}
        return any(map(_BATCH.fullmatch, names)) and bool(names & set(_NAMES))
    return bool(re.fullmatch(r"cifar-?100?.*\.(tar\.gz|tgz|tar)", path.name, re.IGNORECASE))


class Source:
    """The training images of CIFAR-10 (data_batch_1 ... 5) or CIFAR-100 (train, with its 100 fine classes)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.skipped: Counter[str] = Counter()
        files = self._files()
        batches = sorted((name for name in files if _BATCH.fullmatch(name)), key=lambda n: (len(n), n))
        names = next((_class_names(name, files[name]) for name in _NAMES if name in files), None)
        self._images: dict[str, np.ndarray] = {}
        values: dict[str, int] = {}
        for batch in batches:
            pixels, classes = self._batch(batch, files[batch])
            for i, (image, label) in enumerate(zip(pixels, classes, strict=True)):
                name = f"{batch.removesuffix('.bin')}/{i:05}"
                self._images[name], values[name] = image, int(label)
        self.names = list(self._images)
        self.labels = SourceLabels(values, names) if values else None
        self._stamp = str(path.stat().st_mtime_ns)

    def read(self, name: str) -> np.ndarray:
        return np.ascontiguousarray(self._images[name].reshape(3, 32, 32).transpose(1, 2, 0))

    def stamp(self, name: str) -> str:
        return self._stamp

    def close(self) -> None:
        pass

    def _files(self) -> dict[str, bytes]:
        """Return the batches and the file of names, by name."""
        files: dict[str, bytes] = {}
        if self.path.is_dir():
            for file in sorted(self.path.iterdir()):
                if (_BATCH.fullmatch(file.name) or file.name in _NAMES) and file.is_file():
                    if file.stat().st_size > MOST_BYTES:
                        raise SourceError(f"{file}: got {file.stat().st_size} bytes, expected a batch of CIFAR")
                    files[file.name] = file.read_bytes()
            return files
        try:
            with tarfile.open(self.path) as archive:
                for member in archive:
                    name = PurePosixPath(member.name).name
                    if member.isfile() and (_BATCH.fullmatch(name) or name in _NAMES):
                        if member.size > MOST_BYTES:
                            raise SourceError(f"{self.path}/{name}: got {member.size} bytes, expected a batch of CIFAR")
                        if batch := archive.extractfile(member):
                            files[name] = batch.read()
        except (tarfile.TarError, EOFError, OSError) as error:
            raise SourceError(f"{self.path}: got no whole archive ({error}), expected CIFAR's") from None
        return files

    def _batch(self, name: str, data: bytes) -> tuple[np.ndarray, Any]:
        where = f"{self.path}/{name}"
        if name.endswith(".bin"):
            labels = 2 if name == "train.bin" else 1  # coarse and fine of CIFAR-100
            if not data or len(data) % (labels + _PIXELS):
                raise SourceError(f"{where}: got {len(data)} bytes, expected records of {labels + _PIXELS}")
            records = np.frombuffer(data, np.uint8).reshape(-1, labels + _PIXELS)
            return records[:, labels:], records[:, labels - 1]
        content = _load(where, data)
        pixels = content.get("data")
        classes = content.get("fine_labels", content.get("labels"))
        if (
            not isinstance(pixels, np.ndarray)
            or pixels.dtype != np.uint8
            or pixels.shape[1:] != (_PIXELS,)
            or not isinstance(classes, list)
            or len(classes) != len(pixels)
        ):
            raise SourceError(f"{where}: got other fields, expected data (N, {_PIXELS}) uint8 and as many labels")
        if not all(isinstance(label, int) and 0 <= label < 100 for label in classes):
            raise SourceError(f"{where}: got labels that are no classes of CIFAR, expected 0 to 99")
        return pixels, classes


def _class_names(name: str, data: bytes) -> tuple[str, ...]:
    if name.endswith(".txt"):
        return tuple(data.decode("utf-8", "replace").split())
    content = _load(name, data)
    found = content.get("label_names", content.get("fine_label_names"))
    return tuple(str(word) for word in found) if isinstance(found, list) else ()


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return super().find_class(module, name)


def _load(where: str, data: bytes) -> dict[str, Any]:
    """Return the dictionary of a python batch; nothing in the file is executed."""
    try:
        content = _ArraysOnly(io.BytesIO(data), encoding="latin1").load()
    except Exception as error:  # a damaged pickle raises whatever it likes
        raise SourceError(f"{where}: got no batch of CIFAR ({str(error)[:100]}), expected the python version") from None
    if not isinstance(content, dict):
        raise SourceError(f"{where}: got no dictionary, expected a batch of CIFAR")
    return content
