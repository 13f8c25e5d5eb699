"""metadata.jsonl beside extracted images: a JSON object an image, as Hugging Face's imagefolder reads it."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from celebahq_builder.hdf5 import Dataset

METADATA = "metadata.jsonl"
_COLUMNS = ("source", "face_index", "score", "marks", "landmarks", "quad")


def metadata_lines(dataset: Dataset, images: Sequence[tuple[int, str]]) -> bytes:
    """Return the lines: file_name, row, and what the file knows of source, face_index, score, marks, landmarks, quad.

    Landmarks and quad are in pixels of the photo that the face was cut from. Beside them, `label` is the name of the
    class where each row has one; else `labels` is all of them by name, or their list.

    Args:
        images: (row, name of the file) of each.
    """
    faces = {name: column for name, column in dataset.faces.items() if name in _COLUMNS}
    labels = dataset.labels
    one_hot = labels is not None and labels.shape[1] > 1
    if labels is not None and one_hot:
        one_hot = bool((labels.sum(1) == 1).all() and (labels.max(1) == 1).all())
    lines = []
    for row, name in images:
        facts: dict[str, Any] = {"file_name": name, "row": row}
        facts |= {column: _plain(faces[column][row]) for column in _COLUMNS if column in faces}
        lines.append(json.dumps(facts | _label(dataset, row, one_hot)) + "\n")
    return "".join(lines).encode("ascii")


def _label(dataset: Dataset, row: int, one_hot: bool) -> dict[str, Any]:
    if dataset.labels is None:
        return {}
    values = dataset.labels[row]
    names = dataset.label_names
    if one_hot:
        place = int(values.argmax())
        return {"label": names[place] if names else place}
    numbers = [_plain(value) for value in values]
    return {"labels": dict(zip(names, numbers, strict=True)) if names else numbers}


def _plain(value: Any) -> Any:
    """Numbers that are none become null: JSON has no NaN."""
    if isinstance(value, np.ndarray):
        return [_plain(part) for part in value]
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not np.isfinite(value) else value
