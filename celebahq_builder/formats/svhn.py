"""SVHN's cropped digits, train_32x32.mat: 32x32 in color, the classes 1 to 10, of which 10 is the digit 0."""

import re
import zlib
from collections import Counter
from pathlib import Path

import numpy as np

from celebahq_builder.sources.images import SourceError, SourceLabels

_FILE = re.compile(r"(train|extra|test)_32x32\.mat", re.ASCII)
_MOST_PACKED = 1100
"""Bytes that deflate can make of one."""


def recognises(path: Path) -> bool:
    if path.is_dir():
        return any(_FILE.fullmatch(file.name) for file in path.iterdir())
    return path.suffix == ".mat"


class Source:
    """A .mat, or the folder that holds train_32x32.mat, extra_32x32.mat, test_32x32.mat: the first of these."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.skipped: Counter[str] = Counter()
        file = path
        if path.is_dir():
            file, *others = sorted(
                (file for file in path.iterdir() if _FILE.fullmatch(file.name)),
                key=lambda file: ("train", "extra", "test").index(file.name.split("_")[0]),
            )
            self.skipped.update(other.name for other in others)
        self._images, digits = _read(file)
        self.names = [f"{file.stem}/{i:06}" for i in range(len(digits))]
        values = dict(zip(self.names, digits.tolist(), strict=True))
        self.labels = SourceLabels(values, tuple("0123456789"))
        self._stamp = str(file.stat().st_mtime_ns)

    def read(self, name: str) -> np.ndarray:
        return np.ascontiguousarray(self._images[..., int(name.rpartition("/")[2])])

    def stamp(self, name: str) -> str:
        return self._stamp

    def close(self) -> None:
        pass


def _read(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return images (32, 32, 3, N) uint8 and digits (N,), 0 to 9; SourceError for anything else."""
    from scipy import io

    try:
        declared = {name: (shape, kind) for name, shape, kind in io.whosmat(str(file))}
        (*image, count), kind = declared["X"]
        num_bytes = 32 * 32 * 3 * count
        if image != [32, 32, 3] or kind != "uint8" or num_bytes > _MOST_PACKED * file.stat().st_size:
            raise ValueError("another X")
        if sorted(declared["y"][0]) != [1, count]:
            raise ValueError("another y")
        found = io.loadmat(str(file), variable_names=["X", "y"])
        images, classes = found["X"], found["y"].reshape(-1)
        if images.shape != (32, 32, 3, count) or images.dtype != np.uint8 or not np.isin(classes, range(1, 11)).all():
            raise ValueError("another content")
    except (MemoryError, RecursionError, zlib.error, OSError):
        raise SourceError(f"{file}: got a damaged .mat, expected SVHN's") from None
    except Exception:  # scipy's reader of what is no .mat, or a damaged one, raises many kinds
        wanted = "X (32, 32, 3, N) uint8 and y (N, 1) from 1 to 10, as in SVHN's train_32x32.mat"
        raise SourceError(f"{file}: got another .mat, expected {wanted}") from None
    return images, classes.astype(np.int64) % 10
