"""Labels of imported images: the folder they lie in, or a table."""

import csv
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from celebahq_builder.image_sources import SourceError


def read_labels(labels: str | Path, names: Sequence[str]) -> np.ndarray | None:
    """Return (len(names), L) float32, or None for "none".

    Args:
        labels: "none"; "folders": the first part of a name is its class, one-hot; or a .csv file with a heading and the
            names of the images, with or without folder and suffix, in its first column: one more column is a class,
            one-hot, several are numbers.

    Raises:
        SourceError: an image without a label, or a table that is none.
    """
    if labels == "none":
        return None
    if labels == "folders":
        if loose := [name for name in names if "/" not in name]:
            raise SourceError(f"--labels folders: {loose[0]} lies in no folder of its source, one a class is wanted")
        return one_hot([name.split("/")[0] for name in names])
    return _from_table(Path(labels), names)


def one_hot(classes: Sequence[str]) -> np.ndarray:
    """Return (N, L) float32: one column a class; the classes in sorted order, by value where all are whole numbers."""
    distinct = sorted(set(classes), key=int if all(name.isdecimal() for name in classes) else str)
    index = {name: i for i, name in enumerate(distinct)}
    return np.eye(len(distinct), dtype=np.float32)[[index[name] for name in classes]]


def _from_table(path: Path, names: Sequence[str]) -> np.ndarray:
    """Read a table with a heading; its first column names images, with folder and suffix or without."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            heading, *rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise SourceError(f"{path}: no table with a heading and rows ({error})") from None
    if len(heading) < 2 or any(len(row) != len(heading) for row in rows):
        raise SourceError(
            f"{path}: rows of {sorted({len(row) for row in [heading, *rows]})} columns, one number of "
            "columns, at least 2, is wanted"
        )

    by_name = {}
    for row in rows:
        if by_name.setdefault(row[0], row[1:]) != row[1:]:
            raise SourceError(f"{path}: {row[0]} twice with different labels")
    by_stem = {str(PurePosixPath(name).with_suffix("")): label for name, label in by_name.items()}
    found = [_look_up(name, by_name, by_stem) for name in names]
    if missing := [name for name, label in zip(names, found, strict=True) if label is None]:
        raise SourceError(f"{path}: no label for {len(missing)} of {len(names)} images, the first is {missing[0]}")
    if len(heading) == 2:
        return one_hot([label[0] for label in found])
    try:
        numbers = np.array(found, dtype=np.float32)
    except ValueError:
        numbers = np.array([[np.nan]])
    if not np.isfinite(numbers).all():
        raise SourceError(f"{path}: {', '.join(heading[1:])} are not all numbers, as several columns must be")
    return numbers


def _look_up(name: str, by_name: dict[str, list[str]], by_stem: dict[str, list[str]]) -> list[str] | None:
    path = PurePosixPath(name)
    for key in (name, path.name):
        if key in by_name:
            return by_name[key]
    return by_stem.get(str(path.with_suffix("")), by_stem.get(path.stem))
