"""The chosen faces of a build into its file, or into shards and the file that joins them: levels, columns, labels."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from celebahq.files import printable
from celebahq.progress import Progress, progress
from celebahq_builder.cluster.face_delivery import share_folder
from celebahq_builder.config import BuildConfig
from celebahq_builder.hdf5 import DatasetWriter, level_resolutions
from celebahq_builder.hdf5_format.face_record import face_columns
from celebahq_builder.hdf5_format.join_shards import JoiningWriter, ShardWriter, set_digest, shard_attributes
from celebahq_builder.hdf5_format.partial_file import require_room
from celebahq_builder.hdf5_format.row_slices import RowSlices
from celebahq_builder.hdf5_format.shards import SHARD_ATTRIBUTE, bounds
from celebahq_builder.state.best_faces import Choice
from celebahq_builder.state.build_folder import BuildFolder
from celebahq_builder.state.manifest import Row
from celebahq_builder.state.photo_labels import PhotoLabels
from celebahq_builder.state.row_table import keys_of
from celebahq_builder.state.shards_on_cluster import shard_job, write_on_cluster
from celebahq_builder.state.write_shard import record_of, write_faces

if TYPE_CHECKING:
    from celebahq_builder.cluster.ray_pool import RayCluster

_log = logging.getLogger("celebahq.build")


def write_output(
    folder: BuildFolder,
    config: BuildConfig,
    choice: Choice,
    rows: RowSlices,
    attributes: dict[str, str | int],
    labels: PhotoLabels | None,
    *,
    replace: bool,
    cluster: "RayCluster | None" = None,
) -> None:
    """Write the file; it takes its name, from one that it replaces too, only once it is whole.

    Args:
        cluster: whose nodes write shards.

    Raises:
        OSError: as of DatasetWriter.
        BuildError: a face is damaged, or a node failed.
    """
    path = config.output.resolve() if config.output.is_symlink() else config.output  # a link to another disk stays one
    table = None if labels is None else labels.of([source for source, _ in keys_of(choice.kept)])
    options: dict[str, Any] = {
        "label_names": None if labels is None else labels.names,
        "masks": config.masks is not None,
    }
    with progress("faces into the file", len(choice.kept)) as bar:
        if config.shards is None:
            folder.shards.retire()
            options |= {"attributes": attributes, "labels": table, "rows": rows, "replace": replace}
            ahead = config.workers > 1
            write_faces(path, folder, config, choice.kept, bar, DatasetWriter, ahead, **options)
        else:
            columns = face_columns(map(record_of, choice.kept), len(choice.kept))
            digest = set_digest(attributes, columns, table, config.compression, config.shards_of(len(choice.kept)))
            names = _write_shards(folder, config, choice.kept, bar, attributes, table, digest, options, cluster)
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
    cluster: "RayCluster | None",
) -> list[str]:
    """Write the shards that a build that was ended has not completed; return the names of all."""
    count = config.shards_of(len(kept))
    shards, places = folder.shards.plan(count, digest), bounds(len(kept), count)
    missing = [k for k, shard in enumerate(shards) if not shard.exists()]  # what plan() left is complete
    if config.compression == "none":
        faces = sum(places[k][1] - places[k][0] for k in missing)
        require_room(folder.shards.output, faces * sum(3 * r * r for r in level_resolutions(config.resolution)))
    _log.info(f"{printable(config.output)}: {count:,} shards, the first is {printable(shards[0].name)}")
    bar.advance(len(kept) - sum(places[k][1] - places[k][0] for k in missing))

    def options_of(k: int) -> dict[str, Any]:
        first, stop = places[k]
        its = options | {"attributes": shard_attributes(attributes, digest) | {SHARD_ATTRIBUTE: k}}
        return its | {"labels": None if labels is None else labels[first:stop]}

    if cluster is not None and not config.output.is_symlink():  # the target of a link may be this machine's alone
        shared = share_folder(folder.faces)
        jobs = [shard_job(shared, folder, config, shards[k], kept[slice(*places[k])], options_of(k)) for k in missing]
        written = write_on_cluster(cluster, jobs, bar)
        missing = [k for k in missing if shards[k].name not in written]
    for k in missing:
        some, ahead = kept[slice(*places[k])], config.workers > 1
        write_faces(shards[k], folder, config, some, bar, ShardWriter, ahead, **options_of(k))
    return [shard.name for shard in shards]
