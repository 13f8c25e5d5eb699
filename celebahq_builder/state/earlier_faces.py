"""The faces of the finished file that a build extends: what need not be rendered again."""

import copy
import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from celebahq_builder.config import BuildError
from celebahq_builder.hdf5 import DatasetError, open_dataset
from celebahq_builder.state.manifest import Row


class EarlierFaces:
    """Reads faces of a file by their rows; a row of which anything differs is another face.

    Args:
        path: of the file, which must not change meanwhile.
        kept: rows of its faces, as kept_rows gives them, and the row in data{R}x{R} of each.
    """

    def __init__(self, path: Path, kept: Iterable[tuple[Row, int]]) -> None:
        self._dataset = open_dataset(path.absolute())  # a node reads it, whose current folder is another one
        self._faces = {row.key: (_identity(row), place) for row, place in kept}

    def has(self, row: Row) -> bool:
        identity, _ = self._faces.get(row.key, (b"", -1))
        return bool(identity) and identity == _identity(row)

    def read(self, row: Row) -> np.ndarray:
        """Return the (R, R, 3) uint8 face of a row that `has` knows; BuildError where its bytes are damaged."""
        _, place = self._faces[row.key]
        try:
            (face,) = self._dataset.read(self._dataset.resolution, [place])
        except DatasetError as error:
            raise BuildError(f"{error}; move it away, and the same command makes all faces anew") from None
        return np.ascontiguousarray(face.transpose(1, 2, 0))

    def only(self, rows: Iterable[Row]) -> "EarlierFaces":
        """Return what reads these alone, small enough to be sent to another process."""
        some = copy.copy(self)
        some._faces = {row.key: self._faces[row.key] for row in rows if self.has(row)}
        return some

    def close(self) -> None:
        self._dataset.close()


def _identity(row: Row) -> bytes:
    """Return what tells this face from another of its name, as a digest: there may be millions."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(
        "\0".join((row.source_sha256, row.pixel_sha256, row.perceptual_hash)).encode("utf-8", "surrogatepass")
    )
    for value in (row.landmarks, row.quad, row.score):
        digest.update(b"\0" if value is None else b"\0" + (np.array(value, np.float64) + 0.0).tobytes())
    return digest.digest()
