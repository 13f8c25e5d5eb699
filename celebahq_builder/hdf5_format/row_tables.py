"""The rows of a dataset as tables beside it: <output>.rows.csv for people, .rows.parquet where pyarrow is installed."""

import csv
import importlib.util
import io
import math
from pathlib import Path
from typing import Any

import numpy as np

from celebahq.files import write_atomic
from celebahq_builder.hdf5_format.rows import Rows


def csv_path(dataset: Path) -> Path:
    return dataset.with_name(dataset.name + ".rows.csv")


def parquet_path(dataset: Path) -> Path:
    return dataset.with_name(dataset.name + ".rows.parquet")


def are_tables_of(dataset: Path) -> bool:
    """Say whether the tables were written after the dataset: a kill may have come between."""
    try:
        return csv_path(dataset).stat().st_mtime_ns >= dataset.stat().st_mtime_ns
    except OSError:
        return False


def write_row_tables(dataset: Path, rows: Rows) -> None:
    """Write the tables of a dataset; those of before are replaced.

    In the CSV, points are numbers with spaces between them, and what is not known is empty. Names keep their bytes
    (surrogateescape) in it; in parquet, bytes that are no UTF-8 are spelled out.
    """
    if importlib.util.find_spec("pyarrow") is None:
        parquet_path(dataset).unlink(missing_ok=True)  # of before, which would tell of other rows
    else:
        import pyarrow
        import pyarrow.parquet

        table = pyarrow.table({name: pyarrow.array(_plain(column)) for name, column in rows.columns.items()})
        with write_atomic(parquet_path(dataset)) as file:
            pyarrow.parquet.write_table(table, file)
    with write_atomic(csv_path(dataset)) as file:  # the last one: are_tables_of looks at it
        file.write(_csv(rows))


def _csv(rows: Rows) -> bytes:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["id", *rows.columns])
    columns = [map(_cell, column.reshape(len(rows), -1).tolist()) for column in rows.columns.values()]
    table.writerows(zip(rows.ids, *columns, strict=True))
    return text.getvalue().encode("utf-8", "surrogateescape")


def _cell(values: list[Any]) -> str:
    known = [str(value) for value in values if not (isinstance(value, float) and math.isnan(value))]
    return " ".join(known)


def _plain(column: np.ndarray) -> list[Any]:
    if column.dtype != object:
        return column.tolist()
    return [text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") for text in column]
