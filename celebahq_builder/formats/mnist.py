"""MNIST and its kin in idx files: 28x28 digits, which become 32x32 by two black pixels on each side, as released."""

import gzip
import math
import re
import struct
import zlib
from collections import Counter
from pathlib import Path

import numpy as np

from celebahq_builder.sources.images import SourceError, SourceLabels

_FILE = re.compile(r"(.*?)[-.]images[-.]idx3[-.]ubyte(\.gz)?", re.ASCII)
_MOST_BYTES = 1 << 30


def recognises(path: Path) -> bool:
    if path.is_dir():
        return any(_FILE.fullmatch(file.name) for file in path.iterdir())
    return bool(_FILE.fullmatch(path.name))


class Source:
    """A file of images, or the folder that holds it; of a folder with several, "train" and not "t10k"."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.skipped: Counter[str] = Counter()
        files = [path] if path.is_file() else sorted(f for f in path.iterdir() if _FILE.fullmatch(f.name))
        chosen = next((file for file in files if "train" in file.name), files[0])
        self.skipped.update(file.name for file in files if file != chosen)
        self._images = read_idx(chosen, 3)
        pad = [(32 - side) // 2 if side == 28 else 0 for side in self._images.shape[1:]]
        self._pad = [(size, size) for size in pad]
        found = _FILE.fullmatch(chosen.name)
        prefix = found[1] if found else chosen.name
        self.names = [f"{prefix}/{i:05}" for i in range(len(self._images))]
        self.labels = self._labels(chosen)
        self._stamp = str(chosen.stat().st_mtime_ns)

    def read(self, name: str) -> np.ndarray:
        return np.pad(self._images[int(name.rpartition("/")[2])], self._pad)[..., None]

    def stamp(self, name: str) -> str:
        return self._stamp

    def close(self) -> None:
        pass

    def _labels(self, images: Path) -> SourceLabels | None:
        path = images.with_name(images.name.replace("images", "labels").replace("idx3", "idx1"))
        if not path.is_file():
            return None
        digits = read_idx(path, 1)
        if len(digits) != len(self.names):
            raise SourceError(f"{path}: got {len(digits)} labels, expected {len(self.names)}, one an image")
        return SourceLabels(dict(zip(self.names, digits.tolist(), strict=True)))


def read_idx(path: Path, ndim: int) -> np.ndarray:
    """Return the uint8 array of an idx file, packed with gzip or not; SourceError for anything else."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(4 + 4 * ndim)
            if head[:4] != bytes([0, 0, 8, ndim]) or len(head) < 4 + 4 * ndim:
                raise ValueError("head")
            shape = struct.unpack(f">{ndim}I", head[4:])
            if math.prod(shape) > _MOST_BYTES:
                raise ValueError("size")
            data = file.read(math.prod(shape) + 1)
        return np.frombuffer(data, np.uint8).reshape(shape)
    except (ValueError, EOFError, OSError, zlib.error):
        raise SourceError(f"{path}: got no whole idx file of {ndim} dimensions, expected MNIST's kind") from None
