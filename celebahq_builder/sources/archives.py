"""Photos inside a zip, a tar or a list of paths: their names, their stamps and their bytes, read one by one."""

import functools
import os
import shlex
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from celebahq.errors import CelebAHQError
from celebahq.files import printable, text_lines

LIST_EXTENSIONS = (".txt", ".lst", ".list")
COMPRESSIONS = {
    b"\x1f\x8b": ("gzip", "gzip -dk"),
    b"BZh": ("bzip2", "bzip2 -dk"),
    b"\xfd7zXZ\0": ("xz", "xz -dk"),
    b"\x28\xb5\x2f\xfd": ("zstd", "zstd -dk"),
}
"""How such a file begins -> what it is, and the command that makes a plain tar of it, beside it."""


@dataclass(frozen=True)
class FileStamp:
    """Tells whether a file has changed. -1 and 0 for one that cannot be looked at."""

    num_bytes: int
    mtime_ns: int


class ArchiveError(CelebAHQError, ValueError):
    """An archive or list that cannot be used; the message says what was found and what is expected."""


@dataclass
class Archive:
    """What lies in it: stamps by name, how to read one, and what was left out, by kind."""

    stamps: dict[str, FileStamp]
    read: Callable[[str], bytes]
    left_out: Counter[str] = field(default_factory=Counter)


READ_ERRORS = (OSError, KeyError, RuntimeError, EOFError, ValueError, zipfile.BadZipFile, zlib.error)
"""What reading one photo may raise; RuntimeError is how zipfile says that a password is needed."""


def archive_kind(path: Path) -> str:
    """Return "zip", "tar", "list" or "" for a file that is none of these, by its first bytes.

    Raises:
        ArchiveError: a compressed tar, in which no photo can be reached without unpacking all before it.
    """
    with path.open("rb") as file:
        begin = file.read(512)
    if begin[:4] in (b"PK\3\4", b"PK\5\6"):
        return "zip"
    if begin[257:262] == b"ustar":
        return "tar"
    for first, (kind, command) in COMPRESSIONS.items():
        if begin.startswith(first):
            raise ArchiveError(
                f"got a file compressed by {kind}, expected a folder, a zip or a plain tar (whose photos are read "
                f"one by one); {command} {shlex.quote(printable(path))} makes one"
            )
    return "list" if path.suffix.lower() in LIST_EXTENSIONS and b"\0" not in begin else ""


def open_archive(path: Path) -> Archive:
    """Open a zip, a tar or a list; once a process for one state of the file."""
    status = path.stat()
    return _open(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _open(path: Path, num_bytes: int, mtime_ns: int) -> Archive:
    try:
        return {"zip": _zip, "tar": _tar, "list": _list}[archive_kind(path)](path)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, UnicodeError, OverflowError) as error:
        raise ArchiveError(f"got a damaged archive ({error}), expected a whole zip or tar") from None


def _leaves(name: str) -> bool:
    """Say whether a member's name points out of the archive. Nothing is unpacked, so it is only a strange name."""
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or ":" in path.parts[0]


def _add(archive: Archive, name: str, stamp: FileStamp) -> None:
    if not name or _leaves(name):
        archive.left_out["members whose name leaves the archive"] += 1
    elif not any(part.startswith(".") for part in name.split("/")):  # as in folders; also what a Mac adds, ._name
        archive.left_out["members of a name that comes again"] += name in archive.stamps
        archive.stamps[name] = stamp


def _zip(path: Path) -> Archive:
    file = zipfile.ZipFile(path)
    archive = Archive({}, file.read)
    for member in file.infolist():
        if not member.is_dir():
            try:
                seconds = int(datetime(*member.date_time, tzinfo=UTC).timestamp())
            except ValueError:  # a month of 0
                seconds = 0
            # The time counts in steps of two seconds; the checksum takes the place below.
            _add(archive, member.filename, FileStamp(member.file_size, seconds * 10**9 + member.CRC % 10**9))
    return archive


def _tar(path: Path) -> Archive:
    places: dict[str, tuple[int, int]] = {}

    def read(name: str) -> bytes:
        at, length = places[name]
        with path.open("rb") as file:
            data = os.pread(file.fileno(), length, at) if hasattr(os, "pread") else _read_at(file, at, length)
        if len(data) < length:
            raise EOFError(f"the tar ends {length - len(data)} bytes before the photo")
        return data

    archive = Archive({}, read)
    with tarfile.open(path, "r:") as file:
        for member in file:
            file.members = []  # type: ignore[attr-defined]  # the list would grow with the archive
            name = member.name.removeprefix("./")
            if member.isdir():
                continue
            if not member.isreg() or member.issparse():
                archive.left_out["links, devices and sparse members"] += 1
                continue
            places[name] = member.offset_data, member.size
            moment = float(member.mtime)
            mtime_ns = int(moment * 1e9) if 0 <= moment < 2**33 else 0
            _add(archive, name, FileStamp(member.size, mtime_ns))
    return archive


def _read_at(file, at: int, length: int) -> bytes:
    file.seek(at)
    return file.read(length)


def _list(path: Path) -> Archive:
    """One path a line, relative to the list's folder; one elsewhere is named by its whole path without the first /."""
    folder = path.resolve().parent
    paths: dict[str, Path] = {}

    def read(name: str) -> bytes:
        if paths[name].exists() and not paths[name].is_file():
            raise OSError(0, "not a file")  # opening a pipe would wait for ever
        return paths[name].read_bytes()

    archive = Archive({}, read)
    lines = text_lines(path.read_bytes().decode("utf-8-sig", "surrogateescape"))
    for line in filter(None, (line.strip(" \t\v\f") for line in lines)):
        if "\0" in line:
            raise ArchiveError("got a line with a zero byte, expected a text that lists paths, one a line")
        place = Path(os.path.normpath(folder / line))
        name = place.relative_to(folder if place.is_relative_to(folder) else place.anchor).as_posix()
        archive.left_out["lines that come again"] += name in paths
        paths[name] = place
        try:
            status = place.stat()
            archive.stamps[name] = FileStamp(status.st_size, status.st_mtime_ns)
        except (OSError, ValueError):
            archive.stamps[name] = FileStamp(-1, 0)
    return archive
