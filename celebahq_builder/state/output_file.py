"""What lies where the file of a build must go: nothing, this very build, or one that it can be made from."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from celebahq.files import partial_path, printable
from celebahq_builder.config import CHOOSING_OPTIONS, FACE_OPTIONS, THRESHOLD_OPTIONS, BuildConfig, BuildError, flag
from celebahq_builder.hdf5_format.labels_file import labels_path
from celebahq_builder.hdf5_format.levels import DatasetError
from celebahq_builder.hdf5_format.rows import StoredRows, find_stored_rows
from celebahq_builder.hdf5_format.shards import SHARD_ATTRIBUTE, shard_names, shard_pattern
from celebahq_builder.quality import SCORE_VERSION
from celebahq_builder.sources.remote import url_of
from celebahq_builder.state.photo_changes import changed_since
from celebahq_builder.state.shard_files import ShardFiles

_log = logging.getLogger("celebahq.build")
_REMEDY = "move it away or choose another --output"
_LONGEST_NAME = 255
"""Bytes, of most file systems."""
_LISTS = ("exclude_sha256", "include_sha256", "labels_sha256", "masks_sha256", "edited")
_SOMETIMES = ("decoder", "landmarks_from", "self_ensemble", "image_list_sha256", "shards", *_LISTS)
"""Options that a file records only where they are given."""
_MAY_CHANGE = {*THRESHOLD_OPTIONS, *CHOOSING_OPTIONS, "shards", *_LISTS}


@dataclass(frozen=True)
class Found:
    """What is there.

    kind: "nothing"; "same": this very build, of these photos; "other": one whose faces are made alike, of other photos,
        or chosen otherwise.
    rows: of the file; None where there are none, as in a file of before.
    options: that it was made with.
    faces: columns of its group `faces`.
    """

    kind: Literal["nothing", "same", "other"] = "nothing"
    rows: StoredRows | None = None
    options: dict[str, Any] = field(default_factory=dict)
    faces: dict[str, np.ndarray] = field(default_factory=dict)
    added: tuple[str, ...] = ()
    """Options that came after the version that made it."""


def look_at_output(config: BuildConfig, names: list[str], attributes: Mapping[str, str | int]) -> Found:
    """Say what lies where the file must go.

    Args:
        names: of the photos.
        attributes: that the finished file has.

    Raises:
        BuildError: something else, faces that other options made, or a file that has no photo with --input in common.
    """
    try:
        is_folder, exists = config.output.is_dir(), config.output.exists()
        has_labels = labels_path(config.output).exists()
    except OSError as error:  # a folder closed to us, or a name too long, be it only with "-labels.npy"
        raise BuildError(f"--output: {error.filename}: got {error.strerror}, expected another name or folder") from None
    if is_folder:
        raise BuildError(f"--output: got the folder {config.output}, expected the name of a file to make")
    _check_shard_names(config)
    if not exists:
        if (
            has_labels and config.labels is None
        ):  # else they may be ours, from just before a kill; better said now than after all the work
            raise BuildError(
                f"{labels_path(config.output)}: would be taken for the labels of {config.output}; "
                "move it away or choose another --output"
            )
        _refuse_foreign_shards(config)
        return Found()
    from celebahq_builder.hdf5 import open_dataset
    from celebahq_builder.hdf5_format.validation import IMPORT_HINT

    try:
        with open_dataset(config.output) as dataset:
            found, faces = dataset.attributes, dataset.faces
        rows = find_stored_rows(config.output)
    except DatasetError as error:
        if not shard_pattern(config.output.resolve()).search(str(error)):
            raise BuildError(f"{str(error).partition(IMPORT_HINT)[0]}; {_REMEDY}") from None
        which = f"{config.output.name} and its shards, {config.output.stem}-NNNNN-of-NNNNN.h5,"
        raise BuildError(f"{error}; or move {which} away, or choose another --output") from None
    if SHARD_ATTRIBUTE in found:
        raise BuildError(f"--output: got {config.output}, a shard of a dataset, expected the dataset that joins it")
    _refuse_foreign_shards(config)
    before, now = _options(found), _options(attributes)
    options = before | {"score_version": found.get("score_version", 1), "marks_version": found.get("marks_version", 0)}
    # What an earlier version had no option for is no difference, where this command leaves that option alone.
    defaults = BuildConfig(input=config.input).recipe() if before else {}
    # But one that select or merge left out, because the files differed in it, is.
    left_out = FACE_OPTIONS if "edited" in before else ()
    new = (name for name in now if name not in before and name in defaults and name not in left_out)
    added = tuple(name for name in new if now[name] == defaults[name])
    for name in added:
        del now[name]
    changed = _changed_options(config, before, now)
    hashes = dict(zip(faces.get("source", []), map(_text, faces.get("source_sha256", [])), strict=False))
    same = not changed and found.get("photos_sha256") == attributes["photos_sha256"]
    if same and not changed_since(config.input, names, found, hashes):
        return Found("same", rows, options, faces, added)
    if rows is not None and found.get("weights_sha256", "") != attributes["weights_sha256"]:
        what = "weights of --restore and --detector"
        raise BuildError(f"{what}: {config.output} was made with others than are here; {_REMEDY}")
    parts = [hashes.keys()] if rows is None else ({*some["source"]} for some in rows.slices())
    if all(sources.isdisjoint(names) for sources in parts):
        count = len(hashes) if rows is None else len({source for some in rows.slices() for source in some["source"]})
        raise BuildError(
            f"--input: got {url_of(config.input) or config.input} with none of the {count:,} photos that "
            f"{config.output} was made from, expected some of them; {_REMEDY}"
        )
    return Found("other", rows, options, faces, added)


def _check_shard_names(config: BuildConfig) -> None:
    """Raise BuildError where HDF5, or the file system, could not take the names of the shards."""
    if config.shards is None:
        return
    longest = partial_path(Path(shard_names(config.output, 99_999, 2)[0])).name
    try:
        if len(longest.encode()) > _LONGEST_NAME:
            raise BuildError(
                f"--output: got a name of {len(config.output.name)} characters, expected fewer with --shards"
            )
    except UnicodeEncodeError:
        name = printable(config.output.name)
        raise BuildError(f"--output: got {name}, expected a name in UTF-8 with --shards") from None


def _refuse_foreign_shards(config: BuildConfig) -> None:
    """Raise BuildError where files would pass for shards of the output; better said now than after all the work."""
    if config.shards is not None and (foreign := ShardFiles(config.output).foreign()):
        raise BuildError(f"{foreign[0]}: would be taken for a shard of {config.output.name}; {_REMEDY}")


def looked_for(config: BuildConfig, before: Mapping[str, Any], where: object) -> float:
    """Return the least distance between the eyes with which faces were looked for, and still are.

    A larger --min-face refuses by the numbers in the rows: looking for larger ones alone would move their landmarks
    by a hair.

    Args:
        before: options of the file or the build folder that is gone on with; {} without one.
        where: its path, for the message.

    Raises:
        BuildError: --min-face is smaller.
    """
    smallest = before.get("looked_for") or before.get("min_face") or config.min_face
    if config.landmarks is not None or not isinstance(smallest, int | float):
        return config.min_face
    if config.min_face < smallest:
        raise BuildError(
            f"--min-face: got {config.min_face:g}, expected at least {smallest:g}: the faces of {printable(where)} "
            f"were looked for from there up; {_REMEDY}"
        )
    return float(smallest)


def say_finished(config: BuildConfig, found: Found, num_faces: int) -> None:
    """Log that there is nothing to do."""
    without = f", by an earlier version, without {', '.join(map(flag, found.added))}" if found.added else ""
    _log.info(f"{printable(config.output)}: already finished, {num_faces} faces{without}")
    if (version := found.options.get("score_version")) != SCORE_VERSION:
        _log.info(
            f"its scores are of version {version} of the formula, now {SCORE_VERSION}: the next change (photos, "
            "--keep ...) makes and scores its faces anew"
        )


def _changed_options(config: BuildConfig, before: dict, now: dict) -> list[str]:
    """Return the options that differ and may; BuildError for one that makes other faces."""
    changed = []
    for name in [*now, *(name for name in _SOMETIMES if name in before and name not in now)]:
        if before.get(name) == now.get(name):
            continue
        if name in _MAY_CHANGE and before:
            changed.append(name)
            continue
        found_value = f"was made with {before[name]}" if name in before else "was made without it"
        said = f"this command says {now[name]}" if name in now else "this command says nothing of it"
        what = flag(name.removesuffix("_sha256"))
        raise BuildError(f"{what}: {config.output} {found_value}, {said}; {_REMEDY}")
    return changed


def _text(value: bytes | str) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)


def _options(attributes: Mapping[str, Any]) -> dict:
    """The options in a file's attributes; none where another program wrote something else there."""
    try:
        options = json.loads(str(attributes.get("config", "")))
    except ValueError:
        return {}
    return options if isinstance(options, dict) else {}
