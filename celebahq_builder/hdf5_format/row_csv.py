"""Rows as the lines of a CSV: by Arrow where it is installed, else by Python's csv."""

import csv
import importlib.util
import io
import math
from typing import Any

import numpy as np

from celebahq_builder.hdf5_format.rows import Rows

_LEAST, _MOST = 1e-4, 1e10
"""Between them Arrow and Python write a number that is no integer alike."""


def csv_header(rows: Rows) -> bytes:
    """Return the first line: the names of the columns."""
    return _lines([["id", *rows.columns]])


def csv_lines(rows: Rows) -> bytes:
    """Return a line a row. Points are numbers with spaces between them, what is not known is empty."""
    if importlib.util.find_spec("pyarrow") is None:
        return by_cells(rows)
    return by_columns(rows)


def by_cells(rows: Rows) -> bytes:
    """Return the lines of rows, by Python's csv."""
    columns = [map(_cell, _flat(column).tolist()) for column in rows.columns.values()]
    return _lines(zip(rows.ids, *columns, strict=True))


def by_columns(rows: Rows) -> bytes:
    """Return the same bytes, by Arrow: a seventh of the time."""
    import pyarrow
    import pyarrow.compute as pc

    kind = pyarrow.large_binary()
    cells = {name: _texts(column).cast(kind) for name, column in rows.columns.items()}
    ids = pc.binary_join_element_wise(cells["source"], cells["face_index"], pyarrow.scalar(b"#", kind))
    written = [_quoted(column) for column in (ids, *cells.values())]
    lines = pc.binary_join_element_wise(*written, pyarrow.scalar(b",", kind))
    lines = pc.binary_join_element_wise(lines, pyarrow.scalar(b"", kind), pyarrow.scalar(b"\n", kind))
    _, ends, data = lines.buffers()
    return memoryview(data)[: np.frombuffer(ends, np.int64)[len(rows)]].tobytes()


def _texts(column: np.ndarray) -> Any:
    """Return a column as Arrow's texts or bytes."""
    import pyarrow
    import pyarrow.compute as pc

    if column.dtype == object:
        texts = column if column.ndim == 1 else np.array([_cell(some) for some in _flat(column).tolist()], object)
        try:
            return pyarrow.array(texts, pyarrow.string())
        except UnicodeEncodeError:  # bytes of a name that are no UTF-8
            return pyarrow.array([text.encode("utf-8", "surrogateescape") for text in texts], pyarrow.binary())
    if column.dtype.kind not in "iuf":
        return pyarrow.array([_cell(values) for values in _flat(column).tolist()], pyarrow.string())
    known = ~np.isnan(column) if column.dtype.kind == "f" else np.ones(column.shape, bool)
    numbers = column[known]
    texts = _numbers(numbers.astype(np.float64)) if column.dtype.kind == "f" else _integers(numbers)
    ends = np.cumsum(_flat(known).sum(1), dtype=np.int32)
    return pc.binary_join(pyarrow.ListArray.from_arrays(np.r_[np.int32(0), ends], texts), " ")


def _flat(column: np.ndarray) -> np.ndarray:
    flat = column.reshape(len(column), math.prod(column.shape[1:]))
    return flat.astype(np.float64) if flat.dtype == np.longdouble else flat


def _integers(numbers: np.ndarray) -> Any:
    import pyarrow

    return pyarrow.array(numbers).cast(pyarrow.string())


def _numbers(numbers: np.ndarray) -> Any:
    """Return (n,) float64 as texts, each as Python writes it."""
    import pyarrow
    import pyarrow.compute as pc

    size = np.abs(numbers)
    alike = (size >= _LEAST) & (size < _MOST) & (numbers != np.floor(numbers))
    coded = pyarrow.array(numbers[~alike].view(np.int64)).dictionary_encode()  # zeros, widths ...: the same few
    words = coded.dictionary.to_numpy(zero_copy_only=False).view(np.float64).tolist()
    others = pyarrow.array([str(word) for word in words], pyarrow.string()).take(coded.indices)
    texts = pyarrow.array(numbers).cast(pyarrow.string())
    return pc.replace_with_mask(texts, pyarrow.array(~alike), others)


def _quoted(cells: Any) -> Any:
    """Return cells as a CSV has them: those with a comma, a quotation mark or the end of a line in quotation marks."""
    import pyarrow
    import pyarrow.compute as pc

    wants = pc.match_substring_regex(cells, '[,"\r\n]')
    if not pc.any(wants).as_py():
        return cells
    texts = [text.decode("utf-8", "surrogateescape") for text in cells.filter(wants).to_pylist()]
    quoted = [_lines([[text, ""]])[:-2] for text in texts]
    return pc.replace_with_mask(cells, wants, pyarrow.array(quoted, cells.type))


class _Text(io.StringIO):
    """Lines of a csv.writer, which end with CR and LF, kept with LF alone.

    Before Python 3.13 it quotes a CR only where lines end with it, and its own reader refuses one that is not quoted.
    """

    def write(self, line: str) -> int:
        return super().write(f"{line[:-2]}\n")


def _lines(rows: Any) -> bytes:
    text = _Text()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _cell(values: list[Any]) -> str:
    known = [str(value) for value in values if not (isinstance(value, float) and math.isnan(value))]
    return " ".join(known)
