"""Folders of images: as they are found, with StyleGAN's dataset.json, or the imagefolder of Hugging Face datasets."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

from celebahq.files import write_atomic
from celebahq_builder.formats.export_rows import (
    SUFFIX,
    ExportRows,
    WriteOptions,
    read_label_names,
    write_label_names,
)
from celebahq_builder.hdf5 import Dataset
from celebahq_builder.photos import find_photos
from celebahq_builder.sources.images import (
    IMAGE_SUFFIXES,
    MOST_BYTES,
    TOO_LARGE,
    SourceError,
    SourceLabels,
    kind_of,
    parse_dataset_json,
)

OPENED_BY = "datasets.load_dataset('imagefolder', data_dir={output!r})"
_OURS = ("dataset.json", "labels.csv", "metadata.jsonl", "label_names.json")


class Source:
    """A folder of images, and the folders below it.

    Labels: dataset.json of StyleGAN; labels.csv as `extract` and `convert --to png-folder` write it; metadata.jsonl of
    Hugging Face's imagefolder with a column "label" or "labels".
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names = sorted(name for name in find_photos(path) if name.lower().endswith(IMAGE_SUFFIXES))
        self.skipped = Counter(kind_of(file.name) for file in path.rglob("*") if _is_other_file(file))
        self.labels = _labels(path)

    def read(self, name: str) -> bytes:
        try:
            if (self.path / name).stat().st_size > MOST_BYTES:
                raise SourceError(f"{self.path}/{name}: got a file {TOO_LARGE}, expected an image", reason=TOO_LARGE)
            return (self.path / name).read_bytes()
        except OSError as error:
            raise SourceError(f"{self.path}/{name}: cannot be read ({error})", reason="cannot be read") from None

    def stamp(self, name: str) -> str:
        try:
            status = (self.path / name).stat()
        except OSError:
            return ""
        return f"{status.st_size} {status.st_mtime_ns}"

    def close(self) -> None:
        pass


def write(dataset: Dataset, output: Path, options: WriteOptions) -> None:
    """Write images/00000/00000000.png and metadata.jsonl: file_name, label or labels, and what is known of the face."""
    rows = ExportRows(dataset, options)
    output.mkdir(exist_ok=True)  # of this command, killed
    with write_atomic(output / "metadata.jsonl") as table:
        for row in rows:
            name = f"images/{row.index // 1000:05}/{row.index:08}{SUFFIX[options.image]}"
            (output / name).parent.mkdir(parents=True, exist_ok=True)
            row.write(output / name, options.image)
            line = {"file_name": name, **rows.label_of(row), **row.facts}
            table.write((json.dumps(line) + "\n").encode())
    write_label_names(output, rows)


def _is_other_file(file: Path) -> bool:
    known = file.name.startswith(".") or file.name in _OURS or file.name.lower().endswith(IMAGE_SUFFIXES)
    return not known and file.is_file()


def _labels(path: Path) -> SourceLabels | None:
    for name, read in (("dataset.json", parse_dataset_json), ("metadata.jsonl", _metadata), ("labels.csv", _table)):
        if (path / name).is_file():
            if (path / name).stat().st_size > MOST_BYTES:
                raise SourceError(f"{path / name}: got a file {TOO_LARGE}, expected labels")
            return read(path / name, (path / name).read_bytes())
    return None


def _metadata(path: Path, data: bytes) -> SourceLabels | None:
    values: dict[str, Any] = {}
    try:
        for line in filter(None, data.decode("utf-8").splitlines()):
            row = json.loads(line)
            value = row.get("label", row.get("labels"))
            if value is not None:
                values[row["file_name"]] = value
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise SourceError(
            f'{path}: got something else, expected lines like {{"file_name": "a.png", "label": 3}}'
        ) from None
    return SourceLabels(values, *read_label_names(path.parent)) if values else None


def _table(path: Path, data: bytes) -> SourceLabels | None:
    """Read the labels.csv that we write; a table of somebody else is what --labels is for."""
    try:
        heading, *rows = list(csv.reader(data.decode("utf-8", "surrogateescape").splitlines()))
        if heading[:1] != ["file"] or any(len(row) != len(heading) for row in rows):
            return None
        values = {row[0]: [float(value) for value in row[1:]] for row in rows}
    except (ValueError, csv.Error):
        return None
    return SourceLabels(values, tuple(heading[1:]))
