"""Rows that are changed and joined slice by slice are those of all rows as objects at once."""

import random
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from celebahq_builder.commands.merge_rows import merged_rows
from celebahq_builder.hdf5_format.part import moved_rows
from celebahq_builder.hdf5_format.rows import StoredRows, columns_of_dicts, row_id, rows_of_dicts, write_rows


def stored(path, dicts):
    with h5py.File(path, "w") as file:
        write_rows(file, columns_of_dicts(dicts, len(dicts)))
    return StoredRows(path)


def random_file(rng, name):
    """Rows of some photos: some kept, each with a place; some duplicates of these, beaten or refused."""
    keys = [
        (f"{begin}{i}.jpg", k) for begin in ("", "é", "f/\udcff") for i in range(12) for k in range(rng.choice([1, 2]))
    ]
    keys = rng.sample(keys, rng.randrange(1, len(keys)))
    kept = rng.sample(keys, rng.randrange(1, len(keys) + 1))
    rows = []
    for key in keys:
        row = {"source": key[0], "face_index": key[1], "width": rng.choice([None, 50]), "detail": f"of {name}"}
        if key in kept:
            row |= {"status": "kept", "row": kept.index(key), "score": rng.random(), "quad": rng.random()}
        else:
            status = rng.choice(["beaten", "duplicate", "refused"])
            row |= {"status": status, "reason": status}
            row |= {"duplicate_of": row_id(*rng.choice(kept))} if status == "duplicate" else {}
        rows.append(row)
    return sorted(rows, key=lambda row: (row["source"], row["face_index"])), kept


def at_once(parts, order, repeated):
    """The rows of all files, from a dict of each."""
    places = {key: i for i, key in enumerate(order)}
    found, names = {}, {}
    for number, part in enumerate(parts):
        rows = [row for some in part.slices() for row in some.as_dicts()]
        names |= {(number, row["row"]): row_id(row["source"], row["face_index"]) for row in rows if row["row"] != -1}
        others = {names[number, row["row"]]: repeated.get((number, row["row"])) for row in rows if row["row"] != -1}
        for row in rows:
            if row["row"] != -1:
                first = others[row_id(row["source"], row["face_index"])]
                row["row"] = places.get((number, row["row"]), -1)
                if first is not None:
                    row |= {"status": "duplicate", "reason": "duplicate", "duplicate_of": names[first]}
            elif (first := others.get(row["duplicate_of"])) is not None:
                row["duplicate_of"] = names[first]
            key = row["source"], row["face_index"]
            if key not in found or (row["row"] != -1 and found[key]["row"] == -1):
                found[key] = row
    return rows_of_dicts(found.values())


def assert_equal(rows, wanted):
    assert len(rows) == len(wanted)
    slices = list(rows.slices())
    for name, column in wanted.columns.items():
        found = np.concatenate([some[name] for some in slices])
        np.testing.assert_array_equal(found, column, err_msg=name)
        assert found.dtype == column.dtype


@pytest.mark.parametrize("seed", range(12))
def test_joined_rows_are_those_of_dicts(seed, tmp_path, monkeypatch):
    monkeypatch.setattr("celebahq_builder.hdf5_format.rows.ROWS_AT_ONCE", 7)
    monkeypatch.setattr("celebahq_builder.hdf5_format.changed_rows.ROWS_AT_ONCE", 5)
    rng = random.Random(seed)
    files = [random_file(rng, name) for name in ("a", "b", "c")]
    if seed % 4 == 3:  # of another program, in any order
        rng.shuffle(files[1][0])
    order, repeated, taken = [], {}, {}
    for number, (_, kept) in enumerate(files):
        for row, key in enumerate(kept):
            if key in taken or (seed % 2 and taken and rng.random() < 0.1):
                repeated[number, row] = taken.get(key) or rng.choice([*taken.values()])
            else:
                taken[key] = number, row
                order.append((number, row))
    rng.shuffle(order)
    parts = [stored(tmp_path / f"{i}.h5", rows) for i, (rows, _) in enumerate(files)]
    joined = merged_rows([SimpleNamespace(rows=part) for part in parts], order, repeated)
    wanted = at_once(parts, order, repeated)
    assert_equal(joined, wanted)
    assert sorted(wanted["row"][wanted["row"] != -1]) == list(range(len(order)))


def test_files_of_which_one_has_no_rows_give_none(tmp_path, caplog):
    rows = stored(tmp_path / "a.h5", random_file(random.Random(0), "a")[0])
    assert merged_rows([SimpleNamespace(rows=rows), SimpleNamespace(rows=None)], [(0, 0)], {}) is None
    assert "not all of the files have them" in caplog.text


@pytest.mark.parametrize("seed", range(4))
def test_moved_rows_are_those_changed_one_by_one(seed, tmp_path, monkeypatch):
    monkeypatch.setattr("celebahq_builder.hdf5_format.rows.ROWS_AT_ONCE", 7)
    rng = random.Random(seed)
    dicts, kept = random_file(rng, "a")
    rows = stored(tmp_path / "a.h5", dicts)
    places = {row: i for i, row in enumerate(rng.sample(range(len(kept)), rng.randrange(len(kept) + 1)))}
    for row in dicts:
        if row.get("row", -1) != -1:
            row["row"] = places.get(row["row"], -1)
            row |= {} if row["row"] != -1 else {"status": "refused", "reason": "left out"}
    assert_equal(moved_rows(rows, places, "left out"), columns_of_dicts(dicts, len(dicts)))
