"""The rows of a dataset as tables beside it: <output>.rows.csv for people, .rows.parquet where pyarrow is installed."""

import importlib.util
import math
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np

from celebahq.files import write_atomic
from celebahq_builder.hdf5_format.row_csv import csv_header, csv_lines
from celebahq_builder.hdf5_format.rows import Rows, SlicedRows


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


def write_row_tables(dataset: Path, rows: SlicedRows) -> None:
    """Write the tables of a dataset, slice by slice; those of before are replaced.

    In the CSV, points are numbers with spaces between them, and what is not known is empty. Names keep their bytes
    (surrogateescape) in it; in parquet, bytes that are no UTF-8 are spelled out.
    """
    if importlib.util.find_spec("pyarrow") is None:
        parquet_path(dataset).unlink(missing_ok=True)  # of before, which would tell of other rows
    else:
        with write_atomic(parquet_path(dataset)) as file:
            _write_parquet(file, rows.slices())
    with write_atomic(csv_path(dataset)) as file:  # the last one: are_tables_of looks at it
        for i, some in enumerate(rows.slices()):
            if i == 0:
                file.write(csv_header(some))
            file.write(csv_lines(some))


def _write_parquet(file: IO[bytes], slices: Iterable[Rows]) -> None:
    import pyarrow
    import pyarrow.parquet

    writer = None
    for some in slices:
        schema = pyarrow.schema([(name, _arrow_type(column)) for name, column in some.columns.items()])
        arrays = [_array(some[name], schema.field(name).type) for name in schema.names]
        writer = writer or pyarrow.parquet.ParquetWriter(file, schema)
        writer.write_table(pyarrow.table(arrays, schema=schema))
    if writer is not None:
        writer.close()


def _arrow_type(column: np.ndarray) -> Any:
    """Return the type of a column, points as lists of lists; the same for every slice."""
    import pyarrow

    kinds = {"O": pyarrow.string(), "f": pyarrow.float64(), "b": pyarrow.bool_()}
    kind = kinds.get(column.dtype.kind, pyarrow.uint64() if column.dtype == np.uint64 else pyarrow.int64())
    for _ in column.shape[1:]:
        kind = pyarrow.list_(kind)
    return kind


def _array(column: np.ndarray, kind: Any) -> Any:
    """Return a column as Arrow's array of _arrow_type."""
    import pyarrow

    found, inner = column.ravel(), kind
    while pyarrow.types.is_list(inner):
        inner = inner.value_type
    if column.dtype == object:
        try:
            found = pyarrow.array(found, inner)
        except UnicodeEncodeError:
            escaped = (text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") for text in found)
            found = pyarrow.array(list(escaped), inner)
    else:
        found = pyarrow.array(found.astype(np.float64) if column.dtype.kind == "f" else found).cast(inner)
    for axis in range(column.ndim - 1, 0, -1):
        ends = np.arange(math.prod(column.shape[:axis]) + 1, dtype=np.int32) * np.int32(column.shape[axis])
        found = pyarrow.ListArray.from_arrays(ends, found)
    return found
