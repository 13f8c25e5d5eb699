"""Many names in order without an object each: eight of their bytes at a time, and only those that are equal so far."""

import numpy as np

_AT_ONCE = 1 << 18
_MASKS = np.array([0, *((1 << 64) - (1 << (64 - 8 * n)) for n in range(1, 9))], np.uint64)


def name_order(
    names: np.ndarray,
    starts: np.ndarray,
    numbers: np.ndarray,
    rows: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """Return the places of rows by name, those of equal names by number: (m,) int64.

    The order is that of Python's str: UTF-8 keeps the order of code points, surrogates among them.

    Args:
        names: (B,) uint8, UTF-8 (surrogatepass), one name behind the other.
        starts: (n,) int64, where each begins.
        numbers: (n,) integers.
        rows: (m,) int64, of these alone, as places in it; None: of all.
        groups: (m,) integers, never falling: a row stays among those of its group.
    """
    if rows is None:
        begins, lengths = starts, np.diff(starts, append=len(names))
    else:
        begins, numbers = starts[rows], numbers[rows]
        is_last = rows + 1 == len(starts)
        lengths = np.where(is_last, len(names), starts[np.where(is_last, 0, rows + 1)]) - begins
    kind = np.int32 if len(begins) < 1 << 31 else np.int64  # of what there are six of
    group = None if groups is None else np.cumsum(np.diff(groups, prepend=groups[:1]) != 0, dtype=kind)
    order = np.arange(len(begins), dtype=kind)
    left, places = order.copy(), order.copy()  # those that are equal to another so far, and where they go
    depth = 0
    while len(left) and 8 * depth < lengths[left].max():
        word = _words(names, begins, lengths, left, depth)
        depth += 1
        if len(left) == len(order) and (word == word[0]).all():  # the folder of all
            continue
        by = np.argsort(word, kind="stable") if group is None else np.lexsort((word, group))
        left, word = left[by], word[by]
        same = word[1:] == word[:-1]
        if group is not None:
            group = group[by]
            same &= group[1:] == group[:-1]
        order[places] = left
        equal = np.r_[same, False] | np.r_[False, same]
        group = np.cumsum(~np.r_[False, same], dtype=kind)[equal]
        left, places = left[equal], places[equal]
        goes_on = np.bincount(group, lengths[left] > 8 * depth)[group] > 0
        ended = ~goes_on  # or one long name would have all faces of photos with several looked at to its end
        order[places[ended]] = _by_number(left[ended], group[ended], lengths, numbers)
        left, places, group = left[goes_on], places[goes_on], group[goes_on]
    order[places] = _by_number(left, np.zeros(len(left)) if group is None else group, lengths, numbers)
    return order.astype(np.int64)


def _by_number(rows: np.ndarray, group: np.ndarray, lengths: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return rows whose names are the same in each group, or the same but for zeros at their ends, in order."""
    return rows[np.lexsort([numbers[rows], lengths[rows], group])]


def _words(names: np.ndarray, begins: np.ndarray, lengths: np.ndarray, rows: np.ndarray, depth: int) -> np.ndarray:
    """Return eight bytes of some names as one number that is in their order, (m,) uint64; zeros behind the end."""
    padded_end = np.r_[names[-8:], np.zeros(16, np.uint8)]  # of the whole, where a name may end sooner than a word
    at_end = len(names) - len(names[-8:])
    windows = np.lib.stride_tricks.sliding_window_view(names, 8) if len(names) >= 8 else None
    words = np.empty(len(rows), np.uint64)
    for first in range(0, len(rows), _AT_ONCE):
        some = rows[first : first + _AT_ONCE]
        left = np.clip(lengths[some] - 8 * depth, 0, 8)
        begin = np.where(left > 0, begins[some] + 8 * depth, 0)
        inside = begin + 8 <= len(names)
        data = np.zeros((len(some), 8), np.uint8)
        if windows is not None:
            data[inside] = windows[begin[inside]]
        for i in np.flatnonzero(~inside).tolist():  # a few at the very end
            data[i] = padded_end[begin[i] - at_end : begin[i] - at_end + 8]
        words[first : first + _AT_ONCE] = data.view(">u8")[:, 0].astype(np.uint64) & _MASKS[left]
    return words
