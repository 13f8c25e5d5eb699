"""celebahq-data compare: do two files hold the same, dataset by dataset and row by row?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import h5py
import numpy as np
import tyro

from celebahq_builder.hdf5 import open_dataset

_BLOCK_BYTES = 64 << 20


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


def compare(config: CompareConfig) -> bool:
    """Print a line a dataset; return whether all of them are equal."""
    for path in (config.a, config.b):
        open_dataset(path).close()  # a clear refusal of what is no dataset
    equal = True
    with h5py.File(config.a, "r") as a, h5py.File(config.b, "r") as b:
        for name in sorted(_datasets(a) | _datasets(b), key=_largest_first):
            difference = compare_dataset(a.get(name), b.get(name))
            print(f"{name:<22} {difference or 'equal'}")
            equal &= difference is None
        for name in sorted(a.attrs.keys() | b.attrs.keys()):
            if a.attrs.get(name) != b.attrs.get(name):
                print(f"attribute {name}: {a.attrs.get(name)!r} against {b.attrs.get(name)!r}")
    print("the faces are the same" if equal else "the files differ")
    return equal


def compare_dataset(a: h5py.Dataset | None, b: h5py.Dataset | None) -> str | None:
    """Return how two datasets differ, or None when shape, kind and every row are equal."""
    if a is None or b is None:
        return f"only in the {'second' if a is None else 'first'} file"
    if a.shape != b.shape or a.dtype != b.dtype:
        return f"{a.shape} {a.dtype} against {b.shape} {b.dtype}"
    rows = max(1, _BLOCK_BYTES // max(1, int(np.prod(a.shape[1:])) * a.dtype.itemsize))
    differing = []
    for start in range(0, len(a), rows):
        x, y = a[start : start + rows], b[start : start + rows]
        unequal = (x != y) & ~((x != x) & (y != y))  # a NaN equals a NaN
        differing += (start + np.flatnonzero(unequal.reshape(len(x), -1).any(axis=1))).tolist()
    if not differing:
        return None
    return f"{len(differing)} of {len(a)} rows differ, the first is {differing[0]}"


def _datasets(file: h5py.File) -> set[str]:
    names = set()
    file.visititems(lambda name, item: names.add(name) if isinstance(item, h5py.Dataset) else None)
    return names


def _largest_first(name: str) -> tuple:
    side = name.removeprefix("data").split("x")[0]
    return (0, -int(side), name) if side.isdecimal() else (1, 0, name)
