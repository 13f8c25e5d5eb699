"""The chosen faces of a build into its file: levels, columns, rows, labels, masks."""

import numpy as np

from celebahq.progress import progress
from celebahq_builder.config import BuildConfig
from celebahq_builder.hdf5 import DatasetWriter
from celebahq_builder.hdf5_format.face_record import FaceRecord
from celebahq_builder.hdf5_format.rows import Rows
from celebahq_builder.pyramid import pyramid
from celebahq_builder.state.best_faces import Choice
from celebahq_builder.state.build_folder import BuildFolder
from celebahq_builder.state.manifest import Row
from celebahq_builder.state.masks import face_mask
from celebahq_builder.state.photo_labels import PhotoLabels


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
    with (
        DatasetWriter(
            path,
            config.resolution,
            len(choice.kept),
            attributes=attributes,
            compression=None if config.compression == "none" else config.compression,
            replace=replace,
            rows=rows,
            labels=None if labels is None else labels.of([row.source for row in choice.kept]),
            label_names=None if labels is None else labels.names,
            masks=config.masks is not None,
        ) as writer,
        progress("faces into the file", len(choice.kept)) as bar,
    ):
        for row in choice.kept:
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
        idx=row.place,
    )
