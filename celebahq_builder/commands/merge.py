"""celebahq-data merge: the rows of several datasets as one, the best first."""

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from celebahq.files import printable
from celebahq.options import check_options
from celebahq_builder.commands.merge_rows import merged_rows
from celebahq_builder.commands.select import order_by
from celebahq_builder.hdf5 import Dataset, DatasetError
from celebahq_builder.hdf5_format.changed_rows import ChangedRows
from celebahq_builder.hdf5_format.part import Part, open_part, same_marks, write_parts
from celebahq_builder.hdf5_format.row_tables import write_row_tables
from celebahq_builder.hdf5_format.rows import Rows, row_id

_log = logging.getLogger("celebahq.data")
_ALIKE = ("geometry", "restore", "self_ensemble", "decoder")


@dataclass(frozen=True)
class MergeConfig:
    """Write the rows of several datasets as one, the best score first, with labels, masks and all columns they share.

    A face that several have (same photo, or same pixels and crop) is taken once, from the first.

    Example: celebahq-data merge day1.h5 day2.h5 --output both.h5
    """

    files: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Dataset files of one resolution, geometry and restoration."""
    output: Path
    """The dataset to make."""
    folders: bool = False
    """Put the name of each file, without suffix, before its photos' names: for photos of one name in several."""

    def __post_init__(self) -> None:
        check_options(self)


def merge(config: MergeConfig) -> None:
    """Write the merged dataset; DatasetError, in one line, where the files do not fit each other."""
    if len(config.files) < 2:
        raise DatasetError(f"merge: got {len(config.files)} file, expected two or more")
    with ExitStack() as stack:
        parts = [stack.enter_context(open_part(path)) for path in config.files]
        for part in parts[1:]:
            _require_alike(parts[0], part)
        parts = same_marks(parts)
        names = _shared_columns(parts)
        if config.folders:
            parts = _in_folders(parts)
        order, repeated = _order(parts, names)
        rows = merged_rows(parts, order, repeated)
        files = " ".join(path.name for path in config.files)
        others = [part.options() for part in parts[1:]]
        unlike = [name for name, value in parts[0].options().items() if any(o.get(name) != value for o in others)]
        edited = printable(f"merge {files}")
        write_parts(config.output, parts, order, names=names, rows=rows, edited=edited, unlike=unlike)
        if rows is not None:
            write_row_tables(config.output, rows)
    again = f"; {len(repeated):,} that several have are taken once" if repeated else ""
    _log.info(f"{printable(config.output)}: {len(order):,} rows of {len(parts)} files{again}")


def _require_alike(one: Part, other: Part) -> None:
    """Raise DatasetError where two files cannot be one dataset."""
    a, b = one.dataset, other.dataset
    facts: list[tuple[str, Any, Any]] = [
        ("resolution", a.resolution, b.resolution),
        ("channels", a.channels, b.channels),
        *((name, one.options().get(name), other.options().get(name)) for name in _ALIKE),
        ("weights of --restore", a.attributes.get("weights_sha256", ""), b.attributes.get("weights_sha256", "")),
        ("score_version", a.attributes.get("score_version", 1), b.attributes.get("score_version", 1)),
        ("number of labels", _number_of_labels(a), _number_of_labels(b)),
        ("names of labels", a.label_names, b.label_names),
        ("masks", a.has_masks, b.has_masks),
    ]
    for what, mine, theirs in facts:
        if mine != theirs:
            raise DatasetError(
                f"{other.path}: got {what} {_said(theirs)}, expected {_said(mine)}, as {one.path} has: such faces are "
                "not one dataset"
            )


def _number_of_labels(dataset: Dataset) -> int | None:
    return None if dataset.labels is None else dataset.labels.shape[1]


def _said(value: object) -> str:
    return "none" if value is None or value == "" else str(value)[:80]


def _shared_columns(parts: Sequence[Part]) -> list[str]:
    """Return the columns of `faces` that all have; the others are told of."""
    shared = [name for name in parts[0].faces if all(name in part.faces for part in parts)]
    lost = sorted({name for part in parts for name in part.faces} - set(shared))
    if lost:
        _log.warning(f"columns that not all of them have are left out: {', '.join(map(printable, lost))}")
    for name in shared:
        shapes = {part.faces[name].shape[1:] for part in parts}
        if len(shapes) > 1:
            raise DatasetError(f"{parts[1].path}: got faces/{name} of {shapes} a row, expected one shape in all files")
    return shared


def _in_folders(parts: Sequence[Part]) -> list[Part]:
    """Return the parts with the name of each file before its sources."""
    stems = [part.path.stem for part in parts]
    if len(set(stems)) < len(stems):
        raise DatasetError(f"--folders: got files of one name ({', '.join(stems)}), expected different ones")
    renamed = []
    for part, stem in zip(parts, stems, strict=True):
        faces, rows = dict(part.faces), part.rows
        if "source" in faces:
            folder = f"{stem}/".encode("utf-8", "surrogateescape")
            faces["source"] = np.array([folder + source for source in faces["source"]], object)
        if rows is not None:
            rows = ChangedRows(rows, partial(_in_folder, stem=stem))
        renamed.append(Part(part.dataset, faces, rows, part.compression))
    return renamed


def _in_folder(rows: Rows, stem: str) -> Rows:
    sources = [f"{stem}/{source}" for source in rows["source"]]
    originals = [f"{stem}/{name}" if name else "" for name in rows["duplicate_of"]]
    named = {"source": np.array(sources, object), "duplicate_of": np.array(originals, object)}
    return Rows(rows.columns | named)


def _order(
    parts: Sequence[Part], names: Sequence[str]
) -> tuple[list[tuple[int, int]], dict[tuple[int, int], tuple[int, int]]]:
    """Return (part, row) of each new row, and of those left out because an earlier part has them, with that one's."""
    taken: dict[tuple[str, int], tuple[bytes, tuple[int, int]]] = {}
    pixels: dict[tuple, tuple[int, int]] = {}
    order: list[tuple[int, int]] = []
    scores: list[float] = []
    repeated: dict[tuple[int, int], tuple[int, int]] = {}
    for number, part in enumerate(parts):
        ids = _ids(part) if "source" in names else None
        for row in range(len(part.dataset)):
            digest = bytes(part.faces["source_sha256"][row]) if "source_sha256" in names else b""
            key = None if ids is None else ids[row]
            same = None if not digest or "quad" not in names else (digest, part.faces["quad"][row].tobytes())
            if key is not None and key in taken and taken[key][0] != digest:
                raise DatasetError(
                    f"{part.path}: got another photo {row_id(*key)} than in a file before it, expected different "
                    "names; --folders puts the files' names before them"
                )
            if key is not None and key in taken:
                repeated[number, row] = taken[key][1]
                continue
            if same is not None and same in pixels:
                repeated[number, row] = pixels[same]
                continue
            if key is not None:
                taken[key] = digest, (number, row)
            if same is not None:
                pixels[same] = number, row
            order.append((number, row))
            scores.append(float(part.faces["score"][row]) if "score" in names else 0.0)
    return [order[i] for i in order_by(np.array(scores))], repeated


def _ids(part: Part) -> list[tuple[str, int]]:
    indices = part.faces.get("face_index", np.zeros(len(part.dataset), np.int32)).tolist()
    return [
        (source.decode("utf-8", "surrogateescape"), index)
        for source, index in zip(part.faces["source"], indices, strict=True)
    ]
