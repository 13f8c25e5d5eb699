"""celebahq-build --output URL: the set is made in a folder of this machine, then sent; one that is there is fetched."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

from celebahq.files import printable
from celebahq_builder.config import BuildConfig, BuildError, BuildIncompleteError
from celebahq_builder.hdf5_format.levels import DatasetError
from celebahq_builder.hdf5_format.row_tables import csv_path, parquet_path
from celebahq_builder.hdf5_format.shards import shard_pattern
from celebahq_builder.report.sprites import files_folder, is_sheet
from celebahq_builder.report.summary import BuildResult
from celebahq_builder.sources.remote import RemoteError, url_of
from celebahq_builder.stores.fetch import fetch_beside, fetch_set
from celebahq_builder.stores.owner import Owner
from celebahq_builder.stores.place import Place, open_place, stamp
from celebahq_builder.stores.upload import refuse_other_object, upload
from celebahq_builder.stores.upload_record import UploadRecord, read_record, record_path

_log = logging.getLogger("celebahq.build")


@dataclass(frozen=True, kw_only=True)
class LocalPart(BuildConfig):
    """The build on this machine that a build to a URL begins with; it says of itself what the user typed."""

    url: str = ""
    typed_work: Path | None = None

    def as_typed(self) -> BuildConfig:
        values = {field.name: getattr(self, field.name) for field in fields(BuildConfig)}
        return BuildConfig(**values | {"output": Path(self.url), "work": self.typed_work})


def build_to_store(config: BuildConfig, build: Callable[[BuildConfig], BuildResult]) -> BuildResult:
    """Build, then send what was made; what was sent before is gone on with.

    Args:
        build: builds on this machine.

    Raises:
        BuildError: as of build; the set in the store is another one, somebody else sends one there, or what was made
            cannot be sent.
        BuildIncompleteError: as of build; what was made has been sent.
    """
    work = config.work or Path(f"{config.output.name}.work")
    output = work / config.output.name
    values = {field.name: getattr(config, field.name) for field in fields(BuildConfig)}
    local = LocalPart(**values | {"output": output, "work": None}, url=url_of(config.output), typed_work=config.work)
    try:
        place = open_place(url_of(config.output))
        place.listing()  # says at once that there is no such bucket
        record = _record_of(place, output)
        with Owner(place, record.work, output.with_name(f"{output.name}.owner.lock")) as owner:
            there = place.listing()
            if not output.exists() and place.name in there:
                _fetch(place, record, output, there)
            refuse_other_object(place, record, output, there.get(place.name))
            _log.info(f"{printable(place.url)}: made in {printable(work)}, then sent")
            incomplete = None
            try:
                result = build(local)
            except BuildIncompleteError as error:
                if error.result is None:
                    raise
                incomplete, result = error, error.result
            if output.exists():
                upload(place, record, output, result.report, owner.require)
                result = replace(result, url=place.url)
    except RemoteError as error:
        raise BuildError(f"--output: {error}") from None
    if incomplete is not None:
        raise BuildIncompleteError(str(incomplete), result)
    return result


def _record_of(place: Place, output: Path) -> UploadRecord:
    """Return the record of the set in the work folder, a new one where there is none; BuildError for another URL's."""
    record = read_record(output)
    if record is None:
        if output.exists() or record_path(output).exists():
            found = output if output.exists() else record_path(output)
            raise BuildError(f"--work: got {found}, expected a folder without it; give another --work")
        record = UploadRecord(record_path(output), place.url)
        output.parent.mkdir(parents=True, exist_ok=True)
    if record.url != place.url:
        raise BuildError(f"--work: got {output.parent}, where {record.url} is made, expected another folder")
    record.save()  # with its name, which those of before lack
    return record


def _fetch(place: Place, record: UploadRecord, output: Path, there: dict[str, dict]) -> None:
    """Fetch the set that is in the store and not here: its faces need not be made again, and none is overwritten."""
    _log.info(f"{printable(place.url)}: is there, and not in {printable(output.parent)}")
    page = output.with_name(f"{output.stem}-report.html")
    images = files_folder(page)
    tables = [path.name for path in (csv_path(output), parquet_path(output), page) if path.name in there]
    sheets = place.listing(images.name)
    sheets = {name: info for name, info in sheets.items() if is_sheet(name.removeprefix(f"{images.name}/"))}
    # The dataset comes last: from then on a killed run is gone on with as one that had made all of it.
    fetch_beside(place, output.parent, [*tables, *sheets], there | sheets)
    for name in (*tables, *sheets):
        record.confirm(name, output.parent / name, stamp((there | sheets)[name]))
    try:
        names = fetch_set(place, output.parent, there, no_newer_than=csv_path(output))
    except DatasetError as error:
        raise BuildError(f"--output: got {place.url}, no dataset ({error}); choose another --output") from None
    record.joined = [name for name in names if shard_pattern(output).fullmatch(name)]
    for name in names:
        record.confirm(name, output.parent / name, stamp(there[name]))
