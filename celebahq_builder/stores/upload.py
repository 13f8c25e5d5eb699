"""A finished set into its store: shards first, the dataset that joins them last, and no moment without a whole set.

Until the dataset is there under its name, nothing that the set of before shows is touched; after it, what lay beside
that one is replaced, and shards that nobody joins any more are removed.
"""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from celebahq.files import printable
from celebahq.progress import Progress, progress
from celebahq_builder.config import BuildError
from celebahq_builder.hdf5_format.labels_file import labels_path
from celebahq_builder.hdf5_format.row_tables import csv_path, parquet_path
from celebahq_builder.report.sprites import files_folder
from celebahq_builder.sources.archives import FileStamp
from celebahq_builder.sources.remote import patiently, words_of
from celebahq_builder.state.shard_files import ShardFiles
from celebahq_builder.stores.checksums import is_equal
from celebahq_builder.stores.place import Place, stamp
from celebahq_builder.stores.send_file import send_file
from celebahq_builder.stores.upload_record import UploadRecord

_log = logging.getLogger("celebahq.build")


def beside(output: Path, report: Path) -> list[str]:
    """Return the names of what lies beside a dataset, and belongs to it, but its shards."""
    images = files_folder(report)
    names = [f"{images.name}/{path.name}" for path in sorted(images.glob("*.webp"))] if images.is_dir() else []
    others = (labels_path(output), parquet_path(output), csv_path(output), report)
    return names + [path.name for path in others if path.exists()]


def upload(place: Place, record: UploadRecord, output: Path, report: Path, still_ours: Callable[[], None]) -> None:
    """Send what is missing of a set; what is there already, with the same bytes, is not sent again.

    Args:
        output: the dataset on this machine.
        report: the page beside it.
        still_ours: asked before anything is changed; raises where somebody else has taken the set over.

    Raises:
        BuildError: somebody else's file has one of the names, or the store does not take it; the same command goes on.
        RemoteError: it cannot be listed.
    """
    shards, others = ShardFiles(output).joined(), beside(output, report)
    there = place.listing(files_folder(report).name)
    _refuse_foreign(place, record, output, [*shards, *others, output.name], there)
    missing = [name for name in (*shards, *others, output.name) if not _is_there(place, record, output, name, there)]
    if missing:
        sizes = {name: (output.parent / name).stat().st_size for name in missing}
        what = f"{len(missing):,} of {len(shards) + len(others) + 1:,} files, {sum(sizes.values()) / 1e6:,.1f} MB"
        _log.info(f"\nsending {what}, to {printable(place.url)}")
        # What would replace something that belongs to the set of before comes after the dataset itself.
        later = [name for name in missing if name in others and name in there]
        first = [name for name in missing if name not in later and name != output.name]
        with progress(f"to {place.url.partition('://')[0]}", sum(sizes.values()), "B") as bar:
            for name in first:
                still_ours()
                _send(place, record, output, name, bar)
            if output.name in missing:
                still_ours()
                _send(place, record, output, output.name, bar)
            record.joined = shards
            record.save()
            for name in later:
                still_ours()
                _send(place, record, output, name, bar)
    elif record.joined != shards:
        record.joined = shards
        record.save()
    still_ours()
    removed = _sweep(place, record, {*shards, *others, output.name}, there)
    swept = f"; {removed:,} files of the set before are removed" if removed else ""
    what = "is complete, each file checked" if missing else "is complete already"
    _log.info(f"{printable(place.url)} {what}{swept}")


def refuse_other_object(place: Place, record: UploadRecord, output: Path, info: dict | None) -> None:
    """Raise BuildError where the dataset in the store is not the one that was last seen from here.

    Args:
        info: what the store says of it; None: there is none.
    """
    if info is None or record.is_object(output.name, stamp(info)):
        return
    # Sent, or fetched, by a run that was killed before it could note so: most stores state no checksum.
    if output.exists() and is_equal(place.system, place.of(output.name), info, output, read_back=True):
        record.joined = ShardFiles(output).joined()
        record.confirm(output.name, output, stamp(info))
        return
    raise BuildError(
        f"--output: got {place.url}, which was changed since it was sent from {record.path.parent}, expected that one; "
        f"give another --work, which fetches what is there, or another --output"
    )


def _refuse_foreign(place: Place, record: UploadRecord, output: Path, names: list[str], there: dict[str, dict]) -> None:
    """Raise BuildError where a name is taken by a file that was not sent from here and is another one."""
    refuse_other_object(place, record, output, there.get(output.name))
    for name in names:
        if name in there and name not in record.noted:
            if not is_equal(place.system, place.of(name), there[name], output.parent / name, read_back=True):
                raise BuildError(f"{place.url_of(name)}: exists already, and is not overwritten; move it away")
            record.confirm(name, output.parent / name, stamp(there[name]))


def _is_there(place: Place, record: UploadRecord, output: Path, name: str, there: dict[str, dict]) -> bool:
    """Say whether an object holds the bytes that are here: as recorded, or by its checksum."""
    path, found = output.parent / name, stamp(there.get(name))
    if found == FileStamp(-1, 0):
        return False
    if record.is_there(name, path, found):
        return True
    if is_equal(place.system, place.of(name), there[name], path, read_back=False):
        record.confirm(name, path, found)
        return True
    return False


def _send(place: Place, record: UploadRecord, output: Path, name: str, bar: Progress) -> None:
    record.note(name)
    bar.note(name)
    try:
        info = send_file(place.system, place.of(name), output.parent / name, bar.advance)
    except Exception as error:  # whatever the store's library raises
        raise BuildError(
            f"{place.url_of(name)}: could not be sent ({words_of(error)}), expected a store that takes it; "
            f"all is in {output.parent}, and the same command goes on from there"
        ) from None
    record.confirm(name, output.parent / name, stamp(info))


def _sweep(place: Place, record: UploadRecord, now: set[str], there: dict[str, dict]) -> int:
    """Remove what was sent and belongs to the set no more: shards, small images, labels; return how many."""
    old = [name for name in record.noted if name not in now]
    removed = 0
    for name in old:
        if name in there or name in record.sent:
            try:
                patiently(partial(place.system.rm_file, place.of(name)))
                removed += 1
            except FileNotFoundError:
                pass
            except Exception as error:  # a right that is not there costs room, no more
                _log.warning(f"{printable(place.url_of(name))}: could not be removed ({words_of(error)})")
                continue
        record.noted.remove(name)
        record.sent.pop(name, None)
    if old:
        record.save()
    return removed
