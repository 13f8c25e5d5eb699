"""celebahq-data select, drop, sort: some rows of a dataset, or all in another order, as a dataset of their own."""

import itertools
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from celebahq.files import printable
from celebahq.options import check_options
from celebahq_builder.hdf5 import DatasetError
from celebahq_builder.hdf5_format.part import Part, PartRows, moved_rows, open_part, write_parts
from celebahq_builder.hdf5_format.row_tables import write_row_tables
from celebahq_builder.hdf5_format.where import where
from celebahq_builder.marks import MARKS_VERSION, UNMEASURED
from celebahq_builder.state.name_lists import NameList, count_and_show, read_name_list, unmatched

_log = logging.getLogger("celebahq.data")
_UNKNOWN_IS_MINUS_1 = ("place", "num_judged", "num_rows", "turned", "source_bytes", "source_mtime_ns")


@dataclass(frozen=True)
class SelectConfig:
    """Write the rows that fulfil a condition as a new dataset, with labels, masks and all columns.

    Conditions compare columns (of `info`, or of the rows: width, height, eye_distance ...) with numbers and
    quoted text: < <= > >= = != has, and, or, not, brackets.

    Example: celebahq-data select faces.h5 --output good.h5 --where "score > .3 and invented < .02 and width > 600"
    """

    file: Annotated[Path, tyro.conf.Positional]
    """A dataset file."""
    output: Path
    """The dataset to make."""
    where: str | None = None
    """Condition that a row must fulfil."""
    exclude: Path | None = None
    """List of photos, or of faces as `photo.jpg#0`, to leave out, one a line."""
    per_identity: int | None = None
    """At most so many faces of one person, the first ones. Persons are told apart by faces/identity where the file has
    it, else by dlib's face descriptor, which takes a tenth of a second a face."""
    same_below: float = 0.5
    """Distance of two descriptors below which they are of one person."""
    top: int | None = None
    """At most so many rows, the first ones of those."""

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class DropConfig:
    """Write a dataset without the rows that a list names.

    Example: celebahq-data drop faces.h5 --exclude faces.h5.exclude.txt --output good.h5
    """

    file: Annotated[Path, tyro.conf.Positional]
    """A dataset file."""
    output: Path
    """The dataset to make."""
    exclude: Path
    """List of photos, or of faces as `photo.jpg#0`, one a line."""

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class SortConfig:
    """Write the rows of a dataset in another order, the largest value first.

    Example: celebahq-data sort faces.h5 --by eye_distance --output sorted.h5
    """

    file: Annotated[Path, tyro.conf.Positional]
    """A dataset file."""
    output: Path
    """The dataset to make."""
    by: str = "score"
    """Column to sort by; rows that are equal stay in their order, unknown values come last."""
    ascending: bool = False
    """The least value first."""

    def __post_init__(self) -> None:
        check_options(self)


def select(config: SelectConfig) -> None:
    """Write the chosen rows; DatasetError or WhereError in one line where there are none, or a name is unknown."""
    for name in ("top", "per_identity"):
        value = getattr(config, name)
        if value is not None and value < 1:
            raise DatasetError(f"--{name.replace('_', '-')}: got {value}, expected at least 1")
    with open_part(config.file) as part:
        chosen = np.ones(len(part.dataset), bool)
        if config.where is not None:
            columns = row_columns(part)
            _warn_of_unknown_marks(part, config.where, columns)
            chosen &= where(config.where, columns)
        if config.exclude is not None:
            chosen &= ~_listed(part, config.exclude)
        rows = np.flatnonzero(chosen).tolist()
        if config.per_identity is not None:
            from celebahq_builder.commands.identities import identities, of_each

            rows = of_each(identities(part.dataset, rows, config.same_below), rows, config.per_identity)
        words = [
            f"--{name}" for name in ("where", "exclude", "per_identity", "top") if getattr(config, name) is not None
        ]
        _write(config.output, part, rows[: config.top], "select", " ".join(words).replace("_", "-"))


def drop(config: DropConfig) -> None:
    """Write all rows but those that the list names."""
    with open_part(config.file) as part:
        _write(config.output, part, np.flatnonzero(~_listed(part, config.exclude)).tolist(), "drop", "--exclude")


def sort(config: SortConfig) -> None:
    """Write the rows in another order."""
    with open_part(config.file) as part:
        columns = row_columns(part)
        if config.by not in columns:
            raise DatasetError(f"--by: got {config.by}, expected one of {', '.join(sorted(columns))}")
        _write(config.output, part, order_by(columns[config.by], config.ascending), "sort", f"--by {config.by}")


def order_by(values: np.ndarray, ascending: bool = False) -> list[int]:
    """Return the places of values in order; equal ones keep theirs, nan comes last."""
    if values.dtype.kind in "OU":
        return sorted(range(len(values)), key=lambda i: values[i], reverse=not ascending)
    numbers = values.astype(np.float64)
    keys = np.where(np.isnan(numbers), np.inf, numbers if ascending else -numbers)
    return np.argsort(keys, kind="stable").tolist()


def row_columns(part: Part) -> dict[str, np.ndarray]:
    """Return what a condition may name: (N,) each, of `faces`, of `rows`, the labels by name, `row` and `label`.

    A label whose name one of the others has is `label.name`, and a line says so. Unknown numbers are nan.
    """
    dataset = part.dataset
    columns: dict[str, np.ndarray] = {}
    numbers: dict[str, np.ndarray] = {}
    if dataset.labels is not None:
        names = dataset.label_names or tuple(f"label{i}" for i in range(dataset.labels.shape[1]))
        columns |= {name: dataset.labels[:, i] for i, name in enumerate(names)}
        if dataset.labels.shape[1] > 1 and (np.sort(dataset.labels, axis=1)[:, :-1] == 0).all():
            numbers["label"] = np.array(names, object)[dataset.labels.argmax(1)]
    if part.rows is not None:
        numbers |= {name: _known(name, column) for name, column in _columns_of_kept(part, part.rows).items()}
    numbers |= {name: _known(name, column) for name, column in dataset.faces.items() if column.ndim == 1}
    numbers["row"] = np.arange(len(dataset))
    for name in sorted(columns.keys() & numbers.keys()):
        columns[f"label.{name}"] = columns.pop(name)
        _log.info(
            f"labels: {printable(name)} is also a number of every row; the label is called label.{printable(name)}"
        )
    return columns | numbers


def _columns_of_kept(part: Part, rows: PartRows) -> dict[str, np.ndarray]:
    """Return what the rows say of each face of the file, one number or text a face, in its order."""
    kept = [some[some["row"] != -1] for some in rows.slices()]
    columns = {
        name: np.concatenate([some[name] for some in kept]) for name in kept[0].columns if kept[0][name].ndim == 1
    }
    if not np.array_equal(np.unique(columns["row"]), np.arange(len(part.dataset))):
        found = f"other rows than its {len(part.dataset)} faces"
        raise DatasetError(f"{part.path}: got {found}, expected each of them once")
    places = np.empty(len(part.dataset), np.int64)
    places[columns["row"]] = np.arange(len(columns["row"]))
    return {name: column[places] for name, column in columns.items()}


def _warn_of_unknown_marks(part: Part, condition: str, columns: dict[str, np.ndarray]) -> None:
    """A face without a mark and one that was never looked at are not the same; a condition takes both for the first."""
    if not re.search(r"\bmarks\b", condition):
        return
    number = len(part.dataset)
    if part.dataset.attributes.get("marks_version", 0) == MARKS_VERSION:
        number = sum(UNMEASURED in str(text).split() for text in columns.get("marks", ()))
    if number:
        _log.warning(
            f"--where: marks of {number:,} of {len(part.dataset):,} faces are not known, and count as none; the "
            "command of the build with --refuse measures them"
        )


def _known(name: str, column: np.ndarray) -> np.ndarray:
    """A column in which -1 stands for "not known", with nan for it; else the same."""
    if name in _UNKNOWN_IS_MINUS_1 and (column == -1).any():
        return np.where(column == -1, np.nan, column)
    return column


def _listed(part: Part, path: Path) -> np.ndarray:
    """Return which rows a list names; what it names beside them is counted and shown."""
    ids = part.ids()
    names: NameList = read_name_list("--exclude", path, frozenset(source for source, _ in ids))
    slices = () if part.rows is None else part.rows.slices()
    others = (zip(some["source"], some["face_index"].tolist(), strict=True) for some in slices)
    if missing := unmatched(names, itertools.chain(ids, itertools.chain.from_iterable(others))):
        _log.warning(f"--exclude: {count_and_show(missing, len(names.entries()))}")
    return np.array([source in names.photos or (source, index) in names.faces for source, index in ids], bool)


def _write(output: Path, part: Part, rows: Sequence[int], command: str, words: str) -> None:
    if not rows:
        raise DatasetError(f"{part.path}: got none of its {len(part.dataset):,} rows left, expected at least one")
    places = {row: i for i, row in enumerate(rows)}
    moved = None if part.rows is None else moved_rows(part.rows, places, f"left out by celebahq-data {command}")
    edited = f"{command} {words}".strip()
    write_parts(output, [part], [(0, row) for row in rows], names=list(part.faces), rows=moved, edited=edited)
    if moved is not None:
        write_row_tables(output, moved)
    _log.info(f"{printable(output)}: {len(rows):,} of {len(part.dataset):,} rows of {printable(part.path)}")
