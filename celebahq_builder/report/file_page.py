"""The page about a dataset file, from what the file holds: its rows, its faces; for a file of any program."""

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np

from celebahq.files import printable
from celebahq_builder.hdf5 import Dataset
from celebahq_builder.hdf5_format.rows import find_rows
from celebahq_builder.report.decisions import exclude_path
from celebahq_builder.report.licenses import licenses
from celebahq_builder.report.page import Page, Section
from celebahq_builder.report.page_data import PageRow, fingerprint, in_order, page_columns
from celebahq_builder.report.sprites import Thumbnails

_OURS = ("status", "row")  # of the rows; under the same name another program may keep anything


def dataset_rows(dataset: Dataset) -> list[PageRow]:
    """Return what a file says of every row of it, and of every photo and face that is not in it, in order."""
    found = find_rows(dataset.path)
    rows = [] if found is None else found.as_dicts()
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
        if name in _OURS:
            continue
        values = [value.decode("ascii", "replace") if isinstance(value, bytes) else value for value in column.tolist()]
        for i, value in enumerate(values):
            by_place[i][name] = value
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
    path, stem = Path(dataset.path), Path(dataset.path).stem
    select = f"celebahq-data select {shlex.quote(printable(path))} --output"
    said = {
        "name": path.name,
        "mark": fingerprint(rows),
        "columns": page_columns(rows),
        "rows": len(rows),
        "sheets": thumbnails_of(dataset).describe(sheets),
        "pictures": {},
        "photos": None,
        "exclude": exclude_path(path).name,
        "include": None,
        "command": f"{select} {shlex.quote(printable(path.with_name(f'{stem}-chosen{path.suffix}')))}",
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


def _sections(dataset: Dataset) -> list[Section]:
    options = recipe(dataset)
    if "resolution" not in options:
        return []
    table: list[tuple[str, object]] = [(name, value) for name, value in options.items() if value != ""]
    made = Section(title="How it was made", about="The options that the file records.", table=table)
    detector = None if options.get("landmarks_sha256") else str(options.get("detector", "hog"))
    placed_by = str(options.get("landmarks_from", "dlib68"))
    return [made, licenses(detector, placed_by, options.get("restore") != "off")]
