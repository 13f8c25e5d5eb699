"""Which faces of a dataset are of one person: CelebA's numbers where a file has them, else dlib's face descriptor."""

from collections import Counter
from collections.abc import Sequence
from functools import cache

import numpy as np

from celebahq.progress import progress
from celebahq_builder.dlib_faces import _model, _predictor
from celebahq_builder.hdf5 import Dataset

_SIDE = 420  # of the aligned face as the predictor sees it, whose box is then as large as those it was trained on
_BOX = (0.195, 0.295, 0.805, 0.905)
"""(left, top, right, bottom) of the box that dlib's detector finds around an aligned face of side 1."""


def identities(dataset: Dataset, rows: Sequence[int], same_below: float) -> list[int]:
    """Return the number of the person in each of these rows.

    Args:
        same_below: distance of two descriptors below which they are of one person.
    """
    faces = dataset.faces
    if "identity" in faces:
        return [int(faces["identity"][row]) for row in rows]
    found = np.empty((len(rows), 128), np.float32)
    resolution = next((r for r in reversed(dataset.resolutions) if r >= 256), dataset.resolution)
    with progress("faces described", len(rows)) as bar:
        for i, row in enumerate(rows):
            found[i] = descriptor(dataset.read(resolution, [row])[0])
            bar.advance()
    return leaders(found, same_below)


def descriptor(face: np.ndarray) -> np.ndarray:
    """Return dlib's descriptor of an aligned face: (128,) float32.

    Args:
        face: (C, R, R) uint8, RGB or gray.
    """
    import dlib
    from PIL import Image

    pixels = face.transpose(1, 2, 0) if len(face) == 3 else np.repeat(face[0][..., None], 3, axis=2)
    large = np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR))
    box = dlib.rectangle(*(round(edge * _SIDE) for edge in _BOX))
    points = _predictor()(large, box)
    return np.array(_network().compute_face_descriptor(large, points), np.float32)


def leaders(descriptors: np.ndarray, same_below: float) -> list[int]:
    """Number the persons: a face is of the nearest person whose first face is near enough, else it is a new one.

    Args:
        descriptors: (N, D) float.
    """
    firsts = np.empty_like(descriptors)
    numbers: list[int] = []
    count = 0
    for point in descriptors:
        distances = np.linalg.norm(firsts[:count] - point, axis=1)
        nearest = int(distances.argmin()) if count else -1
        if count and distances[nearest] < same_below:
            numbers.append(nearest)
            continue
        firsts[count] = point
        numbers.append(count)
        count += 1
    return numbers


def of_each(persons: Sequence[int], rows: Sequence[int], count: int) -> list[int]:
    """Return the rows of which at most `count` are of one person, the first ones."""
    seen: Counter[int] = Counter()
    kept = []
    for person, row in zip(persons, rows, strict=True):
        seen[person] += 1
        if seen[person] <= count:
            kept.append(row)
    return kept


@cache
def _network():
    import dlib

    return dlib.face_recognition_model_v1(str(_model("dlib_face_recognition_resnet_model_v1.dat")))
