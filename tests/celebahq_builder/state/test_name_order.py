"""Names sorted by words of their bytes are in the order that Python gives them as texts."""

import random

import numpy as np
import pytest

from celebahq_builder.state import name_order as module
from celebahq_builder.state.name_order import name_order


def sorted_by_words(keys, rows=None, groups=None):
    data = [name.encode("utf-8", "surrogatepass") for name, _ in keys]
    starts = np.cumsum([0, *map(len, data)])[: len(data)].astype(np.int64)
    names = np.frombuffer(b"".join(data), np.uint8)
    return name_order(names, starts, np.array([number for _, number in keys], np.int32), rows, groups).tolist()


@pytest.mark.parametrize("seed", range(40))
def test_order_of_names_is_that_of_texts(seed):
    rng = random.Random(seed)
    letters = rng.choice(["ab", "a\0", "aé\ud800\udcff\ue000😀z", "0123456789"])
    begin = rng.choice(["", "in-the-wild/", "x" * 8, "x" * 17])
    longest = rng.choice([1, 3, 9, 40])
    keys = [
        (begin + "".join(rng.choices(letters, k=rng.randrange(longest + 1))), rng.randrange(-1, 3))
        for _ in range(rng.choice([0, 1, 2, 7, 300]))
    ]
    assert sorted_by_words(keys) == sorted(range(len(keys)), key=keys.__getitem__)


@pytest.mark.parametrize("seed", range(20))
def test_some_names_are_in_order_within_their_groups(seed):
    rng = random.Random(seed)
    begin = rng.choice(["", "in-the-wild/", "x" * 17])
    keys = [(begin + "".join(rng.choices("ab\0é", k=rng.randrange(12))), rng.randrange(3)) for _ in range(200)]
    rows = rng.sample(range(200), rng.choice([0, 1, 150, 200]))
    groups = sorted(rng.choices([3, 4, 9, 10, 1000], k=len(rows)))
    wanted = sorted(range(len(rows)), key=lambda i: (groups[i], keys[rows[i]]))
    assert sorted_by_words(keys, np.array(rows, np.int64), np.array(groups, np.int64)) == wanted
    by_name = sorted(range(len(rows)), key=lambda i: keys[rows[i]])
    assert sorted_by_words(keys, np.array(rows, np.int64)) == by_name


def test_order_of_names_that_begin_alike_word_for_word():
    keys = [("folder00" * n + end, 0) for n in range(5) for end in ("", "b", "a", "folder0", "folder01")]
    assert sorted_by_words(keys) == sorted(range(len(keys)), key=keys.__getitem__)


def test_more_names_than_are_read_at_once_are_in_order(monkeypatch):
    monkeypatch.setattr("celebahq_builder.state.name_order._AT_ONCE", 5)
    keys = [(f"photos/{i * 7919 % 1000}.jpg", i % 3) for i in range(200)]
    assert sorted_by_words(keys) == sorted(range(len(keys)), key=keys.__getitem__)


def test_one_long_name_does_not_have_the_others_looked_at_to_its_end(monkeypatch):
    looked, words = [], module._words
    monkeypatch.setattr(module, "_words", lambda *given: looked.append(len(given[3])) or words(*given))
    keys = [(f"{i:03d}.jpg", k) for i in range(100) for k in (1, 0)] + [("d/" * 2000, k) for k in (1, 0)]
    assert sorted_by_words(keys) == sorted(range(len(keys)), key=keys.__getitem__)
    assert sum(looked) < 2000, "two rows of 500 words, 200 of one"
