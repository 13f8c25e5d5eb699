"""The best N of any number of faces, on columns: which are kept, equal to a better one, beaten or left out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from celebahq_builder.hash_index import HashIndex

KEPT, DUPLICATE, BELOW_CUTOFF, LEFT_OUT = range(4)
_NAMES_AT_ONCE = 1 << 20


@dataclass(frozen=True, eq=False)
class Faces:
    """What a choice among N faces needs to know, column by column: 50 bytes a face, and its name.

    key: (N,) float64, the best first: the place in a list, or -score.
    by_name: of some rows and the group of each, never falling, says which come one after the other: by name and
        face_index within their group; asked only for faces of equal keys.
    same: (N,) integers or (N, 2) uint64, equal for faces with the same pixels.
    hashes: gives the perceptual hash of a row; for near duplicates.
    cleaner: says whether a row goes before another one, a near duplicate of a higher score.
    """

    key: np.ndarray
    by_name: Callable[[np.ndarray, np.ndarray], np.ndarray]
    same: np.ndarray
    hashes: Callable[[int], str] = lambda row: ""
    cleaner: Callable[[int, int], bool] = lambda row, other: False


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What becomes of N faces.

    kept: rows, best first. outcome: (N,) uint8, one of KEPT, DUPLICATE, BELOW_CUTOFF, LEFT_OUT. of: (N,) int64, the
    kept row that a duplicate equals, -1 for others. order: all N rows, the best first.
    """

    kept: np.ndarray
    outcome: np.ndarray
    of: np.ndarray
    order: np.ndarray


def rank_order(key: np.ndarray, by_name: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """Return the rows by key, those of equal keys by name: (N,) int64."""
    order = np.argsort(key)
    ranked = key[order]
    equal = np.r_[False, ranked[1:] == ranked[:-1], False]
    del ranked
    places = np.flatnonzero(equal[1:] | equal[:-1])
    groups = np.cumsum(~equal[:-1][places])
    start = 0
    while start < len(places):  # by some groups at a time, or their words take as much as all keys
        stop = int(np.searchsorted(groups, groups[min(start + _NAMES_AT_ONCE, len(groups)) - 1], "right"))
        rows = order[places[start:stop]]
        order[places[start:stop]] = rows[by_name(rows, groups[start:stop])]
        start = stop
    return order


def choose_rows(
    faces: Faces, keep: int, dedupe: str, included: np.ndarray | None = None, left_out: np.ndarray | None = None
) -> Outcomes:
    """Choose the best N, going from the best to the worst.

    Args:
        dedupe: "exact", "near" or "off".
        included: (N,) bool, faces that are kept whatever they are like; N counts them.
        left_out: (N,) bool, faces that are not in the running.
    """
    num = len(faces.key)
    order = rank_order(faces.key, faces.by_name)
    outcome, of = np.full(num, BELOW_CUTOFF, np.uint8), np.full(num, -1, np.int64)
    always = np.zeros(num, bool) if included is None else included
    ranked = order
    if left_out is not None:
        outcome[left_out] = LEFT_OUT
        ranked = order[~left_out[order]]
    first = ranked[always[ranked]]
    outcome[first] = KEPT
    others, room = ranked[~always[ranked]], max(0, keep - len(first))
    if dedupe == "near":
        _among_near(faces, first, others, keep, order, outcome, of)
    elif dedupe == "off":
        outcome[others[:room]] = KEPT
    else:
        original = _originals(faces.same, first, others)
        unique = others[original == others]
        outcome[unique[:room]] = KEPT
        equal = (original != others) & (outcome[original] == KEPT)
        outcome[others[equal]], of[others[equal]] = DUPLICATE, original[equal]
    return Outcomes(ranked[outcome[ranked] == KEPT], outcome, of, order)


def _originals(same: np.ndarray, first: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return for each of `others` the row that stands for its pixels: the last of `first`, else the first of `others`.

    Both are given best first.
    """
    rows = np.concatenate([first[::-1], others])
    words = same if same.ndim == 2 else same[:, None]
    word = words[rows, 0]
    by_pixels = np.argsort(word, kind="stable")  # of equal ones, the first of `rows` comes first
    word = word[by_pixels]
    later = np.flatnonzero(word[1:] == word[:-1]) + 1  # by their first word
    del word
    if (words[rows[by_pixels[later]]] != words[rows[by_pixels[later - 1]]]).any():  # two words tell them apart
        by_pixels = np.lexsort(words[rows].T)
        ordered = words[rows[by_pixels]]
        later = np.flatnonzero((ordered[1:] == ordered[:-1]).all(1)) + 1
    begins = np.r_[True, np.diff(later) != 1][: len(later)]  # of equal ones, the second
    originals = later[begins] - 1
    original = rows.copy()
    original[by_pixels[later]] = rows[by_pixels[originals[np.cumsum(begins) - 1]]]
    return original[len(first) :]


def _among_near(
    faces: Faces,
    first: np.ndarray,
    others: np.ndarray,
    keep: int,
    order: np.ndarray,
    outcome: np.ndarray,
    of: np.ndarray,
) -> None:
    """Write what becomes of `others` where faces that look alike are duplicates; likeness is not transitive."""
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    index, exact, held = HashIndex(), {}, len(first)
    always = np.zeros(len(order), bool)
    always[first] = True
    for row in first.tolist():
        index.add(("", row), faces.hashes(row))
        exact[tuple(np.atleast_1d(faces.same[row]).tolist())] = row
    for row in others.tolist():
        same = tuple(np.atleast_1d(faces.same[row]).tolist())
        alike = {other for _, other in index.near(faces.hashes(row))} | ({exact[same]} if same in exact else set())
        stay = [other for other in alike if always[other] or not faces.cleaner(row, other)]
        if stay:
            outcome[row], of[row] = DUPLICATE, min(stay, key=ranks.__getitem__)
            continue
        for other in alike:  # something is laid over them: the row takes their place
            outcome[other], of[other], held = DUPLICATE, row, held - 1
            index.remove(("", other))
            exact.pop(tuple(np.atleast_1d(faces.same[other]).tolist()), None)
        if held < keep:
            outcome[row], held = KEPT, held + 1
            index.add(("", row), faces.hashes(row))
            exact[same] = row
    for row in np.flatnonzero(outcome == DUPLICATE).tolist():
        while outcome[of[row]] == DUPLICATE:
            of[row] = of[of[row]]
