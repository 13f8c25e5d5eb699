"""Which rows a page shows: all of them while a browser can hold them, else the best faces and some of the others."""

import numpy as np

from celebahq_builder.hdf5_format.row_slices import RowSlices
from celebahq_builder.report.page_data import PageRow, in_order, shown

MOST_ROWS = 250_000
"""That are shown whole, as CelebA with its 202,599 photos is; a row takes some 200 bytes of the page."""
SHOWN_ROWS, MOST_FACES = 100_000, 50_000
"""Of more."""


def num_shown_faces(rows: int, kept: int) -> int:
    """Return how many kept faces a page shows of so many rows: the best ones."""
    return kept if rows <= MOST_ROWS else min(kept, MOST_FACES)


def shown_rows(rows: RowSlices, kept: int) -> list[PageRow]:
    """Return the rows of a page in its order; beyond MOST_ROWS, the best faces, and others evenly spread by name."""
    faces, others = num_shown_faces(len(rows), kept), len(rows) - kept
    room = min(others, SHOWN_ROWS - faces) if len(rows) > MOST_ROWS else others
    picked = np.zeros(others, bool)
    picked[np.linspace(0, others - 1, room).round().astype(np.int64)] = True
    found: list[PageRow] = []
    first = 0
    for some in rows.slices():
        picks = (some["row"] >= 0) & (some["row"] < faces)
        beside = np.flatnonzero(some["row"] < 0)
        picks[beside] = picked[first : first + len(beside)]
        first += len(beside)
        found += shown(some)[picks].as_dicts()
    return in_order(found)
