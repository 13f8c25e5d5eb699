"""What the rows of a finished build come to in numbers, counted while they pass by in slices."""

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from celebahq_builder.hdf5_format.rows import Rows
from celebahq_builder.state.name_lists import EXCLUDED


@dataclass(frozen=True, eq=False)
class RowCounts:
    """Of all rows, by name.

    photos, used: how many photos there are, and how many of them have a face that is kept.
    refused: reason -> places of the photos and faces that were refused for it, in the order of the rows, the most
        frequent reason first; faults are among them.
    marks: how many kept faces have each mark, the most frequent first.
    leaves: (kept,) bool, whether the box of a kept face leaves its photo.
    """

    photos: int
    used: int
    refused: dict[str, array]
    marks: dict[str, int]
    leaves: np.ndarray


def count_rows(slices: Iterable[Rows], num_kept: int) -> RowCounts:
    """Count rows that are given by name and face_index."""
    photos = used = first = 0
    refused: dict[str, array] = {}
    marks: Counter[str] = Counter()
    leaves = np.zeros(num_kept, bool)
    photo = of_kept = None
    for some in slices:
        status, sources, places = some["status"], some["source"], some["row"]
        for source in sources.tolist():
            photos += source != photo
            photo = source
        is_kept = status == "kept"
        for source in sources[is_kept].tolist():
            used += source != of_kept
            of_kept = source
        marks.update(mark for words in some["marks"][is_kept].tolist() for mark in words.split())
        quads, sizes = some["quad"][is_kept], np.stack([some["width"], some["height"]], 1)[is_kept]
        leaves[places[is_kept]] = ((quads < 0) | (quads > sizes[:, None])).any((1, 2))
        reasons = some["reason"]
        for i in np.flatnonzero(((status == "refused") | (status == "failed")) & (reasons != EXCLUDED)).tolist():
            refused.setdefault(reasons[i], array("q")).append(first + i)
        first += len(some)
    return RowCounts(
        photos,
        used,
        dict(sorted(refused.items(), key=lambda item: (-len(item[1]), item[0]))),
        dict(sorted(marks.items(), key=lambda item: (-item[1], item[0]))),
        leaves,
    )
