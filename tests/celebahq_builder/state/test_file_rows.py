"""The end of a build in slices: rows, digests, tables and counts are those of all rows at once, in little memory."""

import csv
import hashlib
import json
import random
import tracemalloc
from dataclasses import asdict, replace

import h5py
import numpy as np
import pytest

from celebahq_builder.hdf5_format import rows as rows_module
from celebahq_builder.hdf5_format.row_tables import csv_path, parquet_path, write_row_tables
from celebahq_builder.hdf5_format.rows import columns_of_dicts, read_rows, row_id, rows_of_dicts, write_rows
from celebahq_builder.report import shown_rows as shown_module
from celebahq_builder.report.shown_rows import num_shown_faces, shown_rows
from celebahq_builder.state import file_rows as module
from celebahq_builder.state.best_faces import choose
from celebahq_builder.state.file_columns import _of_lines, facts, file_columns
from celebahq_builder.state.file_rows import file_rows
from celebahq_builder.state.manifest import Row, read_manifest, write_manifest
from celebahq_builder.state.manifest_row import row_of_record
from celebahq_builder.state.name_lists import NameList, NameLists
from celebahq_builder.state.outcomes import with_outcomes
from celebahq_builder.state.photo_changes import photo_digests
from celebahq_builder.state.row_columns import columns_of_rows
from celebahq_builder.state.row_table import RowTable

EXCLUDED = NameList(frozenset(begin + f"{i}.jpg" for begin in ("", "é") for i in range(20)), frozenset())
LISTS = NameLists(exclude=EXCLUDED, refuse=("sunglasses",))


def random_rows(count, seed=0):
    rng, rows = random.Random(seed), []
    for i in rng.sample(range(count), count):
        name, num = rng.choice(["", "é", "f/\udcff", "z" * 20]) + f"{i}.jpg", rng.choice([1, 1, 3])
        for k in range(num):
            points = tuple((rng.random() * 60 - 2, rng.random() * 60 - 2) for _ in range(5))
            is_face = rng.random() < 0.7
            facts = {
                "landmarks": points,
                "quad": rng.choice([points[:4], ((1.0, 1.0),) * 4]),
                "score": rng.choice([0.5, rng.random()]),
                "scale": 0.1,
            }
            refusal = {
                "reason": rng.choice(["no face found", "blurred", "took longer than 300 s"]),
                "detail": "é 3 < 4",
            }
            rows.append(
                Row(
                    source=name, source_bytes=i, source_mtime_ns=i * 7, rows=num, face_index=k, width=50, height=50,
                    source_sha256=f"{i:064x}", pixel_sha256=f"{rng.choice([i, 1]):064x}",
                    status="aligned" if is_face else "refused", **(facts if is_face else refusal),
                    marks=rng.choice(["", "sunglasses", "dark blurred", "dark"]),
                )
            )  # fmt: skip
    return rows


def at_once(rows, choice):
    """What the file says of every row, from a dict of each."""
    became = {row.key: {"status": "kept", "row": i} for i, row in enumerate(choice.kept)}
    became |= {row.key: {"status": "beaten", "reason": "not among the best"} for row in choice.below_cutoff}
    became |= {row.key: {"reason": "excluded by --exclude"} for row in choice.excluded}
    became |= {row.key: {"reason": row.reason} for row in choice.marked}
    for row, kept in choice.duplicates:
        became[row.key] = {"status": "duplicate", "reason": "duplicate", "duplicate_of": row_id(*kept.key)}
    return rows_of_dicts(facts(row) | became.get(row.key, {}) for row in rows)


@pytest.fixture(params=["journal", "packed", "list"])
def made(request, tmp_path, monkeypatch):
    """Rows in slices of 16, the choice among them, and the rows as a list."""
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 16)
    listed = random_rows(80)
    write_manifest(tmp_path / "manifest.jsonl", {"resolution": 16}, listed)
    kinds = {"journal": lambda: read_manifest(tmp_path / "manifest.jsonl")[1], "packed": lambda: RowTable(listed)}
    rows = kinds.get(request.param, lambda: listed)()  # a list: the choice is of a table of its own
    choice = choose(rows, 20, "exact", LISTS)
    assert all((choice.kept, choice.duplicates, choice.below_cutoff, choice.excluded, choice.marked))
    return file_rows(rows, choice, tmp_path), choice, listed


def test_rows_in_slices_are_those_at_once_in_file_and_tables(made, tmp_path, monkeypatch):
    found, choice, listed = made
    wanted = at_once(listed, choice)
    assert len(list(found.rows.slices())) > 5
    for name, column in found.rows.whole().columns.items():
        np.testing.assert_array_equal(column, wanted[name], err_msg=name)
        assert column.dtype == wanted[name].dtype
    with h5py.File(tmp_path / "a.h5", "w") as file:
        write_rows(file, found.rows)
    monkeypatch.setattr(rows_module, "ROWS_AT_ONCE", 1000)  # one slice
    for name, column in read_rows(tmp_path / "a.h5").columns.items():
        np.testing.assert_array_equal(column, wanted[name], err_msg=name)
    write_row_tables(tmp_path / "a.h5", found.rows)
    write_row_tables(tmp_path / "b.h5", wanted)
    assert csv_path(tmp_path / "a.h5").read_bytes() == csv_path(tmp_path / "b.h5").read_bytes()
    with csv_path(tmp_path / "a.h5").open(encoding="utf-8", errors="surrogateescape") as file:
        assert [line["source"] for line in csv.DictReader(file)] == wanted["source"].tolist()
    parquet = pytest.importorskip("pyarrow.parquet")
    one, other = (parquet.read_table(parquet_path(tmp_path / name)) for name in ("a.h5", "b.h5"))
    assert one.schema == other.schema and str(one.to_pylist()) == str(other.to_pylist())


def test_lines_of_a_journal_become_the_columns_that_their_rows_have(tmp_path):
    pytest.importorskip("pyarrow")
    rows = [replace(row, source=row.source.replace("\udcff", "ÿ")) for row in random_rows(60)]
    rows[3:5] = (replace(rows[i], width=0, height=0, place=7, num_judged=2, turned=90, overridden="x") for i in (3, 4))
    path = tmp_path / "manifest.jsonl"
    write_manifest(path, {"resolution": 16}, rows)
    table = read_manifest(path)[1]
    places = np.random.default_rng(0).permutation(len(rows))
    found = _of_lines(table.lines(places))
    wanted = columns_of_dicts((facts(rows[i]) for i in places), len(rows)).columns
    assert list(found) == list(wanted)
    for name, column in wanted.items():
        np.testing.assert_array_equal(found[name], column, err_msg=name)
        assert found[name].dtype == column.dtype
    assert np.isnan(wanted["eye_distance"]).any() and set(wanted["status"]) == {"failed", "refused"}


@pytest.mark.parametrize(
    "change",
    [
        lambda row: row.pop("turned"),
        lambda row: row.update(source="f/\udcff.jpg"),
        lambda row: row.update(width=1.5),
    ],
    ids=["early version", "no UTF-8", "half a pixel"],
)
def test_lines_that_arrow_does_not_take_as_they_are_go_row_by_row(tmp_path, change):
    row = asdict(Row(source="a.jpg", source_bytes=1, source_mtime_ns=2, status="refused", width=5))
    change(row)
    path = tmp_path / "manifest.jsonl"
    path.write_text("{}\n" + json.dumps(row) + "\n")
    file = path.open("rb")
    table = RowTable(journal=file)
    size = len(json.dumps(row)) + 1
    table.add_journal(np.array([3]), np.array([size]), columns_of_rows([row_of_record(dict(row))]))
    assert _of_lines(table.lines(np.array([0]))) is None
    columns = file_columns(table, np.array([0]))
    assert columns["source"][0] == row["source"] and columns["turned"][0] == 0 and columns["width"][0] == row["width"]


def test_digests_of_photos_in_slices_are_those_of_sorted_names(made):
    found, _, listed = made
    times, contents = hashlib.sha256(), hashlib.sha256()
    for row in sorted({row.source: row for row in listed}.values(), key=lambda row: row.source):
        name = row.source.encode("utf-8", "surrogateescape")
        times.update(name + f"\0{row.source_bytes} {row.source_mtime_ns}\n".encode())
        contents.update(name + f"\0{row.source_sha256}\n".encode())
    wanted = {"photos_times_sha256": times.hexdigest(), "photos_contents_sha256": contents.hexdigest()}
    assert photo_digests(found.rows) == wanted


def test_counts_of_slices_are_those_of_rows(made):
    found, choice, listed = made
    marked = {row.key: row for row in choice.marked}
    rows = sorted((marked.get(row.key, row) for row in listed), key=lambda row: row.key)
    counts = found.counts
    assert counts.photos == len({row.source for row in rows})
    assert counts.used == len({row.source for row in choice.kept})
    for reason, places in counts.refused.items():
        assert list(places) == [i for i, row in enumerate(rows) if row.status == "refused" and row.reason == reason]
    assert sum(map(len, counts.refused.values())) == sum(row.status == "refused" for row in rows)
    sizes = [len(places) for places in counts.refused.values()]
    assert sizes == sorted(sizes, reverse=True)
    assert sum(counts.marks.values()) == sum(len(row.marks.split()) for row in choice.kept)
    quads = [np.array(row.quad) for row in choice.kept]
    assert counts.leaves.tolist() == [bool((quad < 0).any() or (quad > 50).any()) for quad in quads]
    assert True in counts.leaves


def test_manifest_that_is_kept_says_what_became_of_each_row(made):
    found, choice, _ = made
    wanted = {row.key: f"row {i}" for i, row in enumerate(choice.kept)}
    wanted |= {row.key: f"duplicate of {kept.source}" for row, kept in choice.duplicates}
    wanted |= {row.key: "not among the best" for row in choice.below_cutoff}
    wanted |= {row.key: "excluded by --exclude" for row in choice.excluded}
    wanted |= {row.key: row.reason for row in choice.marked}
    assert {row.key: row.outcome for row in with_outcomes(found.table, choice) if row.outcome} == wanted


def test_page_of_too_many_rows_shows_the_best_faces_and_some_others(made, monkeypatch):
    found, choice, listed = made
    every = shown_rows(found.rows, len(choice.kept))
    assert [row["row"] for row in every[: len(choice.kept)]] == list(range(len(choice.kept)))
    assert len(every) == len(listed) and not {"traceback", "source_sha256"} & every[0].keys()
    monkeypatch.setattr(shown_module, "MOST_ROWS", 30)
    monkeypatch.setattr(shown_module, "SHOWN_ROWS", 30)
    monkeypatch.setattr(shown_module, "MOST_FACES", 12)
    assert num_shown_faces(len(listed), len(choice.kept)) == 12
    some = shown_rows(found.rows, len(choice.kept))
    assert some[:12] == every[:12] and len(some) == 30
    others = [row for row in every if row["row"] < 0]
    assert [row in some for row in (others[0], others[-1])] == [True, True]
    assert all(row in others for row in some[12:])


def test_rows_of_a_build_take_the_memory_of_a_slice_each(tmp_path):
    peaks = []
    for count in (100, 200, 800):  # the first one loads modules
        rows = random_rows(count)
        choice = choose(rows, 100, "exact")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "ROWS_AT_ONCE", 50)
            patch.setattr("celebahq_builder.hdf5_format.row_slices._IN_MEMORY", 1)
            tracemalloc.start()
            found = file_rows(choice.kept.table, choice, tmp_path)
            with h5py.File(tmp_path / "f.h5", "w") as file:
                write_rows(file, found.rows)
            write_row_tables(tmp_path / "f.h5", found.rows)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[2] - peaks[1] < 300 * 1000, peaks  # of 1000 rows more, which took 3 kB each, all at once
