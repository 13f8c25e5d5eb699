"""Labels of a dataset, (N, L) float32, and `<name>-labels.npy`, where the readers of 2017 look for them."""

import io
import os
from pathlib import Path

import numpy as np

from celebahq.files import write_atomic


def labels_path(dataset: Path) -> Path:
    return dataset.with_name(dataset.stem + "-labels.npy")


def as_labels(labels: np.ndarray, num_faces: int, name: str) -> np.ndarray:
    """Return labels as (num_faces, L) float32; ValueError, beginning with name, for another shape or kind, or NaN."""
    labels = np.asarray(labels)
    if labels.ndim != 2 or len(labels) != num_faces or labels.dtype.kind not in "fiub":
        raise ValueError(f"{name}: got {labels.shape} {labels.dtype}, expected ({num_faces}, L) numbers")
    with np.errstate(over="ignore"):
        labels = labels.astype(np.float32)
    if not np.isfinite(labels).all():
        row = int(np.argwhere(~np.isfinite(labels))[0][0])
        raise ValueError(f"{name}: got no finite number in row {row}, expected numbers")
    return labels


def npy_bytes(labels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, labels)
    return stream.getvalue()


def write_sidecar(dataset: Path, labels: np.ndarray | None) -> None:
    """Write what lies beside a dataset, or remove it where there are no labels."""
    if labels is None:
        labels_path(dataset).unlink(missing_ok=True)
        return
    with write_atomic(labels_path(dataset), durable=True) as file:
        file.write(npy_bytes(labels))


def read_sidecar(dataset: Path, num_faces: int) -> np.ndarray | None:
    """Return the labels beside the dataset, or None where there are none; ValueError when they do not fit it."""
    sidecar = labels_path(dataset)
    if not os.path.lexists(sidecar):
        return None
    try:
        if not sidecar.is_file():
            raise ValueError("no file")
        # Mapped first: a header may claim any size, and np.load would allocate it.
        labels = np.load(sidecar, allow_pickle=False, mmap_mode="r")
    except Exception:  # numpy's parser of headers raises many kinds
        raise ValueError(f"{sidecar}: got no .npy file of numbers, expected the labels of {dataset.name}") from None
    return as_labels(labels, num_faces, str(sidecar))
