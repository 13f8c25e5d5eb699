"""The choice on columns is the choice by going through objects, best first, on any rows."""

import pickle
import random
from dataclasses import replace

import pytest

from celebahq_builder.state import choose_columns
from celebahq_builder.state.best_faces import BestFaces, choose, rank
from celebahq_builder.state.manifest import Row
from celebahq_builder.state.name_lists import NameList, NameLists


def one_by_one(rows, keep, dedupe, lists):
    """The choice as it is defined: every face is offered, the best first, to what holds the best N."""
    best, kept, duplicates, below = BestFaces(keep, dedupe), [], [], []
    aligned = sorted((row for row in rows if row.status == "aligned"), key=rank)
    by_key = {row.key: row for row in aligned}
    offered = [row for row in aligned if not lists.left_out(row)]
    for row in sorted(offered, key=lambda row: not lists.include.has(row)):
        entered, _, other = best.offer(row, always=lists.include.has(row))
        if entered:
            kept.append(row)
        elif other is not None:
            duplicates.append((row, by_key[other.key]))
        else:
            below.append(row)
    return sorted(kept, key=rank), duplicates, below, [row for row in aligned if lists.exclude.has(row)]


def random_row(rng: random.Random, i: int, placed: bool) -> Row:
    near = [rng.randrange(2) for _ in range(4)]  # one of 16 hashes, of which some are near each other
    digits = int("".join(f"{'0' * 40}{'1' * 24}" if bit else "0" * 64 for bit in near), 2)
    return Row(
        source=f"{rng.randrange(1000):03}-{i}.jpg",
        source_bytes=1,
        source_mtime_ns=1,
        face_index=rng.randrange(2),
        status=rng.choice(["aligned"] * 6 + ["refused"]),
        pixel_sha256=str(rng.randrange(12)),
        quad=rng.choice([None, ((0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, float(rng.randrange(2))))]),
        score=rng.choice([0.5, 0.25, rng.random()]),
        perceptual_hash=f"{digits:064x}",
        place=rng.randrange(20) if placed else None,
        marks=rng.choice(["", "", "sunglasses"]),
    )


@pytest.mark.parametrize("dedupe", ["exact", "near", "off"])
@pytest.mark.parametrize("seed", range(8))
def test_choice_on_columns_is_the_choice_one_by_one(dedupe, seed, monkeypatch):
    rng = random.Random(seed)
    rows = [random_row(rng, i, placed=seed % 4 == 3) for i in range(rng.choice([0, 1, 60]))]
    named = rng.sample(rows, min(len(rows), 12)) if seed % 2 else []
    half = len(named) // 2
    lists = NameLists(
        include=NameList(frozenset(row.source for row in named[:half]), frozenset()),
        exclude=NameList(frozenset(), frozenset(row.key for row in named[half:])),
        refuse=("sunglasses",) if seed % 3 else (),
    )
    monkeypatch.setattr(choose_columns, "_NAMES_AT_ONCE", 3)
    for keep in (1, 5, 30, 1000):
        choice = choose(rows, keep, dedupe, lists)
        found = choice.kept, choice.duplicates, choice.below_cutoff, choice.excluded
        refused = [
            replace(row, status="refused", reason="marked sunglasses", detail="its marks: sunglasses")
            for row in sorted((row for row in rows if row.status == "aligned"), key=rank)
            if lists.refuse and row.marks and not lists.include.has(row) and not lists.exclude.has(row)
        ]
        assert choice.marked == refused and choice.marked[1:] == refused[1:]
        assert [choice.marked[i] for i in range(len(refused))] == refused
        assert pickle.loads(pickle.dumps(choice.marked)) == refused
        assert sum(map(len, found)) + len(choice.marked) == sum(row.status == "aligned" for row in rows)
        assert found == one_by_one(rows, keep, dedupe, lists)
    rng.shuffle(rows)
    assert choose(rows, 30, dedupe, lists) == choose(sorted(rows, key=lambda row: row.key), 30, dedupe, lists)


@pytest.mark.parametrize("seed", range(6))
def test_first_words_that_collide_do_not_join_other_faces(seed, monkeypatch):
    real, looked = choose_columns._originals, []

    def weak(same, first, others):
        weakened = same.copy()
        weakened[:, 0] = same[:, 0] % 2 if seed % 2 else 7  # many different faces, one word
        looked.append(len(others))
        return real(weakened, first, others)

    monkeypatch.setattr(choose_columns, "_originals", weak)
    rng = random.Random(seed)
    rows = [random_row(rng, i, placed=False) for i in range(200)]
    named = NameList(frozenset(row.source for row in rng.sample(rows, 9)), frozenset())
    lists = NameLists(include=named)
    for keep in (5, 150):
        choice = choose(rows, keep, "exact", lists)
        kept, duplicates, below, _ = one_by_one(rows, keep, "exact", lists)
        assert (list(choice.kept), list(choice.below_cutoff)) == (kept, below)
        assert sorted(choice.duplicates, key=str) == sorted(duplicates, key=str)
    assert looked and duplicates
