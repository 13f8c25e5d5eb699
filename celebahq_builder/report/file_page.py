"""The page about a dataset file, from what the file holds: its rows, its faces; for a file of any program."""

import json
import logging
import shlex
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from celebahq.files import printable
from celebahq_builder.config import MAX_INVENTED, BuildConfig, BuildError, flag
from celebahq_builder.hdf5 import Dataset, DatasetError
from celebahq_builder.hdf5_format.rows import find_stored_rows
from celebahq_builder.report.decisions import exclude_path, include_path
from celebahq_builder.report.licenses import licenses
from celebahq_builder.report.page import Page, Section
from celebahq_builder.report.page_data import PageRow, fingerprint, in_order, is_shown, page_columns, shown
from celebahq_builder.report.sprites import Thumbnails

_log = logging.getLogger("celebahq.data")
_OURS = ("status", "row")  # of the rows; under the same name another program may keep anything


def dataset_rows(dataset: Dataset, persons: Sequence[int] | None = None) -> list[PageRow]:
    """Return what a file says of every row of it, and of every photo and face that is not in it, in order.

    Args:
        persons: the number of the person in each row, where the file does not know them.
    """
    try:
        found = find_stored_rows(dataset.path)
    except DatasetError as error:  # of another version or program, which calls something else rows
        _log.warning(f"{printable(error)}; shown are the faces of the file alone")
        found = None
    rows = [row for some in found.slices() for row in shown(some).as_dicts()] if found is not None else []
    by_place: dict[int, dict[str, Any]] = {}
    for row in rows:
        if not 0 <= row["row"] < len(dataset) or row["row"] in by_place:
            row["row"] = -1
        else:
            by_place[row["row"]] = row
    for i in range(len(dataset)):
        if i not in by_place:  # a file of before, or of another program
            by_place[i] = {"source": f"row {i}", "face_index": 0, "status": "kept", "row": i}
            rows.append(by_place[i])
    for name, column in dataset.faces.items():
        if name in _OURS or not is_shown(name):
            continue
        values = [value.decode("ascii", "replace") if isinstance(value, bytes) else value for value in column.tolist()]
        for i, value in enumerate(values):
            by_place[i][name] = value
    for i, person in enumerate(persons or []):
        by_place[i]["identity"] = person
    if dataset.labels is not None and dataset.label_names and dataset.labels.shape[1] > 1:
        names = np.array(dataset.label_names, object)[dataset.labels.argmax(1)]
        if (dataset.labels.sum(1) == 1).all():  # one class each
            for i, label in enumerate(names.tolist()):
                by_place[i]["label"] = label
    return in_order(rows)


def thumbnails_of(dataset: Dataset) -> Thumbnails:
    """Return the small faces of an open file."""
    return Thumbnails(len(dataset), dataset.resolutions, dataset.read)


def file_page(dataset: Dataset, rows: list[PageRow], sheets: list[str], **data: Any) -> Page:
    """Return the page about an open file.

    Args:
        rows: of dataset_rows().
        sheets: addresses of the sheets of thumbnails_of(dataset).
        data: more for the page's script, or other values than those here.
    """
    path = Path(dataset.path)
    said = {
        "name": path.name,
        "mark": fingerprint(rows),
        "columns": page_columns(rows),
        "rows": len(rows),
        "sheets": thumbnails_of(dataset).describe(sheets),
        "images": {},
        "photos": None,
        "exclude": exclude_path(path).name,
        "include": include_path(path).name,
        "command": None,
        "drop": drop_command(dataset),
    }
    kept = sum(row["row"] >= 0 for row in rows)
    return Page(
        title=path.name,
        about=_made_by(dataset),
        numbers=[(f"{kept:,}", "faces"), (f"{dataset.resolutions[0]}²", "pixels a face")],
        data=said | data,
        sections=_sections(dataset),
        served=bool(data.get("served")),
    )


def _made_by(dataset: Dataset) -> str:
    version = dataset.attributes.get("builder_version")
    return f"a dataset, written by celebahq-build {version}" if version else "a dataset of another program"


def recipe(dataset: Dataset) -> dict[str, Any]:
    """Return the options that a file says it was built with; none of another program's."""
    try:
        options = json.loads(str(dataset.attributes.get("config", "")))
    except (ValueError, RecursionError):
        return {}
    return options if isinstance(options, dict) else {}


def drop_command(dataset: Dataset) -> str | None:
    """Return the command that makes a file without the rows of a list; None where rows have no names."""
    path = Path(dataset.path)
    output = path.with_name(f"{path.stem}-chosen{path.suffix}")
    words = ["celebahq-data", "drop", printable(path), "--output", printable(output)]
    return shlex.join(words) if "source" in dataset.faces else None


def build_command(dataset: Dataset, photos: Path) -> str | None:
    """Return the command that made a file, without its lists; None for a file that celebahq-build did not make.

    Args:
        photos: its --input, which the file does not tell.
    """
    options = recipe(dataset)
    if "resolution" not in options:
        return None
    lists = {"landmarks": "LIST", "image_list": "LIST", "labels": "LABELS", "masks": "DIR"}
    known = {field.name for field in fields(BuildConfig)} - {"input", "output", *lists}
    try:
        given = {name: value for name, value in options.items() if name in known}
        if given.get("max_invented") == (1.0 if "image_list_sha256" in options else MAX_INVENTED):
            del given["max_invented"]  # as it is where it is left out
        config = BuildConfig(input=photos, output=dataset.path, **given)
    except (BuildError, TypeError, ValueError):
        return None
    words = [f"{flag(name)} {value}" for name, value in lists.items() if options.get(f"{name}_sha256")]
    return " ".join([config.command(), *words])


def _sections(dataset: Dataset) -> list[Section]:
    options = recipe(dataset)
    if "resolution" not in options:
        return []
    table: list[tuple[str, object]] = [(name, value) for name, value in options.items() if value != ""]
    made = Section(title="How it was made", about="The options that the file records.", table=table)
    detector = None if options.get("landmarks_sha256") else str(options.get("detector", "hog"))
    placed_by = str(options.get("landmarks_from", "dlib68"))
    return [made, licenses(detector, placed_by, str(options.get("restore", "fast")))]
