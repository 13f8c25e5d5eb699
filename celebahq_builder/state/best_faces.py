"""Which faces to keep: the best N by score, one of several equal ones."""

import hashlib
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import overload

import numpy as np

from celebahq_builder.detail_map import is_laid_over
from celebahq_builder.hash_index import HashIndex
from celebahq_builder.state.choose_columns import BELOW_CUTOFF, DUPLICATE, LEFT_OUT, Faces, choose_rows
from celebahq_builder.state.manifest import Row
from celebahq_builder.state.name_lists import EXCLUDED, NameLists
from celebahq_builder.state.row_table import RowPairs, RowTable, RowView


def rank(row: Row) -> tuple[float, str, int]:
    """Sort key, best first: score, then name, so that the order never depends on who was ready first.

    A place in a list goes before any score.
    """
    if row.place is not None:
        return row.place, row.source, row.face_index
    assert row.score is not None, "only aligned faces are ranked"
    return -row.score, row.source, row.face_index


def _same_face(row: Row) -> bytes:
    """Equal for faces with the same pixels. The box counts: a list may name two people of one photo, in two files."""
    digest = hashlib.blake2b(f"{row.face_index} {row.pixel_sha256}".encode("utf-8", "surrogatepass"), digest_size=16)
    if row.quad is not None:
        digest.update(b" " + (np.array(row.quad, np.float64) + 0.0).tobytes())
    return digest.digest()


def is_cleaner(row: Row, other: Row) -> bool:
    """Say whether a face goes before a near duplicate of a higher score, which has something laid over it.

    It has to have half of its pixels a side: a thumbnail is no better copy.
    """
    large = row.scale is None or other.scale is None or row.scale >= other.scale / 2
    return large and is_laid_over(other.detail_map, row.detail_map)


class BestFaces:
    """The best N of the faces offered so far, in any order of offering.

    For dedupe "exact" and "off" the outcome does not depend on that order. For "near", likeness is not transitive, and
    only offering best first (choose) gives the final answer; until then this is what is worth holding on disk.

    There may be millions. Of each it holds, and gives back, a row without landmarks, box, texts and the hashes of its
    photo: a kilobyte in all.
    """

    def __init__(self, keep: int, dedupe: str) -> None:
        self._keep = keep
        self._dedupe = dedupe
        self._always: set[tuple[str, int]] = set()
        self._order: list[tuple[float, str, int]] = []
        self._rows: dict[tuple[str, int], Row] = {}
        self._of_pixels: dict[bytes, Row] = {}
        self._pixels: dict[tuple[str, int], bytes] = {}
        self._hashes = HashIndex()
        self._hashes_of_always = HashIndex()  # apart: they may be many of a kind, and are not compared with each other

    def offer(self, row: Row, always: bool = False) -> tuple[bool, list[Row], Row | None]:
        """Take a face in, if it belongs.

        Args:
            always: it belongs whatever it is like, a duplicate of others or more than N; N counts it, too.

        Returns:
            whether it is now among the best; the faces that it evicted; the duplicate that kept it out: it has a higher
            score, or is cleaner.
        """
        same = b"" if self._dedupe == "off" else _same_face(row)
        duplicates = self._duplicates_of(row, same, always)
        if always:
            self._always.add(row.key)
        elif higher := [other for other in duplicates if other.key in self._always or self._goes_before(other, row)]:
            return False, [], min(higher, key=rank)
        elif not duplicates and len(self) >= self._keep and (not self._order or rank(row) > self._order[-1]):
            return False, [], None
        for other in duplicates:
            self._remove(other)
        evicted = duplicates
        if len(self) >= self._keep and self._order:
            worst = self._rows[self._order[-1][1:]]
            self._remove(worst)
            evicted = [*duplicates, worst]
        self._add(self._slim(row), same)
        return True, evicted, None

    def cutoff(self) -> float | None:
        """Return the score below which no face is taken in just now; None where places are free, or a list orders."""
        if len(self) < self._keep or not self._order:
            return None
        worst = self._rows[self._order[-1][1:]]
        return worst.score if worst.place is None else None

    def rows(self) -> list[Row]:
        """Return the faces held now, best first."""
        return sorted(self._rows.values(), key=rank)

    def __contains__(self, row: Row) -> bool:
        return row.key in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def _slim(self, row: Row) -> Row:
        """Return what is ranked by, deduplicated by, and needed to find its face on the disk."""
        near = self._dedupe == "near"
        return Row(
            source=row.source,
            source_bytes=0,
            source_mtime_ns=0,
            face_index=row.face_index,
            status="aligned",
            score=row.score,
            place=row.place,
            scale=row.scale if near else None,
            perceptual_hash=row.perceptual_hash if near else "",
            detail_map=row.detail_map if near else "",
            face_sha256=row.face_sha256,
        )

    def _duplicates_of(self, row: Row, same: bytes, always: bool) -> list[Row]:
        """The faces that equal this one, or are near; for one that belongs always, only those that do not."""
        if self._dedupe == "off":
            return []
        found = {}
        if equal := self._of_pixels.get(same):
            found[equal.key] = equal
        if self._dedupe == "near":
            indices = [self._hashes] if always else [self._hashes, self._hashes_of_always]
            found |= {key: self._rows[key] for index in indices for key in index.near(row.perceptual_hash)}
        return [other for other in found.values() if not always or other.key not in self._always]

    def _goes_before(self, other: Row, row: Row) -> bool:
        """Of two duplicates, whether the other one is kept."""
        if rank(other) < rank(row):
            return self._dedupe != "near" or not is_cleaner(row, other)
        return self._dedupe == "near" and is_cleaner(other, row)

    def _add(self, row: Row, same: bytes) -> None:
        if row.key not in self._always:
            insort(self._order, rank(row))
        key = row.key
        self._rows[key] = row
        if same:
            self._of_pixels[same], self._pixels[key] = row, same
        if self._dedupe == "near":
            index = self._hashes_of_always if row.key in self._always else self._hashes
            index.add(row.key, row.perceptual_hash)

    def _remove(self, row: Row) -> None:
        del self._order[bisect_left(self._order, rank(row))]
        del self._rows[row.key]
        same = self._pixels.pop(row.key, b"")
        if self._of_pixels.get(same) is row:
            del self._of_pixels[same]
        if self._dedupe == "near":
            self._hashes.remove(row.key)


class MarkedRows(RowView):
    """Aligned rows of a table as refused ones, each for the mark that `reasons[codes[i]]` names."""

    def __init__(self, table: RowTable, places: np.ndarray, codes: np.ndarray, reasons: Sequence[str]) -> None:
        super().__init__(table, places)
        self._codes, self._reasons = codes, reasons

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> "MarkedRows": ...
    def __getitem__(self, index: int | slice) -> "Row | MarkedRows":
        if isinstance(index, slice):
            return MarkedRows(self.table, self.places[index], self._codes[index], self._reasons)
        return refused_for_marks(super().__getitem__(index), self._reasons[self._codes[index]])

    def __iter__(self) -> Iterator[Row]:
        return map(refused_for_marks, super().__iter__(), self.reasons())

    def reasons(self) -> Iterator[str]:
        """Yield the reason of each row, without reading the rows."""
        return (self._reasons[code] for code in self._codes.tolist())


def refused_for_marks(row: Row, reason: str) -> Row:
    """Return an aligned row as one that is refused for a mark."""
    return replace(row, status="refused", reason=reason, detail=f"its marks: {row.marks}")


@dataclass(frozen=True)
class Choice:
    """What becomes of every aligned face. Depends on the rows alone, not on the order in which they came."""

    kept: Sequence[Row] = field(default_factory=list)
    """Best first: row i of the dataset."""
    duplicates: Sequence[tuple[Row, Row]] = field(default_factory=list)
    """(face, its duplicate that is kept: the one with a higher score, or a cleaner one)"""
    below_cutoff: Sequence[Row] = field(default_factory=list)
    """Not among the best N, best first."""
    excluded: Sequence[Row] = field(default_factory=list)
    """Named by --exclude, best first."""
    marked: Sequence[Row] = field(default_factory=list)
    """Refused for a mark that --refuse names, best first: with that as their reason."""


def choose(rows: Iterable[Row], keep: int, dedupe: str, lists: NameLists | None = None) -> Choice:
    """Choose the best N of all aligned faces, going from the best to the worst.

    Args:
        lists: which faces are left out, and which come first whatever their score: all of these are kept, also where
            they are more than N, or equal each other.
    """
    lists = lists or NameLists()
    table = rows if isinstance(rows, RowTable) else RowTable(rows)
    places = table.aligned
    faces = Faces(
        table.keys_of(places),
        lambda some, groups: table.by_name(places[some], groups),
        table.same_of(places),
        lambda some: table[int(places[some])].perceptual_hash,
        lambda some, other: is_cleaner(table[int(places[some])], table[int(places[other])]),
    )
    codes: dict[str, int] = {"": 0}
    why, included = np.zeros(len(places), np.uint8), np.zeros(len(places), bool)
    if lists:
        for i, row in enumerate(RowView(table, places)):
            included[i] = lists.include.has(row)
            reason = lists.left_out(row)
            why[i] = codes.setdefault(reason, len(codes))
    left_out = why != 0
    chosen = choose_rows(faces, keep, dedupe, included & ~left_out, left_out if left_out.any() else None)
    ranked = chosen.outcome[chosen.order]
    duplicates, below = (chosen.order[ranked == outcome] for outcome in (DUPLICATE, BELOW_CUTOFF))
    pairs = RowPairs(RowView(table, places[duplicates]), RowView(table, places[chosen.of[duplicates]]))
    others = chosen.order[ranked == LEFT_OUT]
    is_excluded = why[others] == codes.get(EXCLUDED, 0)
    excluded, marked = others[is_excluded], others[~is_excluded]
    return Choice(
        RowView(table, places[chosen.kept]),
        pairs,
        RowView(table, places[below]),
        RowView(table, places[excluded]),
        MarkedRows(table, places[marked], why[marked], list(codes)),
    )
