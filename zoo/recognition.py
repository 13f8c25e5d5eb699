"""Which entry of the catalogue a file is: by the hash that is published, else by its name. No torch."""

from dataclasses import dataclass
from pathlib import Path

from zoo.catalog import Entry, Source, read_catalog
from zoo.file_hash import git_blob_of

NAMED_BY_ALL = {"pytorch_model.bin", "network-final.pkl"}
"""Names that say nothing."""


@dataclass(frozen=True)
class Recognised:
    """An entry of the catalogue that a file is of."""

    entry: Entry
    source: Source
    by_hash: bool
    """False: its name alone says so."""


def recognise_file(path: Path, sha256: str) -> Recognised | None:
    """Return the entry that a file belongs to, whose license then counts; None where nothing says so.

    A file that has the name of one with a published hash, but another hash, is not that file.
    """
    blob = git_blob_of(path)
    by_name = None
    for entry in read_catalog().entries.values():
        for source in entry.sources:
            prefix = source.sha256 or source.sha256_prefix
            if prefix or source.git_blob_prefix:
                if (prefix and sha256.startswith(prefix)) or (
                    source.git_blob_prefix and blob.startswith(source.git_blob_prefix)
                ):
                    return Recognised(entry, source, by_hash=True)
            elif source.file == path.name and path.name not in NAMED_BY_ALL:
                fits = source.size in (None, path.stat().st_size)
                # several entries may share a file: the one that is named after its publisher says most
                if fits and (by_name is None or entry.layout == source.layout):
                    by_name = Recognised(entry, source, by_hash=False)
    return by_name
