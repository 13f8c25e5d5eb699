"""What an earlier run left behind: a finished file, or photos that are done and need no second look."""

import json
import logging
from dataclasses import replace
from typing import Literal

import numpy as np

from celebahq.files import printable
from celebahq_builder.config import BuildConfig, BuildError, flag
from celebahq_builder.hdf5_format.labels_file import labels_path
from celebahq_builder.state.best_faces import Choice, choose
from celebahq_builder.state.build_folder import BuildFolder
from celebahq_builder.state.failure import is_failure
from celebahq_builder.state.manifest import Row, read_manifest, refuse_changed_options, write_manifest
from celebahq_builder.state.photo_changes import changed_since, unchanged

_log = logging.getLogger("celebahq.build")

_SOMETIMES = ("decoder", "landmarks_from", "image_list_sha256")  # options that a file records only where they are given
Found = Literal["nothing", "unfinished", "finished"]


def look_at_output(config: BuildConfig, names: list[str], attributes: dict[str, str | int], header: dict) -> Found:
    """Say what lies where the file must go.

    Args:
        attributes: that the finished file has.
        header: that the manifest of this build has.

    Returns:
        "finished": this very build; "unfinished": it as well, but the build folder beside it holds photos that failed
        or that came to be aligned after it was written.

    Raises:
        BuildError: something else, or the photos are not those any more that it was made from.
    """
    try:
        is_folder, exists = config.output.is_dir(), config.output.exists()
        has_labels = labels_path(config.output).exists()
    except OSError as error:  # a folder closed to us, or a name too long, be it only with "-labels.npy"
        raise BuildError(f"--output: {error.filename}: got {error.strerror}, expected another name or folder") from None
    if is_folder:
        raise BuildError(f"--output: got the folder {config.output}, expected the name of a file to make")
    if not exists:
        if has_labels:  # better said now than after all the work
            raise BuildError(
                f"{labels_path(config.output)}: would be taken for the labels of {config.output}; "
                "move it away or choose another --output"
            )
        return "nothing"
    from celebahq_builder.hdf5 import DatasetError, open_dataset

    remedy = "move it away or choose another --output"
    try:
        with open_dataset(config.output) as dataset:
            found, faces = dataset.attributes, dataset.faces
            num_faces = len(dataset)
    except DatasetError as error:
        raise BuildError(f"{error}; {remedy}") from None
    before, now = _options(found), _options(attributes)
    # What an earlier version had no option for is no difference, where this command leaves that option alone.
    defaults = BuildConfig(input=config.input).recipe() if before else {}
    added = [name for name in now if name not in before and name in defaults and now[name] == defaults[name]]
    for name in added:
        del now[name]
    for name in [*now, *(name for name in _SOMETIMES if name in before and name not in now)]:
        if before.get(name) != now.get(name):
            found_value = f"was made with {before[name]}" if name in before else "was made without it"
            said = f"this command says {now[name]}" if name in now else "this command says nothing of it"
            raise BuildError(f"{flag(name)}: {config.output} {found_value}, {said}; {remedy}")
    if found.get("photos_sha256") != attributes["photos_sha256"]:
        raise BuildError(
            f"{config.output}: was made from {found.get('num_photos')} photos, and --input now holds "
            f"{attributes['num_photos']}, not all of them the same; {remedy}"
        )
    hashes = dict(zip(faces.get("source", []), map(_text, faces.get("source_sha256", [])), strict=False))
    if changed := changed_since(config.input, names, found, hashes):
        raise BuildError(f"{config.output}: {changed} of --input changed since this file was made; {remedy}")
    if _holds_more(config, names, header, faces):
        return "unfinished"
    without = f", by an earlier version, without {', '.join(map(flag, added))}" if added else ""
    _log.info(f"{printable(config.output)}: already finished, {num_faces} faces{without}")
    if config.build_folder.exists() and not config.keep_build_folder:
        with BuildFolder(config.build_folder) as folder:
            folder.remove()
    return "finished"


def _holds_more(config: BuildConfig, names: list[str], header: dict, faces: dict[str, np.ndarray]) -> bool:
    """Say whether the build folder, where there is one of this build, holds what the finished file lacks."""
    try:
        before, rows = read_manifest(config.build_folder / "manifest.jsonl")
    except (OSError, BuildError):
        return False
    if before != header:
        return False
    done = {row.source for row in rows if not is_failure(row.reason)}
    return not done.issuperset(names) or not are_these_faces(choose(rows, config.keep, config.dedupe), faces)


def are_these_faces(choice: Choice, faces: dict[str, np.ndarray]) -> bool:
    """Say whether a dataset holds just what was chosen.

    Args:
        faces: columns of the group `faces`.
    """
    columns = [list(faces.get(name, [])) for name in ("source", "face_index", "score")]
    there = [(str(source), int(index), float(score)) for source, index, score in zip(*columns, strict=False)]
    return there == [(row.source, row.face_index, row.score) for row in choice.kept]


def _text(value: bytes | str) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)


def _options(attributes: dict) -> dict:
    """The options in a file's attributes; none where another program wrote something else there."""
    try:
        options = json.loads(str(attributes.get("config", "")))
    except ValueError:
        return {}
    return options if isinstance(options, dict) else {}


def load_completed_rows(folder: BuildFolder, header: dict, names: list[str], config: BuildConfig) -> list[Row]:
    """Return the rows of photos that need not be looked at again, and leave a manifest that holds just these."""
    if not folder.manifest.exists():
        write_manifest(folder.manifest, header, [])
        return []
    before, rows = read_manifest(folder.manifest)
    if not before:  # killed before the first line was whole
        write_manifest(folder.manifest, header, [])
        return []
    added = [name for name in config.face_options() if name not in before]
    refuse_changed_options(folder.manifest, before | {name: header[name] for name in added}, header)
    if added:  # begun by an earlier version, whose faces were made and judged without these options
        old = {row.source for row in rows if row.status == "aligned"}
        rows = [row for row in rows if row.source not in old]
        without = ", ".join(flag(name) for name in added)
        _log.info(f"begun by an earlier version, without {without}: the faces of {len(old)} photos are made again")

    # What became of them is to be decided anew, with the photos and options of this run.
    rows = [replace(row, outcome="") for row in rows]
    present = set(names)
    good = unchanged(config.input, [row for row in rows if row.source in present])
    if len(good) < len(rows):
        changed = len({row.source for row in rows} - {row.source for row in good})
        _log.info(f"photos gone or changed since the last run: {changed}, what came of them is dropped")
    failed = {row.source for row in good if is_failure(row.reason)}
    good = [row for row in good if row.source not in failed]
    write_manifest(folder.manifest, header, good)
    done = len({row.source for row in good})
    again = f"; {len(failed)} that failed are tried again" if failed else ""
    _log.info(f"continuing: {done} of {len(names)} photos are done{again}")
    return good
