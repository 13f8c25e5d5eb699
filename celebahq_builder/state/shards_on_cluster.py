"""The shards of a build written by the nodes of its cluster, each by a task; what a node could not write is told."""

import errno
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celebahq.progress import Progress
from celebahq_builder.cluster.build_cluster import seen_by_nodes
from celebahq_builder.cluster.face_delivery import FaceFolder
from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.state.build_folder import BuildFolder
from celebahq_builder.state.failure import Failure, Limits
from celebahq_builder.state.manifest import Row
from celebahq_builder.state.write_shard import NotWritten, ShardJob, write_shard

if TYPE_CHECKING:
    from celebahq_builder.cluster.ray_pool import RayCluster

_log = logging.getLogger("celebahq.build")
_AGAIN = "run the same command again to continue"
_PATIENCE = 60.0
"""Seconds that the name of a shard may take from one machine to another: NFS looks again so often."""


def shard_job(
    shared: FaceFolder,
    folder: BuildFolder,
    config: BuildConfig,
    path: Path,
    rows: Sequence[Row],
    options: dict[str, Any],
) -> ShardJob:
    """Return a shard as a task.

    Args:
        shared: the folder of the faces, as nodes recognize it.
        path: of the shard, beside the build folder.
        rows: of its faces.
        options: of ShardWriter.
    """
    rows = list(rows)  # which goes to another process
    places = {row.key: place for row in rows if (place := folder.files.place(row)) is not None}
    earlier = None if folder.earlier is None else folder.earlier.only(rows)
    where = folder.path.absolute().with_name(path.name)
    return ShardJob(where, seen_by_nodes(config), shared, rows, places, earlier, options)


def write_on_cluster(cluster: "RayCluster", jobs: Sequence[ShardJob], bar: Progress) -> set[str]:
    """Write shards; return the names of those that are there. The others are this machine's to write.

    Raises:
        BuildError: a shard was not written for a reason that this machine would meet, too.
        OSError: likewise, of the disk.
    """
    written, unseen = set(), []
    for job, outcome in cluster.run(write_shard, jobs, Limits()):
        if isinstance(outcome, Failure):
            last = outcome.traceback.strip().splitlines()[-1:] or [outcome.detail]
            raise BuildError(f"{job.path}: {outcome.reason} ({last[0]}) while a node wrote it; {_AGAIN}")
        if isinstance(outcome, NotWritten) and outcome.unseen:
            unseen.append(outcome.message)
            continue
        if isinstance(outcome, NotWritten):
            if outcome.number is None:
                raise BuildError(outcome.message)
            error = OSError(outcome.message)
            error.errno = outcome.number
            raise error
        _wait_for(job.path)
        written.add(job.name)
        bar.advance(len(job.rows))
    if unseen:
        _log.warning(f"--output: a node {unseen[0]}, so {len(unseen)} of {len(jobs)} shards are written here")
    return written


def _wait_for(path: Path) -> None:
    began = time.monotonic()
    while not path.exists():
        if time.monotonic() - began > _PATIENCE:
            raise OSError(errno.ENOENT, "a node wrote it, and it does not appear here", str(path))
        time.sleep(0.5)
