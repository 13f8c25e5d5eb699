"""A table of rows is the list of them, wherever they lie; Arrow reads a journal as Python does."""

import contextlib
import pickle
import random
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from celebahq_builder import process_photos
from celebahq_builder.build import build
from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.hdf5_format.row_slices import RowSlices
from celebahq_builder.hdf5_format.rows import rows_of_dicts
from celebahq_builder.state import read_journal, row_table
from celebahq_builder.state.best_faces import choose
from celebahq_builder.state.failure import NOT_FETCHED
from celebahq_builder.state.manifest import Row, read_manifest, write_manifest
from celebahq_builder.state.row_table import RowTable

HEADER = {"resolution": 64}
QUAD = ((0.0, -0.0), (0.5, 10.25), (10.0, 1e-300), (1 / 3, 7.0))


def random_photo(rng: random.Random, i: int, odd: bool) -> list[Row]:
    """The rows of one photo: one, or several; `odd`: with what Arrow does not take."""
    count = rng.choice([1, 1, 1, 2, 5])
    name = rng.choice(["\udcff", "\n", "smile \U0001f600", "日本"]) if odd else rng.choice(["a", "日本/語", '"x"'])
    base = Row(source=f"{name}{i}.jpg", source_bytes=i, source_mtime_ns=10**18 + i, status="aligned", rows=count)
    rows = []
    for k in range(count):
        row = replace(base, face_index=k, score=rng.choice([0.5, 0.25, rng.random()]), num_judged=0, width=7)
        row = replace(row, pixel_sha256=f"{rng.randrange(4):064x}", quad=rng.choice([None, QUAD, QUAD[::-1]]))
        kind = rng.randrange(6)
        if kind == 0:
            row = replace(row, status="refused", reason=rng.choice(["no face found", NOT_FETCHED]), score=None)
            row = replace(row, pixel_sha256=rng.choice(["", row.pixel_sha256]))  # none where it cannot be decoded
        elif kind == 1:
            row = replace(row, outcome="row 7", place=rng.randrange(9))
        elif kind == 2 and odd:
            row = replace(row, pixel_sha256="no digest")
        rows.append(row)
    return [replace(rows[0], face_index=-1)] if count == 1 and rows[0].score is None else rows


@pytest.fixture(params=["by Arrow", "one by one"])
def read(request, monkeypatch):
    """read_manifest, some rows at a time."""
    if request.param == "by Arrow":
        pytest.importorskip("pyarrow")
    monkeypatch.setattr(read_journal, "FEW_BYTES", 0 if request.param == "by Arrow" else 1 << 40)
    monkeypatch.setattr(read_journal, "BLOCK_BYTES", 9000)
    monkeypatch.setattr(read_journal, "_WINDOW_BYTES", 300)
    monkeypatch.setattr(row_table, "_BYTES_AT_ONCE", 3000)
    return read_manifest


@pytest.mark.parametrize("seed", range(4))
def test_journal_is_the_list_of_its_rows(read, tmp_path, seed):
    rng = random.Random(seed)
    rows = [row for i in range(60) for row in random_photo(rng, i, odd=seed % 2 == 1 and i % 7 == 0)]
    path = tmp_path / "m.jsonl"
    write_manifest(path, HEADER, rows)
    header, table = read(path)
    assert header == HEADER and table == rows and len(table) == len(rows)
    packed = RowTable(rows)
    assert [table.key(i) for i in range(len(rows))] == [row.key for row in rows]
    assert list(table.looked) == list(packed.looked)
    assert [row for row in rows if row.outcome or row.reason == NOT_FETCHED] == list(table.looked)
    assert table.aligned.tolist() == [i for i, row in enumerate(rows) if row.status == "aligned"]
    np.testing.assert_array_equal(table.keys_of(table.aligned), packed.keys_of(packed.aligned))
    np.testing.assert_array_equal(table.same_of(table.aligned), packed.same_of(packed.aligned))
    assert all(table.stamp(i) == (packed.stamp(i)) for i in range(len(rows)))
    assert table.sources() == {row.source for row in rows} and table.num_photos() == 60
    for keep in (3, 40):
        assert choose(table, keep, "exact") == choose(rows, keep, "exact")


def test_arrow_takes_usual_rows_itself(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    rng = random.Random(0)
    rows = [row for i in range(60) for row in random_photo(rng, i, odd=False)]
    write_manifest(tmp_path / "m.jsonl", HEADER, rows)
    monkeypatch.setattr(read_journal, "FEW_BYTES", 0)
    monkeypatch.setattr(read_journal, "_one_by_one", None)
    assert read_manifest(tmp_path / "m.jsonl") == (HEADER, rows)


def test_equal_faces_have_equal_hashes_and_others_other_ones():
    face = Row(
        source="a", source_bytes=1, source_mtime_ns=1, status="aligned", pixel_sha256="0" * 64, quad=QUAD, score=1
    )
    zeros = ((0.0, 0.0),) * 4
    others = [face, replace(face, quad=None), replace(face, quad=zeros), replace(face, face_index=1)]
    others += [
        replace(face, pixel_sha256="1" + "0" * 63),
        replace(face, pixel_sha256="x"),
        replace(face, quad=QUAD[::-1]),
    ]
    table = RowTable([*others, replace(face, source="b", score=2, quad=((0, 0), *QUAD[1:]))])  # whole numbers are equal
    same = [tuple(pair) for pair in table.same_of(np.arange(8)).tolist()]
    assert len(set(same)) == 7 and same[7] == same[0]


def test_journal_truncated_or_changed_anywhere_reads_the_same_both_ways(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    rng = random.Random(1)
    path, cut = tmp_path / "m.jsonl", tmp_path / "cut.jsonl"
    write_manifest(path, HEADER, [row for i in range(8) for row in random_photo(rng, i, odd=False)])
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    copies = [data[:end] for end in range(len(lines[0]), len(data), 211)]
    copies += [b"".join([*lines[:k], *lines[k + 1 :]]) for k in range(1, len(lines))]
    copies += [b"".join([*lines[:k], b"{}\n", *lines[k:]]) for k in (1, 3, len(lines))]
    for copy in copies:
        cut.write_bytes(copy)
        found = []
        for few, block in ((0, 1 << 20), (1 << 40, 1 << 20), (0, 1500), (1 << 40, 1500)):
            monkeypatch.setattr(read_journal, "FEW_BYTES", few)
            monkeypatch.setattr(read_journal, "BLOCK_BYTES", block)
            monkeypatch.setattr(read_journal, "_WINDOW_BYTES", block // 8)
            try:
                found.append(list(read_manifest(cut)[1]))
            except BuildError as error:
                found.append(str(error))
        assert all(other == found[0] for other in found[1:])


def test_rows_stay_when_the_journal_is_replaced_and_go_to_another_process_as_a_list(tmp_path):
    rng = random.Random(2)
    rows = [row for i in range(9) for row in random_photo(rng, i, odd=False)]
    path = tmp_path / "m.jsonl"
    write_manifest(path, HEADER, rows)
    _, table = read_manifest(path)
    write_manifest(path, HEADER, [])
    more = [replace(rows[0], source="late.jpg")]
    table += more
    seen = []
    for row in table:  # others read in between
        seen.append(row)
        assert table[-1] == more[0]
    assert seen == rows + more and table == rows + more
    assert pickle.loads(pickle.dumps(table[2:5])) == rows[2:5]


def test_build_that_was_killed_before_its_first_photo_keeps_the_header(made_photos, trouble, tmp_path, monkeypatch):
    config = BuildConfig(input=made_photos, output=tmp_path / "f.h5", resolution=16, restore="off", workers=0)
    plain, left = process_photos.process_task, [0]

    def ends(task):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return plain(task)

    monkeypatch.setattr(process_photos, "process_task", ends)
    for count in (0, 2, 4):
        left[0] = count
        with contextlib.suppress(KeyboardInterrupt):
            build(config)
    assert trouble["worked on"] == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"] and config.output.exists()


def test_full_disk_of_temporary_files_says_where_they_lie(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", lambda **options: Path("/dev/full").open("r+b"))  # noqa: SIM115
    row = Row(source="a.jpg", source_bytes=1, source_mtime_ns=1, status="refused")
    rows = rows_of_dicts([{"source": "a.jpg", "face_index": 0}])
    writes = {tempfile.gettempdir(): lambda: RowTable([row]), str(tmp_path): lambda: RowSlices(tmp_path).append(rows)}
    for folder, write in writes.items():
        with pytest.raises(OSError, match="No space left on device") as caught:
            write()
        assert caught.value.filename == folder
