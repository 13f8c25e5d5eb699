"""Faces of a build into one file, here or on a node: which, where they lie, and the writing itself."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from celebahq.progress import Progress
from celebahq_builder.cluster.face_delivery import FaceFolder, why_unseen
from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.hdf5 import DatasetError, DatasetWriter
from celebahq_builder.hdf5_format.face_record import FaceRecord
from celebahq_builder.hdf5_format.join_shards import ShardWriter
from celebahq_builder.hdf5_format.shards import SET_ATTRIBUTE
from celebahq_builder.pyramid import pyramid
from celebahq_builder.state.build_folder import BuildFolder
from celebahq_builder.state.earlier_faces import EarlierFaces
from celebahq_builder.state.face_files import FacePlace
from celebahq_builder.state.manifest import Row
from celebahq_builder.state.masks import face_mask

T = TypeVar("T")
WORKER_IMPORTS = ("celebahq_builder.pyramid",)
_AHEAD = 3  # faces, of 7 MB each with their levels as they are made


@dataclass(frozen=True, eq=False)
class ShardJob:
    """What a node needs to know to write one shard."""

    path: Path
    """Where it goes, on every node."""
    config: BuildConfig
    """With paths that hold on every node."""
    folder: FaceFolder
    """Where the faces lie: `faces` in the build folder."""
    rows: Sequence[Row]
    places: dict[tuple[str, int], FacePlace]
    """Of those that lie in files of many faces."""
    earlier: EarlierFaces | None
    """Of those that lie in the file that is extended."""
    options: dict[str, Any]
    """Of ShardWriter."""

    @property
    def name(self) -> str:
        return self.path.name


@dataclass(frozen=True)
class NotWritten:
    """Comes back in place of None: why a shard was not written."""

    message: str
    number: int | None = None
    """errno, of an OSError."""
    unseen: bool = False
    """Whether the node does not see the folder: then somebody else can write it."""


def write_shard(job: ShardJob) -> NotWritten | None:
    """Write a shard on a node, unless it is there: of a task whose end was not heard of. Runs in the workers."""
    if why := why_unseen(job.folder):
        return NotWritten(f"cannot write into {job.folder.path} ({why})", unseen=True)
    folder = BuildFolder(job.folder.path.parent)  # not entered: the build holds its lock
    folder.earlier = job.earlier
    folder.files.know(job.places)
    try:
        if folder.shards.is_complete(job.path, job.options["attributes"][SET_ATTRIBUTE]):
            return None
        write_faces(job.path, folder, job.config, job.rows, None, ShardWriter, **job.options)
    except OSError as error:
        return NotWritten(str(error), error.errno)
    except (BuildError, DatasetError) as error:
        return NotWritten(str(error))
    finally:
        if job.earlier is not None:
            job.earlier.close()
    return None


def write_faces(
    path: Path,
    folder: BuildFolder,
    config: BuildConfig,
    kept: Sequence[Row],
    bar: Progress | None,
    kind: type[DatasetWriter],
    ahead: bool = False,
    **options: Any,
) -> None:
    """Write faces of a build into one file, level by level.

    Args:
        ahead: whether a second thread makes the levels of the next faces meanwhile.

    Raises:
        OSError: as of DatasetWriter.
        BuildError: a face is damaged.
    """
    compression = None if config.compression == "none" else config.compression
    with kind(path, config.resolution, len(kept), compression=compression, **options) as writer:

        def levels_of(row: Row) -> dict[int, np.ndarray]:
            return pyramid(folder.read_face(row))

        levels = _ahead(levels_of, kept) if ahead else map(levels_of, kept)
        for row, its_levels in zip(kept, levels, strict=True):
            mask = None
            if config.masks is not None:
                mask = face_mask(config.masks, row, config.resolution, config.geometry)
            writer.write(its_levels, record_of(row), mask)
            if bar is not None:
                bar.advance()


def _ahead(function: Callable[[Row], T], rows: Iterable[Row]) -> Iterator[T]:
    """Yield function(row) of all rows in order, each of which one other thread has made meanwhile."""
    with ThreadPoolExecutor(1) as thread:
        made: deque[Future[T]] = deque()
        for row in rows:
            made.append(thread.submit(function, row))
            if len(made) > _AHEAD:
                yield made.popleft().result()
        while made:
            yield made.popleft().result()


def record_of(row: Row) -> FaceRecord:
    """Return what the file says of a face."""
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
