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


class HashIndex:
    """Hashes by key, as hex digits; `near` is exact."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, int], int] = {}
        self._keys: list[tuple[str, int] | None] = []
        self._hashes = np.zeros((64, HASH_BITS // 64), np.uint64)
        self._buckets: list[dict[int, list[int]]] = [{} for _ in range(_WORDS)]

    def near(self, digits: str) -> list[tuple[str, int]]:
        """Return the keys of all hashes at most MOST_BITS_APART bits from this one, in the order they were added."""
        packed, words = _split(digits)
        found: list[int] = []
        for bucket, word, turns in zip(self._buckets, words, _TURNS, strict=True):
            for turn in turns:
                if places := bucket.get(word ^ turn):
                    found += places
        rows = np.unique(np.array(found, np.int64))
        apart = np.bitwise_count(self._hashes[rows] ^ packed).sum(1)
        return [key for i in rows[apart <= MOST_BITS_APART] if (key := self._keys[i]) is not None]

    def add(self, key: tuple[str, int], digits: str) -> None:
        """Add a hash under a key that is not there yet."""
        place = len(self._keys)
        if place == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.zeros_like(self._hashes)])
        self._hashes[place], words = _split(digits)
        self._places[key] = place
        self._keys.append(key)
        for bucket, word in zip(self._buckets, words, strict=True):
            bucket.setdefault(word, []).append(place)

    def remove(self, key: tuple[str, int]) -> None:
        """Remove a key that is there."""
        place = self._places.pop(key)
        self._keys[place] = None
        for bucket, word in zip(self._buckets, _words(self._hashes[place]), strict=True):
            bucket[word].remove(place)
        if len(self._keys) > 1024 + 2 * len(self._places):
            self._forget_removed()

    def _forget_removed(self) -> None:
        kept = [(key, self._hashes[place].tobytes().hex()) for key, place in self._places.items()]
        self.__init__()  # type: ignore[misc]
        for key, digits in kept:
            self.add(key, digits)


def _split(digits: str) -> tuple[np.ndarray, list[int]]:
    """The hash as four numbers of 64 bits, which numpy compares fast, and its 13 words."""
    packed = np.frombuffer(bytes.fromhex(digits), np.uint64)
    return packed, _words(packed)


def _words(packed: np.ndarray) -> list[int]:
    return (_VALUES @ np.unpackbits(packed.view(np.uint8))[_SPREAD]).astype(np.int64).tolist()
