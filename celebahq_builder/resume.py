"""What an earlier run left behind: a finished file, or photos that are done and need no second look."""

import json
from dataclasses import replace

from celebahq_builder.build_folder import BuildFolder
from celebahq_builder.config import BuildConfig, BuildError, flag
from celebahq_builder.labels_file import labels_path
from celebahq_builder.manifest import Row, read_manifest, refuse_changed_options, write_manifest
from celebahq_builder.photo_folder import FileStamp, file_stamp
from celebahq_builder.printable_name import printable


def is_finished(config: BuildConfig, attributes: dict[str, str | int]) -> bool:
    """Say whether this very build is done already; BuildError when something else lies where its file must go."""
    try:
        is_folder, exists = config.output.is_dir(), config.output.exists()
        has_labels = labels_path(config.output).exists()
    except OSError as error:  # a folder closed to us, or a name too long, be it only with "-labels.npy"
        raise BuildError(f"--output: {error.filename}: {error.strerror}, another name or folder is wanted") from None
    if is_folder:
        raise BuildError(f"--output: {config.output} is a folder, the name of a file to make is wanted")
    if not exists:
        if has_labels:  # better said now than after all the work
            raise BuildError(
                f"{labels_path(config.output)}: would be taken for the labels of {config.output}; "
                "move it away or choose another --output"
            )
        return False
    from celebahq_builder.hdf5 import DatasetError, open_dataset

    remedy = "move it away or choose another --output"
    try:
        with open_dataset(config.output) as dataset:
            found, num_faces = dataset.attributes, len(dataset)
    except DatasetError as error:
        raise BuildError(f"{error}; {remedy}") from None
    before, now = _options(found), _options(attributes)
    for name in now:
        if before.get(name) != now[name]:
            found_value = f"was made with {before[name]}" if name in before else "was made without it"
            raise BuildError(f"{flag(name)}: {config.output} {found_value}, this command says {now[name]}; {remedy}")
    if found.get("photos_sha256") != attributes["photos_sha256"]:
        raise BuildError(
            f"{config.output}: was made from {found.get('num_photos')} photos, and --input now holds "
            f"{attributes['num_photos']}, not all of them the same; {remedy}"
        )
    print(f"{printable(config.output)}: already finished, {num_faces} faces")
    if config.build_folder.exists() and not config.keep_build_folder:
        with BuildFolder(config.build_folder) as folder:
            folder.remove()
    return True


def _options(attributes: dict) -> dict:
    """The options in a file's attributes; none where another program wrote something else there."""
    try:
        options = json.loads(str(attributes.get("config", "")))
    except ValueError:
        return {}
    return options if isinstance(options, dict) else {}


def done_so_far(folder: BuildFolder, header: dict, names: list[str], config: BuildConfig) -> list[Row]:
    """Return the rows of photos that need not be looked at again, and leave a manifest that holds just these."""
    if not folder.manifest.exists():
        write_manifest(folder.manifest, header, [])
        return []
    before, rows = read_manifest(folder.manifest)
    if not before:  # killed before the first line was whole
        write_manifest(folder.manifest, header, [])
        return []
    refuse_changed_options(folder.manifest, before, header)

    present = set(names)
    stamps: dict[str, FileStamp] = {}
    for row in rows:
        if row.source in present and row.source not in stamps:
            stamps[row.source] = file_stamp(config.input, row.source)
    # What became of them is to be decided anew, with the photos and options of this run.
    rows = [replace(row, outcome="") for row in rows]
    good = [row for row in rows if stamps.get(row.source) == FileStamp(row.source_bytes, row.source_mtime_ns)]
    if len(good) < len(rows):
        changed = len({row.source for row in rows} - {row.source for row in good})
        print(f"photos gone or changed since the last run: {changed}, what came of them is dropped")
    write_manifest(folder.manifest, header, good)
    done = len({row.source for row in good})
    print(f"continuing: {done} of {len(names)} photos are done")
    return good
