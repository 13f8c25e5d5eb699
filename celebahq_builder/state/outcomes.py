"""What became of each row of a table, by its place: 9 bytes a row instead of a text for each."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from celebahq_builder.hdf5_format.rows import Rows, row_id
from celebahq_builder.state.best_faces import Choice
from celebahq_builder.state.manifest_row import Row
from celebahq_builder.state.name_lists import EXCLUDED
from celebahq_builder.state.row_table import RowPairs, RowTable, RowView, keys_of

BEATEN, DUPLICATE = "not among the best", "duplicate"
_OTHER, _IS_KEPT, _IS_BEATEN, _IS_DUPLICATE = range(4)
_WORDS = {
    _IS_KEPT: {"status": "kept"},
    _IS_BEATEN: {"status": "beaten", "reason": BEATEN},
    _IS_DUPLICATE: {"status": "duplicate", "reason": DUPLICATE},
}


class Outcomes:
    """What became of the rows of a table.

    Args:
        choice: among them.
    """

    def __init__(self, table: RowTable, choice: Choice) -> None:
        self._table = table
        self._codes = np.zeros(len(table), np.uint8)
        self._numbers = np.full(len(table), -1, np.int64)  # the row of a kept face; the place that a duplicate equals
        self._reasons: dict[int, str] = {}
        self._by_key: dict[tuple[str, int], int] | None = None
        kept = self._places(choice.kept)
        self._codes[kept], self._numbers[kept] = _IS_KEPT, np.arange(len(kept))
        self._codes[self._places(choice.below_cutoff)] = _IS_BEATEN
        pairs = choice.duplicates
        if isinstance(pairs, RowPairs):
            places, equal = self._places(pairs.ones), self._places(pairs.others)
        else:
            places, equal = (self._places([pair[i] for pair in pairs]) for i in range(2))
        self._codes[places], self._numbers[places] = _IS_DUPLICATE, equal
        self._reasons.update(dict.fromkeys(self._places(choice.excluded).tolist(), EXCLUDED))
        for row, place in zip(choice.marked, self._places(choice.marked).tolist(), strict=True):
            self._reasons[place] = row.reason

    def write_into(self, rows: Rows, places: np.ndarray) -> None:
        """Write what became of some rows into their columns of the finished file."""
        codes, numbers = self._codes[places], self._numbers[places]
        for code, words in _WORDS.items():
            for name, word in words.items():
                rows[name][codes == code] = word
        is_kept, is_duplicate = codes == _IS_KEPT, codes == _IS_DUPLICATE
        rows["row"][is_kept] = numbers[is_kept]
        rows["duplicate_of"][is_duplicate] = [
            row_id(*self._table.key(place)) for place in numbers[is_duplicate].tolist()
        ]
        for i in np.flatnonzero(codes == _OTHER).tolist() if self._reasons else ():
            if reason := self._reasons.get(int(places[i])):
                rows["reason"][i] = reason

    def of_manifest(self, place: int) -> str:
        """Return what a manifest that is kept says of a row."""
        code, number = self._codes[place], int(self._numbers[place])
        if code == _IS_KEPT:
            return f"row {number}"
        if code == _IS_DUPLICATE:
            return f"duplicate of {self._table.key(number)[0]}"
        return BEATEN if code == _IS_BEATEN else self._reasons.get(place, "")

    def _places(self, rows: Iterable[Row]) -> np.ndarray:
        if isinstance(rows, RowView) and rows.table is self._table:
            return rows.places
        keys = list(keys_of(rows))
        if keys and self._by_key is None:
            self._by_key = {self._table.key(place): place for place in range(len(self._table))}
        return np.array([self._by_key[key] for key in keys if self._by_key], np.int64)


def with_outcomes(table: RowTable, choice: Choice) -> Iterator[Row]:
    """Yield the rows with what became of each aligned face written into them."""
    outcomes = Outcomes(table, choice)
    return (replace(row, outcome=outcomes.of_manifest(place)) for place, row in enumerate(table))
