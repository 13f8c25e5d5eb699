"""Perceptual hashes that can be searched for near ones without comparing with all: multi-index hashing.

256 bits are cut into 13 words of 19 or 20 bits. Two hashes at most 36 bits apart differ by at most two bits in at least
one word (13 words that differ by three would make 39), so that looking up each word, and each word with one or two bits
turned, finds every near hash (Norouzi, Punjani, Fleet: Fast Exact Search in Hamming Space with Multi-Index Hashing,
2014). What is found is compared in full: the result is that of comparing with all.
"""

from itertools import combinations, pairwise

import numpy as np

from celebahq_builder.perceptual_hash import HASH_BITS, MOST_BITS_APART

_MOST = 2  # bits turned in a word
_WORDS = MOST_BITS_APART // (_MOST + 1) + 1
_EDGES = np.linspace(0, HASH_BITS, _WORDS + 1).round().astype(int)
# Neighboring bits are neighboring frequencies, and the lowest look alike on all faces: every word gets some of them.
_SPREAD = np.argsort(np.arange(HASH_BITS) % _WORDS, kind="stable")
_VALUES = np.zeros((_WORDS, HASH_BITS))
for _i, (_start, _end) in enumerate(pairwise(_EDGES)):
    _VALUES[_i, _start:_end] = 2.0 ** np.arange(_end - _start)
_TURNS = [
    [sum(1 << bit for bit in bits) for turned in range(_MOST + 1) for bits in combinations(range(end - start), turned)]
    for start, end in pairwise(_EDGES)
]


FEWEST_TO_LOOK_UP = 400_000
"""Fewer are compared with all: benchmarks/near_duplicates.py measures both."""


class HashIndex:
    """Hashes by key, as hex digits; `near` is exact. Few are compared with all, many are looked up."""

    def __init__(self, fewest_to_look_up: int = FEWEST_TO_LOOK_UP) -> None:
        self._fewest_to_look_up = fewest_to_look_up
        self._places: dict[tuple[str, int], int] = {}
        self._keys: list[tuple[str, int] | None] = []
        self._hashes = np.zeros((HASH_BITS // 64, 64), np.uint64)  # one row a word of 64 bits: fastest to compare
        self._buckets: list[dict[int, list[int]]] = []  # none while hashes are few

    def near(self, digits: str) -> list[tuple[str, int]]:
        """Return the keys of all hashes at most MOST_BITS_APART bits from this one, in the order they were added."""
        packed = _pack(digits)
        if self._buckets:
            found: list[int] = []
            for bucket, word, turns in zip(self._buckets, _words(packed), _TURNS, strict=True):
                for turn in turns:
                    if places := bucket.get(word ^ turn):
                        found += places
            rows = np.unique(np.array(found, np.int64))
            rows = rows[self._apart(packed, rows) <= MOST_BITS_APART]
        else:
            rows = np.flatnonzero(self._apart(packed, slice(len(self._keys))) <= MOST_BITS_APART)
        return [key for i in rows if (key := self._keys[i]) is not None]

    def add(self, key: tuple[str, int], digits: str) -> None:
        """Add a hash under a key that is not there yet."""
        place = len(self._keys)
        if place == self._hashes.shape[1]:
            self._hashes = np.concatenate([self._hashes, np.zeros_like(self._hashes)], axis=1)
        self._hashes[:, place] = _pack(digits)
        self._places[key] = place
        self._keys.append(key)
        if self._buckets:
            self._put_into_buckets(place)
        elif len(self._places) >= self._fewest_to_look_up:
            self._buckets = [{} for _ in range(_WORDS)]
            for place in self._places.values():
                self._put_into_buckets(place)

    def remove(self, key: tuple[str, int]) -> None:
        """Remove a key that is there."""
        place = self._places.pop(key)
        self._keys[place] = None
        for bucket, word in zip(self._buckets, self._words_of(place), strict=False):
            bucket[word].remove(place)
        if len(self._keys) > 1024 + 2 * len(self._places):
            self._forget_removed()

    def _apart(self, packed: np.ndarray, places: slice | np.ndarray) -> np.ndarray:
        """By how many bits each of these differs."""
        return np.bitwise_count(self._hashes[:, places] ^ packed[:, None]).sum(axis=0, dtype=np.uint16)

    def _words_of(self, place: int) -> list[int]:
        return _words(np.ascontiguousarray(self._hashes[:, place])) if self._buckets else []

    def _put_into_buckets(self, place: int) -> None:
        for bucket, word in zip(self._buckets, self._words_of(place), strict=True):
            bucket.setdefault(word, []).append(place)

    def _forget_removed(self) -> None:
        kept = [(key, self._hashes[:, place].tobytes().hex()) for key, place in self._places.items()]
        self.__init__(self._fewest_to_look_up)  # type: ignore[misc]
        for key, digits in kept:
            self.add(key, digits)


def _pack(digits: str) -> np.ndarray:
    """The hash as four numbers of 64 bits, which numpy compares fast."""
    return np.frombuffer(bytes.fromhex(digits), np.uint64)


def _words(packed: np.ndarray) -> list[int]:
    return (_VALUES @ np.unpackbits(packed.view(np.uint8))[_SPREAD]).astype(np.int64).tolist()
