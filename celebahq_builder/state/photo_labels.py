"""--labels of a build: the label of every photo, which all its faces get."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from celebahq_builder.commands.import_labels import read_labels
from celebahq_builder.config import BuildError
from celebahq_builder.sources.images import SourceError


@dataclass(frozen=True, eq=False)
class PhotoLabels:
    """table: (P, L) float32, a row a photo; names: of the L columns; rows: photo -> its row."""

    table: np.ndarray
    names: tuple[str, ...] | None
    rows: dict[str, int]

    def of(self, photos: Sequence[str]) -> np.ndarray:
        """Return the labels of photos: (n, L) float32."""
        return self.table[[self.rows[photo] for photo in photos]]


def read_photo_labels(labels: str | None, names: Sequence[str]) -> PhotoLabels | None:
    """Return the labels of all photos, whether or not a face of theirs is kept: so the classes are the same.

    Raises:
        BuildError: a photo without a label, or a table that is none.
    """
    if labels is None:
        return None
    try:
        found = read_labels(labels, names) if labels not in ("none", "auto") else None
    except SourceError as error:
        raise BuildError(str(error) if str(error).startswith("--labels") else f"--labels: {error}") from None
    if found is None:
        raise BuildError(f"--labels: got {labels}, expected a table or folders")
    return PhotoLabels(found.table, found.names, {name: row for row, name in enumerate(names)})


def labels_digest(labels: PhotoLabels | None) -> dict[str, str]:
    """Return what the file records of the labels: their hash."""
    if labels is None:
        return {}
    digest = hashlib.sha256(repr((labels.names, labels.table.shape)).encode("utf-8", "surrogateescape"))
    digest.update(np.ascontiguousarray(labels.table).tobytes())
    return {"labels_sha256": digest.hexdigest()}
