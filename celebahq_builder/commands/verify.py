"""celebahq-data verify: is a file what its format promises, down to the last pixel?"""

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import h5py
import numpy as np
import tyro

from celebahq.files import printable
from celebahq.options import check_options
from celebahq.progress import progress
from celebahq_builder.hdf5 import FORMAT_VERSION, Dataset, level_key, open_dataset
from celebahq_builder.hdf5_format.labels_file import labels_path, read_sidecar
from celebahq_builder.hdf5_format.levels import DatasetError, key_text, mask_key, resolution_of
from celebahq_builder.hdf5_format.rows import find_stored_rows
from celebahq_builder.hdf5_format.shards import SHARD_ATTRIBUTE
from celebahq_builder.pyramid import pyramid
from celebahq_builder.sources.images import SourceError
from celebahq_builder.sources.named_photo import sha256_of_named

_log = logging.getLogger("celebahq.data")

_BLOCK_ROWS = 32


@dataclass(frozen=True)
class VerifyConfig:
    """Check every row of a dataset file; exit code 1 when anything is wrong.

    Every smaller level must be the float means of the largest, rounded once; every row must be there; labels, masks,
    scores and provenance must fit. With --photos the sources are hashed again.

    Example: celebahq-data verify celebahq.h5
    """

    file: Annotated[Path, tyro.conf.Positional]
    """A dataset file."""
    photos: Path | None = None
    """The folder (or .zip) that the faces came from: its files must still have the recorded SHA-256."""

    def __post_init__(self) -> None:
        check_options(self)


def verify(config: VerifyConfig) -> bool:
    """Print a line a check; return whether all hold. DatasetError when the file is no dataset at all."""
    with open_dataset(config.file) as dataset:
        file = dataset.stored().file
        checks = {
            "levels": wrong_levels(dataset),
            "chunks": missing_chunks(dataset),
            "names": foreign_names(file),
            "attributes": wrong_attributes(dataset),
            "faces": wrong_faces(dataset),
            "rows": wrong_rows(dataset),
            "labels": wrong_labels(dataset, file),
            "masks": wrong_masks(dataset),
        }
        if dataset.stored().spans:
            checks["shards"] = wrong_shards(dataset)
        if config.photos is not None:
            checks["photos"] = changed_photos(dataset, config.photos)
        holds = True
        for name, complaints in checks.items():
            found = list(complaints)
            holds &= not found
            _log.info(f"{name:<11} {'ok' if not found else printable('; '.join(found))}")
    _log.info(f"{printable(config.file)}: {len(dataset)} faces, {'all is well' if holds else 'NOT as it should be'}")
    return holds


def wrong_levels(dataset: Dataset) -> Iterator[str]:
    """Compare every level with the cascade of the top level. The top level is uint8, so the match must be exact."""
    wrong: dict[int, list[int]] = {}
    with progress("Rows", len(dataset)) as bar:
        for start in range(0, len(dataset), _BLOCK_ROWS):
            rows = range(start, min(start + _BLOCK_ROWS, len(dataset)))
            stored = {r: dataset.read(r, rows) for r in dataset.resolutions}
            for i, row in enumerate(rows):
                expected = pyramid(stored[dataset.resolution][i].transpose(1, 2, 0))
                for r in dataset.resolutions[1:]:
                    if not np.array_equal(stored[r][i], expected[r]):
                        wrong.setdefault(r, []).append(row)
                bar.advance()
    for r, faulty in wrong.items():
        yield f"{level_key(r)} is not the mean of the level above in {len(faulty)} rows, the first is {faulty[0]}"


def missing_chunks(dataset: Dataset) -> Iterator[str]:
    """A chunk that was never written reads as black. Any shape of chunks is right, also several a row."""
    for r in dataset.resolutions:
        for missing in dataset.stored().storage(level_key(r)).missing_chunks:
            yield f"{level_key(r)} has {missing}"


def foreign_names(file: h5py.File) -> Iterator[str]:
    for key in file:
        if key_text(key).startswith("data") and resolution_of(key) is None:
            yield f"{key} begins with 'data', which the readers of 2017 take for a level"


def wrong_attributes(dataset: Dataset) -> Iterator[str]:
    attributes = dataset.attributes
    if not attributes:
        return  # a file of the original programs
    if attributes.get("format_version") != FORMAT_VERSION:
        yield f"format_version: got {attributes.get('format_version')}, expected {FORMAT_VERSION}"
    try:
        json.loads(attributes["config"])
    except (KeyError, TypeError, ValueError, RecursionError):
        yield "config is missing or no JSON"
    for name in ("builder_version", "weights_sha256"):
        if not isinstance(attributes.get(name), str):
            yield f"{name} is missing or no text"


def wrong_faces(dataset: Dataset) -> Iterator[str]:
    faces = dataset.columns()
    for name, column in faces.items():
        if len(column) != len(dataset):
            yield f"{name} has {len(column)} entries for {len(dataset)} rows"
        elif column.dtype.kind == "f" and not np.isfinite(column).all():
            yield f"{name} is no finite number in row {np.argwhere(~np.isfinite(column))[0][0]}"
        elif name in ("source_sha256", "pixel_sha256"):
            bad = [row for row, digest in enumerate(column) if not re.fullmatch(r"[0-9a-f]{64}", digest)]
            if bad:
                yield f"{name} of row {bad[0]}: got {column[bad[0]]!r}, expected 64 hex digits"
    is_sorted = "idx" not in faces and '"edited": "sort' not in str(dataset.attributes.get("config", ""))
    scores = faces["score"] if "score" in faces and is_sorted else np.zeros(0)
    if (rises := scores[1:] > scores[:-1]).any():
        row = int(np.flatnonzero(rises)[0]) + 1
        yield f"row {row}: got a higher score than the row before, expected the best first"


def wrong_rows(dataset: Dataset) -> Iterator[str]:
    """What was kept must be the faces of the file, each once."""
    try:
        rows = find_stored_rows(dataset.path)
    except DatasetError as error:
        yield str(error).removeprefix(f"{dataset.path}: ")
        return
    if rows is None:
        return
    faces, names = dataset.columns(), ("source", "face_index", "score")
    slices = [{name: some[name][some["row"] != -1] for name in (*names, "row")} for some in rows.slices()]
    kept = {name: np.concatenate([some[name] for some in slices]) for name in slices[0]}
    places = kept["row"]
    if not np.array_equal(np.sort(places), np.arange(len(dataset))):
        yield f"got {len(np.unique(places))} kept rows, expected each of the {len(dataset)} once"
        return
    for name in names:
        if len(faces.get(name, ())) != len(dataset):
            continue
        wrong = np.flatnonzero(faces[name][places] != kept[name])
        if len(wrong):
            first = wrong[places[wrong].argmin()]
            yield f"{name} of row {places[first]}: got {kept[name][first]}, faces/{name} says otherwise"


def wrong_shards(dataset: Dataset) -> Iterator[str]:
    """What each shard says of its rows must be what the file that joins them says."""
    whole, labels = dataset.columns(), dataset.labels
    for span in dataset.stored().spans:
        with open_dataset(dataset.path.resolve().parent / span.name) as shard:
            rows = slice(span.first, span.stop)
            part, wanted = shard.columns(), {name: column[rows] for name, column in whole.items()}
            part |= {} if shard.labels is None else {"labels": shard.labels}
            wanted |= {} if labels is None else {"labels": labels[rows]}
            for name in sorted(part.keys() | wanted.keys()):
                if name not in part or name not in wanted or not np.array_equal(part[name], wanted[name]):
                    yield f"{span.name} and the file that joins it differ in {name}"


def wrong_labels(dataset: Dataset, file: h5py.File) -> Iterator[str]:
    if dataset.labels is None or "labels" not in file or SHARD_ATTRIBUTE in dataset.attributes:
        return
    try:
        sidecar = read_sidecar(dataset.path, len(dataset))
    except ValueError as error:
        yield str(error)
        return
    if sidecar is None:
        yield f"{labels_path(dataset.path)} is missing, the readers of 2017 look for it"
    elif not np.array_equal(sidecar, dataset.labels):
        yield f"{labels_path(dataset.path)} is not equal to the labels in the file"


def wrong_masks(dataset: Dataset) -> Iterator[str]:
    """Label maps, where there are any, must fit the rows, be there and be readable."""
    try:
        if not dataset.has_masks:
            return
        for first in range(0, len(dataset), _BLOCK_ROWS):
            dataset.read_masks(range(first, min(first + _BLOCK_ROWS, len(dataset))))
    except DatasetError as error:
        yield str(error).removeprefix(f"{printable(dataset.path)}: ")
        return
    key = mask_key(dataset.resolution)
    for missing in dataset.stored().storage(key).missing_chunks:
        yield f"{key} has {missing}"


def changed_photos(dataset: Dataset, photos: Path) -> Iterator[str]:
    faces = dataset.columns()
    if "source" not in faces or "source_sha256" not in faces:
        yield "the file names no sources"
        return
    recorded = dict(zip(faces["source"], faces["source_sha256"], strict=False))  # uneven ones are named above
    unreadable, changed = [], []
    with progress("Photos", len(recorded)) as bar:
        for name, digest in recorded.items():
            try:
                if sha256_of_named(photos, name) != digest:
                    changed.append(name)
            except SourceError as error:
                unreadable.append(f"{name} ({error.reason})" if error.reason else name)
            bar.advance()
    for what, names in (("cannot be read", unreadable), ("changed", changed)):
        if names:
            yield f"{len(names)} of {len(recorded)} photos {what}, the first is {names[0]}"
