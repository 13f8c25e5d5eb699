"""Tables by columns: the same bytes and values as cell by cell, whatever a cell holds."""

import csv
import io

import h5py
import numpy as np
import pytest

from celebahq_builder.hdf5_format import row_tables
from celebahq_builder.hdf5_format.row_csv import by_cells, by_columns, csv_header, csv_lines
from celebahq_builder.hdf5_format.rows import COLUMNS, Rows, columns_of_dicts, read_rows, write_rows

parquet = pytest.importorskip("pyarrow.parquet")
TEXTS = ["", "plain", "a, b", 'says "so"', "two\nlines", "cr\rhere", "é 雪", "f/\udcff.jpg", " led", "#", "-1", "nan"]
NUMBERS = [
    *(0.0, -0.0, 1.0, -3.25, 0.1, 1e-4, 9.999e-5, 1e-5, 1e-7, 5e-324, 9999999999.5, 1e10, 12345678901.5, 1e15, 1e16),
    *(1e22, 1e300, 2**53 + 1.0, np.inf, -np.inf, np.nan),
]


def random_rows(count, seed=0):
    rng = np.random.default_rng(seed)
    numbers = np.r_[NUMBERS, rng.random(200) * 10.0 ** rng.integers(-8, 18, 200), rng.random(50).astype(np.float32)]
    columns = {}
    for name, (kind, shape) in COLUMNS.items():
        size = (count, *shape)
        if np.dtype(kind).kind in "OS":
            columns[name] = rng.choice(np.array(TEXTS, object), size)
        elif np.dtype(kind).kind == "f":
            with np.errstate(over="ignore"):
                columns[name] = rng.choice(numbers, size).astype(kind)
        else:
            columns[name] = rng.integers(-(2**31), 2**31, size).astype(kind)
    columns["of another program"] = rng.random(count) < 0.5
    columns["counts"] = rng.integers(0, 255, (count, 3)).astype(np.uint8)
    columns["words"] = rng.choice(np.array(TEXTS, object), (count, 2))
    columns["no entries"] = np.empty((count, 2, 0))
    columns["large"] = rng.integers(2**63, 2**64, count, np.uint64)
    return Rows(columns)


@pytest.mark.parametrize("count", [0, 1, 700])
def test_lines_by_columns_are_those_by_cells(count):
    rows = random_rows(count)
    assert by_columns(rows) == by_cells(rows) == csv_lines(rows)
    if count > 1:
        assert all(text in by_cells(rows) for text in (b'"two\nlines"', b'"says ""so"""', b"f/\xff.jpg#", b" -0.0 "))


def test_lines_without_arrow_are_the_same(monkeypatch):
    rows = random_rows(30)
    wanted = csv_lines(rows)
    monkeypatch.setattr("celebahq_builder.hdf5_format.row_csv.by_columns", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert csv_lines(rows) == wanted


def test_every_text_is_read_back_by_csv():
    rows = columns_of_dicts([{"source": text, "face_index": 0, "detail": text} for text in TEXTS], len(TEXTS))
    for lines in (by_cells(rows), by_columns(rows)):
        text = io.StringIO((csv_header(rows) + lines).decode("utf-8", "surrogateescape"), newline="")
        read = list(csv.DictReader(text))
        assert [(row["id"], row["source"], row["detail"]) for row in read] == [(f"{t}#0", t, t) for t in TEXTS]


def test_columns_of_another_program_go_from_file_to_file_and_tables(tmp_path):
    rows = random_rows(5)
    rows.columns["wide"] = np.array([0.1, np.nan, 1.0, 0.1, -2.5], np.longdouble)
    rows.columns["status"][:] = "kept"
    with h5py.File(tmp_path / "a.h5", "w") as file:
        write_rows(file, rows)
    found = read_rows(tmp_path / "a.h5")
    for name in ("words", "no entries", "large", "wide"):
        np.testing.assert_array_equal(found[name], rows[name])
    row_tables.write_row_tables(tmp_path / "a.h5", found)
    table = parquet.read_table(tmp_path / "a.h5.rows.parquet")
    assert np.array_equal(table["wide"].to_numpy(), rows["wide"].astype(np.float64), equal_nan=True)
    assert by_columns(found[1:]) == by_cells(found[1:])


def test_rows_of_which_nothing_is_known_are_commas():
    rows = columns_of_dicts([{"source": "a.jpg", "face_index": 0}], 1)
    assert csv_header(rows) == b"id," + ",".join(COLUMNS).encode() + b"\n"
    assert by_columns(rows) == by_cells(rows)
    assert by_columns(rows).startswith(b"a.jpg#0,a.jpg,,0,,,,,,,,")


def test_columns_of_parquet_are_those_of_plain_lists():
    rows = random_rows(200)
    file = io.BytesIO()
    row_tables._write_parquet(file, [rows, random_rows(0)])
    table = parquet.read_table(io.BytesIO(file.getvalue()))
    assert table.num_rows == 200
    for name, column in rows.columns.items():
        wanted = column.tolist()
        if column.dtype == object:
            wanted = np.vectorize(lambda text: text.replace("\udcff", "\\xff"), [object])(column).tolist()
        assert str(table[name].to_pylist()) == str(wanted), name
