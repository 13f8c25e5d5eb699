"""The search for near hashes: exactly what comparing with all finds, without comparing with all."""

import numpy as np
import pytest

from celebahq_builder.hash_index import HashIndex
from celebahq_builder.perceptual_hash import MOST_BITS_APART


def turned(digits: str, bits) -> str:
    flipped = np.unpackbits(np.frombuffer(bytes.fromhex(digits), np.uint8))
    flipped[bits] ^= 1
    return np.packbits(flipped).tobytes().hex()


def apart(a: str, b: str) -> int:
    return (int(a, 16) ^ int(b, 16)).bit_count()


@pytest.fixture(scope="module")
def hashes() -> list[str]:
    """Strangers, and copies of some of them up to a few bits beyond the limit."""
    rng = np.random.default_rng(0)
    strangers = [rng.bytes(32).hex() for _ in range(300)]
    copies = [turned(rng.choice(strangers), rng.choice(256, n, replace=False)) for n in range(MOST_BITS_APART + 4)]
    return [*strangers, *copies, *(turned(copy, rng.choice(256, 5, replace=False)) for copy in copies)]


@pytest.mark.parametrize("fewest", [1, 150, 10_000])
def test_near_hashes_are_those_that_comparing_with_all_finds(hashes, fewest):
    index, rng, known = HashIndex(fewest), np.random.default_rng(1), {}
    found = 0
    for i, digits in enumerate(hashes):
        expected = [key for key, other in known.items() if apart(digits, other) <= MOST_BITS_APART]
        assert index.near(digits) == expected
        found += len(expected)
        index.add(("photo", i), digits)
        known["photo", i] = digits
        if i % 3 == 0:
            gone = list(known)[rng.integers(len(known))]
            index.remove(gone)
            del known[gone]
    assert found > 40


@pytest.mark.parametrize("seed", range(3))
def test_a_hash_exactly_at_the_limit_is_found_however_its_bits_lie(seed):
    rng, index = np.random.default_rng(seed), HashIndex(1)
    digits = rng.bytes(32).hex()
    index.add(("photo", 0), digits)
    for start in range(0, 256, 5):
        together = (start + np.arange(MOST_BITS_APART)) % 256
        spread = (start + np.arange(0, 256, 7)[:MOST_BITS_APART]) % 256
        for bits in (together, spread, rng.choice(256, MOST_BITS_APART, replace=False)):
            assert index.near(turned(digits, bits)) == [("photo", 0)]
    assert index.near(turned(digits, range(MOST_BITS_APART + 1))) == []


@pytest.mark.parametrize("fewest", [1, 10_000])
def test_what_was_removed_is_forgotten_and_the_rest_is_still_found(hashes, fewest):
    index, first = HashIndex(fewest), hashes[0]
    index.add(("kept", 0), first)
    for i in range(1200):  # beyond which the places of what was removed are given back
        index.add(("gone", i), first)
        index.remove(("gone", i))
    assert index.near(first) == [("kept", 0)]
    index.add(("gone", 0), first)
    assert index.near(first) == [("kept", 0), ("gone", 0)]
