"""Labels of a dataset, (N, L) float32, and `<name>-labels.npy`, where the readers of 2017 look for them."""

import io
from pathlib import Path

import numpy as np


def labels_path(dataset: Path) -> Path:
    return dataset.with_name(dataset.stem + "-labels.npy")


def as_labels(labels: np.ndarray, num_faces: int, name: str) -> np.ndarray:
    """Return labels as (num_faces, L) float32; ValueError, beginning with name, for any other shape or kind."""
    labels = np.asarray(labels)
    if labels.ndim != 2 or len(labels) != num_faces or labels.dtype.kind not in "fiub":
        raise ValueError(f"{name}: {labels.shape} {labels.dtype}, ({num_faces}, L) numbers are wanted")
    return labels.astype(np.float32)


def npy_bytes(labels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, labels)
    return stream.getvalue()


def read_sidecar(dataset: Path, num_faces: int) -> np.ndarray | None:
    """Return the labels beside the dataset, or None where there are none; ValueError when they do not fit it."""
    sidecar = labels_path(dataset)
    if not sidecar.exists():
        return None
    try:
        labels = np.load(sidecar, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        raise ValueError(f"{sidecar}: not an .npy file of numbers") from None
    return as_labels(labels, num_faces, str(sidecar))
