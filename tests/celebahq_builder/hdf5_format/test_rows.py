"""The group `rows`: everything that was looked at is in the file and beside it, exactly, and damage is one line."""

import csv

import h5py
import numpy as np
import pytest

from celebahq_builder.build import build
from celebahq_builder.config import BuildConfig, BuildIncompleteError
from celebahq_builder.hdf5 import DatasetError
from celebahq_builder.hdf5_format.rows import COLUMNS, find_rows, find_stored_rows, read_rows
from celebahq_builder.process_photo import Result
from celebahq_builder.state.failure import took_too_long
from celebahq_builder.state.file_rows import file_rows, kept_rows, manifest_rows
from celebahq_builder.state.manifest import Row, read_manifest


@pytest.fixture
def built(made_photos, tmp_path, trouble):
    """Two faces of four photos kept; one photo refused with what is known of its face, one failed, one a copy."""
    (made_photos / "again.jpg").write_bytes((made_photos / "c.jpg").read_bytes())
    trouble["a.jpg"] = took_too_long(300)
    points = ((1.5, 2.0), (30, 10), (20, 20), (12, 30), (28, 30))
    refused = {"source_bytes": 11, "source_mtime_ns": 12, "status": "refused", "width": 40, "height": 30}
    trouble["b.jpg"] = Result(
        [Row(source="b.jpg", reason="profile", landmarks=points, quad=points[:4], padding=0.25, **refused)]
    )
    trouble["e é.jpg"] = Result([Row(source="e é.jpg", reason="no face found", face_index=-1, **refused)])
    (made_photos / "e é.jpg").write_bytes(b"x")
    config = BuildConfig(
        input=made_photos, output=tmp_path / "f.h5", resolution=16, workers=0, restore="off", keep=2,
        keep_build_folder=True, dedupe="off",
    )  # fmt: skip
    with pytest.raises(BuildIncompleteError):
        build(config)
    return config


def test_every_photo_and_face_is_a_row_with_its_reason_and_the_kept_ones_know_their_place(built):
    rows = read_rows(built.output)
    found = {row["source"]: row for row in rows.as_dicts()}
    assert list(found) == sorted(found) == ["a.jpg", "again.jpg", "b.jpg", "c.jpg", "d.jpg", "e é.jpg"]
    assert (found["a.jpg"]["status"], found["a.jpg"]["reason"]) == ("failed", "took longer than 300 s")
    assert (found["b.jpg"]["status"], found["b.jpg"]["reason"]) == ("refused", "profile")
    assert found["b.jpg"]["landmarks"][0] == [1.5, 2.0] and found["b.jpg"]["padding"] == 0.25
    assert found["b.jpg"]["score"] is None and (found["b.jpg"]["width"], found["b.jpg"]["height"]) == (40, 30)
    assert found["b.jpg"]["eye_distance"] == pytest.approx(np.hypot(28.5, 8))
    assert found["e é.jpg"]["face_index"] == -1 and found["e é.jpg"]["landmarks"] is None
    assert sorted(row["status"] for row in found.values()) == ["beaten", "failed", "kept", "kept", "refused", "refused"]
    with h5py.File(built.output) as file:
        sources = file["faces/source"].asstr()[:]
        assert file["rows/source"].asstr()[:].tolist() == list(found)  # plain h5py reads it
        assert not [name for name in file if name.startswith("data") and not name.startswith("data1")][5:]
    assert [next(s for s, row in found.items() if row["row"] == i) for i in (0, 1)] == list(sources)


def test_manifest_comes_back_from_the_rows_exactly(built):
    _, before = read_manifest(built.build_folder / "manifest.jsonl")
    after = {row.key: row for row in manifest_rows(read_rows(built.output))}
    assert len(after) == len(before)
    for row in before:
        for name in Row.__slots__:
            if name not in ("face_sha256", "outcome"):
                assert getattr(after[row.key], name) == getattr(row, name), (row.key, name)


def test_rows_read_by_slices_are_those_at_once(built, monkeypatch):
    wanted, stored = read_rows(built.output), find_stored_rows(built.output)
    assert len(stored) == len(wanted) == 6
    kept = [(row.key, place) for row, place in kept_rows(stored)]
    listed = [*manifest_rows(wanted)]
    monkeypatch.setattr("celebahq_builder.hdf5_format.rows.ROWS_AT_ONCE", 4)
    monkeypatch.setattr("celebahq_builder.state.file_rows._OBJECTS_AT_ONCE", 3)
    assert [len(some) for some in stored.slices()] == [4, 2]
    for some, first in (*zip(stored.slices(), (0, 4), strict=True), (stored.part(2, 5), 2)):
        for name, column in some.columns.items():
            np.testing.assert_array_equal(column, wanted[name][first : first + len(some)], err_msg=name)
    assert [*manifest_rows(stored)] == listed
    assert [(row.key, place) for row, place in kept_rows(stored)] == kept
    pairs = zip(wanted["source"], wanted["row"].tolist(), strict=True)
    assert kept == [((source, 0), row) for source, row in pairs if row != -1] and len(kept) == 2


def test_tables_beside_the_file_say_the_same(built):
    rows = read_rows(built.output)
    table = built.output.with_name("f.h5.rows.csv")
    with table.open(newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert [row["id"] for row in read] == rows.ids
    assert [row["score"] for row in read] == ["" if np.isnan(score) else repr(float(score)) for score in rows["score"]]
    assert read[2]["landmarks"].split()[:2] == ["1.5", "2.0"] and read[0]["landmarks"] == ""
    parquet = pytest.importorskip("pyarrow.parquet")
    frame = parquet.read_table(f"{built.output}.rows.parquet").to_pylist()
    assert [row["source"] for row in frame] == rows["source"].tolist()
    assert frame[2]["landmarks"][0] == [1.5, 2.0]


def test_file_without_rows_has_none_and_says_so(dataset):
    assert find_rows(dataset) is None and find_stored_rows(dataset) is None
    with pytest.raises(DatasetError, match="got a dataset without rows, expected one that celebahq-build made"):
        read_rows(dataset)


def test_file_of_before_detail_maps_is_read_and_has_none(built):
    before = read_rows(built.output)
    with h5py.File(built.output, "r+") as file:
        del file["rows/detail_map"]
    for rows in (read_rows(built.output), next(find_stored_rows(built.output).slices())):
        assert list(rows.columns) == list(before.columns)
        assert rows["detail_map"].tolist() == [""] * len(before)
    assert {row.detail_map for row in manifest_rows(rows)} == {""}


def test_size_that_is_no_number_is_one_that_is_not_known(built):
    with h5py.File(built.output, "r+") as file:
        file["rows/width"][:] = [np.inf, -np.inf, np.nan, 7, 1e300, 0]
    rows = read_rows(built.output)
    assert [row["width"] for row in rows.as_dicts()] == [None, None, None, 7, int(1e300), 0]
    assert [row.width for row in manifest_rows(rows)] == [0, 0, 0, 7, int(1e300), 0]


def spoil(file, name):
    del file[f"rows/{name}"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: spoil(file, "score"), "got no rows/score"),
        (lambda file: (spoil(file, "score"), file.create_dataset("rows/score", data=[1.0])), "different length"),
        (lambda file: (spoil(file, "quad"), file.create_dataset("rows/quad", data=np.ones((6, 3)))), "rows/quad of"),
        (lambda file: (spoil(file, "row"), file.create_group("rows/row")), "rows/row that is no column"),
        (lambda file: file["rows/status"].write_direct(np.array([b"well"] * 6, object)), "status 'well'"),
        (lambda file: (file.pop("rows"), file.create_dataset("rows", data=[1])), "rows that is no group"),
    ],
    ids=["missing", "short", "shape", "group", "status", "dataset"],
)
def test_damaged_rows_are_one_line_and_verify_says_so(built, run, capsys, change, message):
    assert run("verify", built.output) == 0
    with h5py.File(built.output, "r+") as file:
        change(file)
    with pytest.raises(DatasetError, match=message) as caught:
        read_rows(built.output)
    assert "\n" not in str(caught.value)
    with pytest.raises(DatasetError) as looked_through:
        find_stored_rows(built.output)
    assert str(looked_through.value) == str(caught.value)
    assert run("verify", built.output) == 1
    assert message.split("'")[0] in capsys.readouterr().out


def test_verify_compares_rows_and_faces(built, run, capsys):
    with h5py.File(built.output, "r+") as file:
        row = file["rows/row"][:]
        file["rows/row"][:] = np.where(row == -1, -1, 1 - row)
    assert run("verify", built.output) == 1
    assert "source of row 0: got" in capsys.readouterr().out


def test_every_column_is_documented_in_the_formats_page():
    from pathlib import Path

    text = (Path(__file__).resolve().parents[3] / "docs" / "formats.md").read_text()
    assert not [name for name in COLUMNS if f"`{name}`" not in text]


def test_rows_are_in_one_order_whatever_the_order_of_the_manifest(built):
    from celebahq_builder.state.best_faces import choose

    _, rows = read_manifest(built.build_folder / "manifest.jsonl")
    choice = choose(rows, 2, "off")
    one, other = (file_rows(some, choice).rows.whole() for some in (rows, rows[::-1]))
    for name in one.columns:
        np.testing.assert_array_equal(one[name], other[name])


def test_kill_while_the_tables_are_written_is_made_good_by_the_same_command(
    made_photos, tmp_path, trouble, monkeypatch
):
    parquet = pytest.importorskip("pyarrow.parquet")
    config = BuildConfig(input=made_photos, output=tmp_path / "f.h5", resolution=16, workers=0, restore="off")
    with monkeypatch.context() as patch:
        patch.setattr(parquet, "ParquetWriter", lambda *args: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            build(config)
    assert config.output.exists() and not (tmp_path / "f.h5.rows.csv").exists()
    build(config)
    assert len(parquet.read_table(tmp_path / "f.h5.rows.parquet")) == len(read_rows(config.output)) == 4
    assert (tmp_path / "f.h5.rows.csv").exists() and not list(tmp_path.glob("*.partial"))
