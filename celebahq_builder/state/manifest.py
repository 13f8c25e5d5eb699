"""manifest.jsonl: what became of every photo, one JSON line a face; what makes a build resumable.

The first line holds the options. Then come the rows, appended photo by photo in one write each, so that a killed build
leaves a photo done, or not done, or truncated at the very end of the file, where the next run leaves it out.
"""

import contextlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import IO

from celebahq.files import write_atomic
from celebahq_builder.config import THRESHOLD_OPTIONS, BuildError, flag
from celebahq_builder.state.manifest_row import Row
from celebahq_builder.state.read_journal import not_a_row, read_journal
from celebahq_builder.state.row_table import RowTable

__all__ = ["ManifestWriter", "Row", "read_header", "read_manifest", "refuse_changed_options", "write_manifest"]

# What the header holds besides options, as a message names it.
_MAY_CHANGE = {*THRESHOLD_OPTIONS, "looked_for", "score_version", "marks_version", "computed_on"}
_NOT_OPTIONS = {"builder_version": "builder_version", "weights_sha256": "weights of --restore and --detector"}


def read_header(path: Path) -> dict:
    """Return the header of a manifest; {} where it was truncated.

    Raises:
        BuildError: as of read_manifest.
    """
    with path.open("rb") as file:
        return _header(path, file)


def read_manifest(path: Path) -> tuple[dict, RowTable]:
    """Return the header and the rows of every photo that is done; a photo truncated by a kill is left out.

    Raises:
        BuildError: a line that is not the last is not a row: the file was changed by something else.
    """
    file = path.open("rb")  # which the table keeps
    header = _header(path, file)
    table = RowTable(journal=file)
    if header:
        read_journal(path, file, table)
    return header, table


def _header(path: Path, file: IO[bytes]) -> dict:
    line = file.readline()
    try:
        if not line.endswith(b"\n"):
            raise ValueError("truncated")
        return json.loads(line)
    except ValueError:
        if not file.read(1):  # truncated by a kill
            return {}
        raise not_a_row(path, 1) from None


def write_manifest(path: Path, header: dict, rows: Iterable[Row]) -> None:
    """Write a complete manifest; the old one stays in place until the new one is complete."""
    with write_atomic(path, durable=True) as file:
        file.write(_line(header))
        file.writelines(_line(asdict(row)) for row in rows)


class ManifestWriter:
    """Append rows to a manifest, photo by photo. Whatever is written stays written if the process dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("ab", buffering=0)
        self._end = self._file.seek(0, os.SEEK_END)

    def append(self, rows: list[Row]) -> None:
        """Add all rows of one photo, all or none."""
        data = b"".join(_line(asdict(row)) for row in rows)
        written = 0
        try:
            while written < len(data):  # one write; a second only to learn why the first was cut short
                written += self._file.write(data[written:])
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(self._end)
            raise OSError(error.errno, error.strerror, str(self._path)) from error
        self._end += len(data)

    def __enter__(self) -> "ManifestWriter":
        return self

    def __exit__(self, exc_type, exc, traceback) -> None:
        self._file.close()


def refuse_changed_options(manifest: Path, before: dict, now: dict) -> None:
    """Raise BuildError where the rows so far were made with another option than this run's, which would mix them."""
    if before.get("builder_version") == "unknown":  # of a clone, which did not know it in builds of before
        before = before | {"builder_version": now.get("builder_version")}
    for name in before | now:
        if name not in _MAY_CHANGE and before.get(name) != now.get(name):
            what = _NOT_OPTIONS.get(name) or flag(name.removesuffix("_sha256"))
            again = "finish it with the version that began it" if name in _NOT_OPTIONS else "give the first again"
            raise BuildError(
                f"{what}: this build was begun with {before.get(name) or 'none'}, now it is {now.get(name) or 'none'}; "
                f"{again}, or choose another --output, or delete {manifest.parent} to start again"
            )


def _line(record: dict) -> bytes:
    # ASCII only: file names that are not valid UTF-8 survive as escaped surrogates.
    return json.dumps(record).encode("ascii") + b"\n"
