"""What became of each row of a table, by its place: 9 bytes a row instead of a text for each."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from celebahq_builder.hdf5_format.rows import Rows, row_id
from celebahq_builder.state.best_faces import Choice, MarkedRows
from celebahq_builder.state.manifest_row import Row
from celebahq_builder.state.name_lists import EXCLUDED
from celebahq_builder.state.row_table import RowPairs, RowTable, RowView, keys_of

BEATEN, DUPLICATE = "not among the best", "duplicate"
_OTHER, _IS_KEPT, _IS_BEATEN, _IS_DUPLICATE, _FIRST_REASON = range(5)
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
        self._reasons: dict[str, int] = {}  # of what is left out, the code of each
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
        self._codes[self._places(choice.excluded)] = self._code_of(EXCLUDED)
        marked = choice.marked
        reasons = marked.reasons() if isinstance(marked, MarkedRows) else (row.reason for row in marked)
        self._codes[self._places(marked)] = [self._code_of(reason) for reason in reasons]

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
        for reason, code in self._reasons.items():
            rows["reason"][codes == code] = reason

    def of_manifest(self, place: int) -> str:
        """Return what a manifest that is kept says of a row."""
        code, number = self._codes[place], int(self._numbers[place])
        if code == _IS_KEPT:
            return f"row {number}"
        if code == _IS_DUPLICATE:
            return f"duplicate of {self._table.key(number)[0]}"
        if code in (_OTHER, _IS_BEATEN):
            return BEATEN if code == _IS_BEATEN else ""
        return list(self._reasons)[code - _FIRST_REASON]

    def _code_of(self, reason: str) -> int:
        return self._reasons.setdefault(reason, _FIRST_REASON + len(self._reasons))

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
