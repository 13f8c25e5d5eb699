"""Labels of imported images: what their source says, their folder, a table, CelebA's lists; and CelebA's partitions."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from celebahq_builder.sources.images import SourceError, SourceLabels, parse_dataset_json

PARTITION_LIST = "list_eval_partition.txt"
_MOST_ENTRIES = 1 << 28  # 1 GiB of float32
_NUMBER = re.compile(r"[+-]?(\d+\.\d*|\.\d+)([eE][+-]?\d+)?|[+-]?\d+[eE][+-]?\d+", re.ASCII)


@dataclass(frozen=True)
class Labels:
    """table: (N, L) float32; names: of the L columns, or None."""

    table: np.ndarray
    names: tuple[str, ...] | None


def read_labels(labels: str | Path, names: Sequence[str], carried: SourceLabels | None = None) -> Labels | None:
    """Return the labels of the images, or None where there are none.

    Args:
        labels: "none"; "auto": what the source carries; "folders": the first part of a name is its class; or a file:
            .csv with a heading, one more column is a class, several are numbers; StyleGAN's dataset.json; CelebA's
            list_attr_celeba.txt or identity_CelebA.txt. Images are named there with folder and suffix, or without.
        names: of the images.
        carried: by the source, by name.

    Raises:
        SourceError: an image without a label, or a table that is none.
    """
    if labels == "none":
        return None
    if labels == "auto":
        if carried is None:
            return None
        return _of_values("labels of the source", carried, names)
    if labels == "folders":
        if loose := [name for name in names if "/" not in name]:
            raise SourceError(f"--labels folders: got {loose[0]} in no folder of its source, expected one a class")
        return one_hot([name.split("/")[0] for name in names])
    path = Path(labels)
    try:
        if path.suffix.lower() == ".json":
            found = parse_dataset_json(path, path.read_bytes())
            if found is None:
                raise SourceError(f"{path}: got no labels in it, expected some; leave --labels out")
            return _of_values(str(path), found, names)
        if path.suffix.lower() == ".txt":
            return _from_celeba(path, names)
        return _from_table(path, names)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SourceError(f"{path}: {reason}, expected a table of labels") from None


def one_hot(classes: Sequence[str]) -> Labels:
    """One column a class; the classes in sorted order, by value where all are whole numbers."""
    distinct = sorted(set(classes), key=int if all(re.fullmatch(r"[0-9]{1,18}", name) for name in classes) else str)
    _check_size(len(classes), len(distinct))
    index = {name: i for i, name in enumerate(distinct)}
    table = np.zeros((len(classes), len(distinct)), np.float32)
    table[np.arange(len(classes)), [index[name] for name in classes]] = 1
    return Labels(table, tuple(distinct))


def _of_values(where: str, labels: SourceLabels, names: Sequence[str]) -> Labels:
    """Turn class numbers into columns 0 .. largest, as StyleGAN does; lists of numbers are columns already."""
    values = _look_up_all(where, labels.values, names)
    if all(isinstance(value, str) for value in values):
        return one_hot(values)
    if all(isinstance(value, int) and not isinstance(value, bool) and value >= 0 for value in values):
        every = [value for value in labels.values.values() if isinstance(value, int)]
        width = len(labels.names) if labels.names else max(max(every) + 1, min(labels.count or 0, 1 << 20))
        if max(values) >= width:
            raise SourceError(f"{where}: got class {max(values)}, expected one of {width}")
        _check_size(len(values), width)
        table = np.zeros((len(values), width), np.float32)
        table[np.arange(len(values)), values] = 1
        return Labels(table, labels.names)
    table = _numbers(where, values)
    return Labels(table, labels.names if labels.names and len(labels.names) == table.shape[1] else None)


def _from_table(path: Path, names: Sequence[str]) -> Labels:
    """Read a table with a heading; its first column names images, with folder and suffix or without."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        heading, *rows = [row for row in csv.reader(file) if row] or [[]]
    if len(heading) < 2 or not rows or any(len(row) != len(heading) for row in rows):
        found = sorted({len(row) for row in [heading, *rows]})
        raise SourceError(f"{path}: got rows of {found} columns, expected a heading and rows of one length, 2 or more")
    by_name: dict[str, list[str]] = {}
    for row in rows:
        if by_name.setdefault(row[0], row[1:]) != row[1:]:
            raise SourceError(f"{path}: got {row[0]} twice with different labels, expected one of each")
    values: Any = _look_up_all(str(path), by_name, names)
    if len(heading) == 2 and not all(_NUMBER.fullmatch(row[0]) for row in values):
        return one_hot([row[0] for row in values])  # written with a point they are numbers, as extract writes them
    return Labels(_numbers(f"{path}: {', '.join(heading[1:])[:80]}", values), tuple(heading[1:]))


def _from_celeba(path: Path, names: Sequence[str]) -> Labels:
    """Read list_attr_celeba.txt (a count, the names, -1 or 1 each), or lines of `000001.jpg 2880`, a class each."""
    lines = [line.split() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    if len(lines) > 2 and len(lines[0]) == 1 and lines[0][0].isdecimal():
        heading, rows = lines[1], lines[2:]
        if any(len(row) != len(heading) + 1 for row in rows):
            raise SourceError(f"{path}: got rows of other lengths, expected a name and {len(heading)} numbers in each")
        found = _look_up_all(str(path), {row[0]: row[1:] for row in rows}, names)
        return Labels(_numbers(str(path), found), tuple(heading))
    if not lines or any(len(row) != 2 for row in lines):
        raise SourceError(
            f"{path}: got no list of CelebA, expected list_attr_celeba.txt or lines of a name and a class"
        )
    return one_hot(_look_up_all(str(path), dict(lines), names))


def images_of(source: Any, partition: str, listed: Path | None) -> Sequence[str]:
    """Return the names of a source's images that are in a partition of CelebA: all, train, val or test."""
    if partition != "all":
        parts = _partitions(listed or _find_partition_list(source.path), source.names)
        if partition not in parts:
            raise SourceError(f"--partition: got no image of {partition} in {source.path}, expected at least one")
        return [name for name, part in zip(source.names, parts, strict=True) if part == partition]
    if listed is not None:
        raise SourceError(f"--partition-list: got {listed}, expected --partition train, val or test too")
    return source.names


def _find_partition_list(source: Path) -> Path:
    """Return CelebA's list_eval_partition.txt of a folder or archive of its images; SourceError where there is none."""
    where = source.resolve()
    places = [where, where.parent, where.parent.parent, *(where.parent / "Eval", where.parent.parent / "Eval")]
    for place in places:
        if (place / PARTITION_LIST).is_file():
            return place / PARTITION_LIST
    raise SourceError(f"--partition: got no {PARTITION_LIST} near {source}, expected it there or as --partition-list")


def _partitions(path: Path, names: Sequence[str]) -> list[str]:
    """Return "train", "val" or "test" of each image, by lines of `000001.jpg 0`, or of a csv of the same columns."""
    try:
        lines = [line.replace(",", " ").split() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SourceError(f"{path}: {reason}, expected {PARTITION_LIST}") from None
    rows = [line for line in lines if line and line != ["image_id", "partition"]]
    if not rows or any(len(row) != 2 or row[1] not in ("0", "1", "2") for row in rows):
        raise SourceError(f"{path}: got another list, expected {PARTITION_LIST}: a name and 0, 1 or 2 in each line")
    return [("train", "val", "test")[int(part)] for part in _look_up_all(str(path), dict(rows), names)]


def _numbers(where: str, rows: Sequence[Any]) -> np.ndarray:
    try:
        table = np.array(rows, dtype=np.float32)
    except (ValueError, TypeError, OverflowError):
        table = np.array([np.nan])
    if table.ndim != 2 or not np.isfinite(table).all():
        raise SourceError(f"{where}: got labels that are not all numbers, expected as many in every row")
    _check_size(*table.shape)
    return table


def _check_size(rows: int, columns: int) -> None:
    if rows * columns > _MOST_ENTRIES:
        raise SourceError(
            f"--labels: got {rows} images of {columns} classes, expected {_MOST_ENTRIES // rows} or fewer"
        )


def _look_up_all(where: str, by_name: dict[str, Any], names: Sequence[str]) -> list[Any]:
    by_stem = {str(PurePosixPath(name).with_suffix("")) if name else "": label for name, label in by_name.items()}
    found = [_look_up(name, by_name, by_stem) for name in names]
    if missing := [name for name, label in zip(names, found, strict=True) if label is None]:
        raise SourceError(
            f"{where}: got no label for {len(missing)} of {len(names)} images, the first is {missing[0]}, expected all"
        )
    return found


def _look_up(name: str, by_name: dict[str, Any], by_stem: dict[str, Any]) -> Any:
    path = PurePosixPath(name)
    for key in (name, path.name):
        if key in by_name:
            return by_name[key]
    return by_stem.get(str(path.with_suffix("")), by_stem.get(path.stem))
