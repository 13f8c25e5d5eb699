"""celebahq-data compare: do two files hold the same, dataset by dataset and row by row?"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import h5py
import numpy as np
import tyro

from celebahq.files import printable
from celebahq.options import check_options
from celebahq.progress import progress
from celebahq_builder.hdf5 import DatasetError, open_dataset
from celebahq_builder.hdf5_format.levels import key_text
from celebahq_builder.hdf5_format.shards import ShardedData

_log = logging.getLogger("celebahq.data")

_BLOCK_BYTES = 64 << 20
Stored: TypeAlias = h5py.Dataset | ShardedData


@dataclass(frozen=True)
class CompareConfig:
    """Compare two dataset files; exit code 1 when a row of any dataset differs, or a dataset is missing in one.

    Root attributes are shown where they differ, and do not count: they name commands and folders, not faces.

    Example: celebahq-data compare celebahq.h5 rebuilt.h5
    """

    a: Annotated[Path, tyro.conf.Positional]
    """One dataset file."""
    b: Annotated[Path, tyro.conf.Positional]
    """Another."""

    def __post_init__(self) -> None:
        check_options(self)


def compare(config: CompareConfig) -> bool:
    """Print a line a dataset; return whether all of them are equal."""
    equal = True
    # a clear refusal of what is no dataset
    with open_dataset(config.a, every_text=True) as one, open_dataset(config.b, every_text=True) as other:
        a, b, attributes = one.stored(), other.stored(), (one.attributes, other.attributes)
        for name in sorted(_datasets(a.file) | _datasets(b.file), key=_largest_first):
            try:
                difference = compare_dataset(a.get(name), b.get(name))
            except DatasetError:
                raise
            except (OSError, RuntimeError, ValueError, TypeError) as error:
                raise DatasetError(f"{config.a}, {config.b}: got {name} damaged ({error}), expected rows") from None
            _log.info(printable(f"{key_text(name):<22} {difference or 'equal'}"))
            equal &= difference is None
        for name in sorted(attributes[0].keys() | attributes[1].keys()):
            first, second = (found.get(name) for found in attributes)
            if not _equal(first, second):
                _log.info(printable(f"attribute {name}: {_short(first)} against {_short(second)}"))
    _log.info("the faces are the same" if equal else "the files differ")
    return equal


def _equal(a: Any, b: Any) -> bool:
    return np.array_equal(a, b)


def compare_dataset(a: Stored | None, b: Stored | None) -> str | None:
    """Return how two datasets differ, or None when shape, kind and every row are equal."""
    if not isinstance(a, Stored) or not isinstance(b, Stored):
        return f"only in the {'first' if isinstance(a, Stored) else 'second'} file"
    if a.shape != b.shape or a.dtype != b.dtype:
        return f"{a.shape} {a.dtype} against {b.shape} {b.dtype}"
    if not a.shape:
        return None if _equal(_scalar(a), _scalar(b)) else "differs"
    if a.dtype.hasobject and h5py.check_string_dtype(a.dtype) is None:
        return f"{a.dtype}, which cannot be compared"
    rows = max(1, _BLOCK_BYTES // max(1, int(np.prod(a.shape[1:])) * a.dtype.itemsize))
    differing = []
    with progress("rows", len(a)) as bar:
        for start in range(0, len(a), rows):
            x, y = a[start : start + rows], b[start : start + rows]
            unequal = x != y
            if x.dtype.kind in "fc":
                unequal &= ~((x != x) & (y != y))  # a NaN equals a NaN
            differing += (start + np.flatnonzero(unequal.reshape(len(x), -1).any(axis=1))).tolist()
            bar.advance(len(x))
    if not differing:
        return None
    return f"{len(differing)} of {len(a)} rows differ, the first is {differing[0]}"


def _scalar(item: h5py.Dataset) -> object:
    return "empty" if item.shape is None else item[()]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}... ({len(text):,} characters)"


def _datasets(file: h5py.File) -> set[str]:
    names = set()
    file.visititems(lambda name, item: names.add(name) if isinstance(item, h5py.Dataset) else None)
    return names


def _largest_first(key: str | bytes) -> tuple:
    name = key_text(key)
    side = name.removeprefix("data").split("x")[0]
    return (0, -int(side), name) if side.isdecimal() and len(side) < 9 else (1, 0, name)
