"""The chosen faces of a build into its file, or into shards and the file that joins them: levels, columns, labels."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from celebahq.files import printable
from celebahq.progress import Progress, progress
from celebahq_builder.config import BuildConfig
from celebahq_builder.hdf5 import DatasetWriter, level_resolutions
from celebahq_builder.hdf5_format.face_record import FaceRecord, face_columns
from celebahq_builder.hdf5_format.join_shards import JoiningWriter, ShardWriter, set_digest, shard_attributes
from celebahq_builder.hdf5_format.partial_file import require_room
from celebahq_builder.hdf5_format.rows import Rows
from celebahq_builder.hdf5_format.shards import SHARD_ATTRIBUTE, bounds
from celebahq_builder.pyramid import pyramid
from celebahq_builder.state.best_faces import Choice
from celebahq_builder.state.build_folder import BuildFolder
from celebahq_builder.state.manifest import Row
from celebahq_builder.state.masks import face_mask
from celebahq_builder.state.photo_labels import PhotoLabels

_log = logging.getLogger("celebahq.build")


def write_output(
    folder: BuildFolder,
    config: BuildConfig,
    choice: Choice,
    rows: Rows,
    attributes: dict[str, str | int],
    labels: PhotoLabels | None,
    *,
    replace: bool,
) -> None:
    """Write the file; it takes its name, from one that it replaces too, only once it is whole.

    Raises:
        OSError: as of DatasetWriter.
    """
    path = config.output.resolve() if config.output.is_symlink() else config.output  # a link to another disk stays one
    table = None if labels is None else labels.of([row.source for row in choice.kept])
    options: dict[str, Any] = {
        "label_names": None if labels is None else labels.names,
        "masks": config.masks is not None,
    }
    with progress("faces into the file", len(choice.kept)) as bar:
        if config.shards is None:
            folder.shards.retire()
            options |= {"attributes": attributes, "labels": table, "rows": rows, "replace": replace}
            _write_faces(path, folder, config, choice.kept, bar, DatasetWriter, **options)
        else:
            columns = face_columns([_record(row) for row in choice.kept], len(choice.kept))
            digest = set_digest(attributes, columns, table, config.compression, config.shards_of(len(choice.kept)))
            names = _write_shards(folder, config, choice.kept, bar, attributes, table, digest, options)
            options |= {"labels": table, "rows": rows, "replace": replace, "columns": columns}
            options["attributes"] = attributes | shard_attributes({}, digest)
            with JoiningWriter(path, config.resolution, len(choice.kept), names, **options):
                pass
    folder.shards.sweep()


def _write_shards(
    folder: BuildFolder,
    config: BuildConfig,
    kept: Sequence[Row],
    bar: Progress,
    attributes: dict[str, str | int],
    labels: np.ndarray | None,
    digest: str,
    options: dict[str, Any],
) -> list[str]:
    """Write the shards that a build that was ended has not completed; return the names of all."""
    count = config.shards_of(len(kept))
    shards, places = folder.shards.plan(count, digest), bounds(len(kept), count)
    missing = [k for k, shard in enumerate(shards) if not shard.exists()]  # what plan() left is complete
    if config.compression == "none":
        faces = sum(places[k][1] - places[k][0] for k in missing)
        require_room(folder.shards.output, faces * sum(3 * r * r for r in level_resolutions(config.resolution)))
    _log.info(f"{printable(config.output)}: {count:,} shards, the first is {printable(shards[0].name)}")
    for k, (first, stop) in enumerate(places):
        if k not in missing:
            bar.advance(stop - first)
            continue
        its = options | {"attributes": shard_attributes(attributes, digest) | {SHARD_ATTRIBUTE: k}}
        its["labels"] = None if labels is None else labels[first:stop]
        _write_faces(shards[k], folder, config, kept[first:stop], bar, ShardWriter, **its)
    return [shard.name for shard in shards]


def _write_faces(
    path: Path,
    folder: BuildFolder,
    config: BuildConfig,
    kept: Sequence[Row],
    bar: Progress,
    kind: type[DatasetWriter],
    **options: Any,
) -> None:
    compression = None if config.compression == "none" else config.compression
    with kind(path, config.resolution, len(kept), compression=compression, **options) as writer:
        for row in kept:
            mask = None
            if config.masks is not None:
                mask = face_mask(config.masks, row, config.resolution, config.geometry)
            writer.write(pyramid(folder.read_face(row)), _record(row), mask)
            bar.advance()


def _record(row: Row) -> FaceRecord:
    return FaceRecord(
        source=row.source,
        source_sha256=row.source_sha256,
        pixel_sha256=row.pixel_sha256,
        face_index=row.face_index,
        scale=row.scale,
        landmarks=np.array(row.landmarks, np.float32),
        quad=np.array(row.quad),
        score=row.score,
        breadth=row.breadth,
        isotropy=row.isotropy,
        padding=row.padding,
        invented=row.invented,
        marks=row.marks,
        idx=row.place,
    )
