"""Choosing: the best N, one of several equal ones, whatever the order in which they come."""

import random
import tracemalloc
from dataclasses import replace

import pytest

from celebahq_builder.hash_index import HashIndex
from celebahq_builder.state.best_faces import BestFaces, choose
from celebahq_builder.state.manifest import Row
from celebahq_builder.state.name_lists import NameList, NameLists


def face(name, score, pixels="", bits=0, index=0, quad=None):
    return Row(
        source=name,
        source_bytes=1,
        source_mtime_ns=1,
        face_index=index,
        status="aligned",
        pixel_sha256=pixels or name,
        score=score,
        quad=quad,
        perceptual_hash=f"{bits:064x}",
    )


def names(rows):
    return [row.source for row in rows]


def test_best_first_and_ties_by_name():
    rows = [face("b", 0.5), face("a", 0.5), face("c", 0.9), face("d", 0.1)]
    choice = choose(rows, keep=3, dedupe="exact")
    assert names(choice.kept) == ["c", "a", "b"]
    assert names(choice.below_cutoff) == ["d"]


def test_refused_rows_are_never_chosen():
    refused = Row(source="r", source_bytes=1, source_mtime_ns=1, status="refused", reason="no face found")
    assert names(choose([refused, face("a", 0.5)], keep=5, dedupe="off").kept) == ["a"]


def test_equal_pixels_are_kept_once_under_the_first_name():
    rows = [face("z", 0.5, "same"), face("a", 0.5, "same"), face("m", 0.4)]
    choice = choose(rows, keep=5, dedupe="exact")
    assert names(choice.kept) == ["a", "m"]
    assert [(row.source, better.source) for row, better in choice.duplicates] == [("z", "a")]
    assert names(choose(rows, keep=5, dedupe="off").kept) == ["a", "z", "m"]


def test_two_faces_of_one_photo_are_no_duplicates():
    rows = [face("group", 0.5, "same", index=0), face("group", 0.4, "same", index=1)]
    assert len(choose(rows, keep=5, dedupe="exact").kept) == 2


def test_two_people_whom_a_list_names_in_two_copies_of_one_photo_are_no_duplicates():
    one, other = ((0.0, 0.0), (0.0, 9.0), (9.0, 9.0), (9.0, 0.0)), ((50.0, 0.0), (50.0, 9.0), (59.0, 9.0), (59.0, 0.0))
    rows = [face("000001.jpg", 0.5, "same", quad=one), face("000002.jpg", 0.4, "same", quad=other)]
    rows.append(face("000003.jpg", 0.3, "same", quad=one))
    choice = choose(rows, keep=5, dedupe="exact")
    assert names(choice.kept) == ["000001.jpg", "000002.jpg"]
    assert [(row.source, better.source) for row, better in choice.duplicates] == [("000003.jpg", "000001.jpg")]


def test_duplicate_takes_no_place_of_a_face():
    rows = [face("a", 0.9, "same"), face("b", 0.9, "same"), face("c", 0.5), face("d", 0.4)]
    assert names(choose(rows, keep=3, dedupe="exact").kept) == ["a", "c", "d"]


def test_near_faces_are_kept_once_and_far_ones_all():
    rows = [face("a", 0.9, bits=0), face("copy", 0.8, bits=0b111), face("other", 0.7, bits=(1 << 100) - 1)]
    choice = choose(rows, keep=5, dedupe="near")
    assert names(choice.kept) == ["a", "other"]
    assert names(row for row, _ in choice.duplicates) == ["copy"]


@pytest.mark.parametrize("dedupe", ["exact", "off"])
def test_what_is_held_on_the_way_does_not_depend_on_the_order_of_arrival(dedupe):
    generator = random.Random(0)
    rows = [face(f"{i:03}", generator.choice([0.1, 0.2, 0.3, 0.4]), f"pixels {i % 40}") for i in range(100)]
    expected = names(choose(rows, keep=20, dedupe=dedupe).kept)
    for seed in range(20):
        random.Random(seed).shuffle(rows)
        best, held = BestFaces(20, dedupe), set()
        for row in rows:
            enters, leaving, _ = best.offer(row)
            held -= {row.key for row in leaving}
            held |= {row.key} if enters else set()
            assert len(held) == len(best) <= 20
        assert names(best.rows()) == expected
        assert held == {row.key for row in best.rows()}


def test_face_that_is_held_takes_a_kilobyte():
    best, count = BestFaces(10_000, "exact"), 2000
    tracemalloc.start()
    for i in range(count):
        points = tuple((i + k / 7, i + k / 9) for k in range(5))
        row = face(f"in-the-wild/{i:06}.jpg", i / 7, f"{i:064x}", quad=points[:4])
        best.offer(replace(row, landmarks=points, source_sha256=f"{i:064x}", face_sha256=f"{i:064x}"))
        del row, points
    held = tracemalloc.get_traced_memory()[0] / count
    tracemalloc.stop()
    assert len(best) == count and held < 1250, held


def test_near_duplicates_are_chosen_the_same_whatever_the_order_of_the_rows():
    generator = random.Random(1)
    base = [generator.getrandbits(256) for _ in range(10)]
    rows = [face(f"{i:03}", generator.random(), bits=base[i % 10] ^ (1 << generator.randrange(256))) for i in range(60)]
    expected = names(choose(rows, keep=8, dedupe="near").kept)
    assert len(expected) == 8
    for seed in range(5):
        random.Random(seed).shuffle(rows)
        assert names(choose(rows, keep=8, dedupe="near").kept) == expected
        best = BestFaces(8, "near")
        for row in rows:
            best.offer(row)
        assert len(best) <= 8


def test_included_near_duplicates_all_stay_without_being_compared_with_each_other(monkeypatch):
    found = []

    def near(self, digits, looked=HashIndex.near):
        found.append(len(keys := looked(self, digits)))
        return keys

    monkeypatch.setattr(HashIndex, "near", near)
    included = [face(f"i{i:03}", 0.5, bits=1 << i % 200) for i in range(300)]
    others = [face("like-them", 0.9, bits=0), face("another", 0.1, bits=(1 << 256) - 1)]
    lists = NameLists(include=NameList(frozenset(row.source for row in included)))
    choice = choose([*others, *included], keep=1000, dedupe="near", lists=lists)
    assert names(choice.kept) == [row.source for row in included] + ["another"]
    assert [(row.source, kept.source) for row, kept in choice.duplicates] == [("like-them", "i000")]
    assert sum(found) == len(included), "those that the one other face is like"


CLEAN, MARKED, OTHER_MARK = (
    "K" * 64,
    "K" * 40 + "z" * 8 + "K" * 16,
    "z" * 8 + "K" * 56,
)  # detail maps: what lies over it


def copy(name, score, detail_map=CLEAN, bits=0, scale=1.0):
    return replace(face(name, score, bits=bits), detail_map=detail_map, scale=scale)


def test_a_clean_copy_takes_the_place_of_a_marked_one_at_its_own_score():
    rows = [copy("marked", 0.9, MARKED), face("other", 0.85, bits=(1 << 256) - 1), copy("clean", 0.8)]
    rows.append(copy("later", 0.1, MARKED))
    choice = choose(rows, keep=5, dedupe="near")
    assert names(choice.kept) == ["other", "clean"]
    assert [(row.source, kept.source) for row, kept in choice.duplicates] == [("marked", "clean"), ("later", "clean")]
    for dedupe in ("exact", "off"):
        assert names(choose(rows, keep=1, dedupe=dedupe).kept) == ["marked"]


def test_a_clean_thumbnail_does_not():
    rows = [copy("marked", 0.9, MARKED, scale=1.0), copy("thumbnail", 0.1, scale=0.4)]
    assert names(choose(rows, keep=5, dedupe="near").kept) == ["marked"]


def test_what_list_includes_stays_though_a_clean_copy_is_there():
    rows = [copy("marked", 0.9, MARKED), copy("clean", 0.8)]
    choice = choose(rows, 5, "near", NameLists(include=NameList(frozenset(["marked"]))))
    assert names(choice.kept) == ["marked"]


def test_duplicates_of_a_face_that_lost_its_place_are_those_of_the_one_that_took_it():
    near = (1 << 30) - 1, (1 << 60) - (1 << 30)  # 60 bits apart, each 30 from 0
    rows = [copy("first", 0.9, MARKED), copy("like it", 0.8, MARKED, near[0]), copy("clean", 0.7, CLEAN, near[1])]
    choice = choose(rows, keep=5, dedupe="near")
    assert [(row.source, kept.source) for row, kept in choice.duplicates] == [("first", "clean"), ("like it", "clean")]


def test_a_clean_copy_beyond_the_best_n_keeps_their_number():
    rows = [copy("marked", 0.9, MARKED), face("b", 0.8, bits=(1 << 256) - 1), face("c", 0.7, bits=(1 << 128) - 1)]
    rows.append(copy("clean", 0.6))
    assert names(choose(rows, keep=2, dedupe="near").kept) == ["b", "clean"]


@pytest.mark.parametrize("seed", range(5))
def test_the_clean_copy_is_held_and_chosen_whatever_comes_first(seed):
    rows = [copy("marked", 0.9, MARKED), copy("other mark", 0.8, OTHER_MARK), copy("clean", 0.7), copy("worse", 0.6)]
    random.Random(seed).shuffle(rows)
    best = BestFaces(3, "near")
    for row in rows:
        best.offer(row)
    assert names(best.rows()) == names(choose(rows, 3, "near").kept) == ["clean"]
