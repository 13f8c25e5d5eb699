"""The sha256 of a photo that a dataset names, wherever below a given folder it lies; nothing outside is opened."""

import os
import stat
import zipfile
from functools import lru_cache
from io import BufferedReader, BytesIO
from pathlib import Path

from celebahq.files import sha256_of
from celebahq_builder.sources.archives import archive_kind, open_archive
from celebahq_builder.sources.images import MOST_BYTES, TOO_LARGE, SourceError


def sha256_of_named(root: Path, name: str) -> str:
    """Return the sha256 of a source as a dataset names it: below root, in root itself, or in an archive below root.

    The name comes from the file and may be anybody's: nothing outside root is opened, and nothing but regular files.

    Raises:
        SourceError: there is no such file, or it cannot be read; `reason` says why.
    """
    try:
        if root.is_file():
            if zipfile.is_zipfile(root):
                return _sha256_of_member(root, name)
            if archive_kind(root):
                return _sha256_of_listed(root, name)
            return sha256_of(root)
        first, _, rest = name.partition("/")
        archive = inside(root, first)
        if rest and archive.is_file() and zipfile.is_zipfile(archive):
            return _sha256_of_member(archive, rest)
        with open_regular(inside(root, name)) as file:
            return sha256_of(file)
    except FileNotFoundError:
        raise SourceError(f"{root}/{name}: no such file", reason="no such file") from None
    except SourceError:
        raise
    except Exception as error:  # a name that no system takes; whatever zipfile makes of a damaged archive
        raise SourceError(f"{root}/{name}: cannot be read ({error})", reason=str(error)) from None


def inside(root: Path, name: str) -> Path:
    """Return where the file lies; SourceError unless that is below root, links followed."""
    path = (root / name).resolve()
    if name.startswith("/") or ".." in name.split("/") or not path.is_relative_to(root.resolve()):
        raise SourceError(f"{root}/{name}: got a file outside {root}, expected one inside", reason=f"outside {root}")
    return path


def open_regular(path: Path) -> BufferedReader:
    """Open a file, but no pipe, which would be waited for, and no device."""
    file = os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise SourceError(f"{path}: got a folder, pipe or device, expected a file", reason="no regular file")
    return file


def _sha256_of_member(archive: Path, name: str) -> str:
    opened = _archive(archive)
    if opened.getinfo(name).file_size > MOST_BYTES:
        raise SourceError(f"{archive}/{name}: got a larger file, expected at most {MOST_BYTES} bytes", reason=TOO_LARGE)
    with opened.open(name) as file:
        return sha256_of(file)


def _sha256_of_listed(source: Path, name: str) -> str:
    """Of a photo in a tar or of a list of paths: what a build from it reads."""
    archive = open_archive(source)
    if name not in archive.stamps:
        raise FileNotFoundError(name)
    if archive.stamps[name].num_bytes > MOST_BYTES:
        raise SourceError(f"{source}/{name}: got a larger file, expected at most {MOST_BYTES} bytes", reason=TOO_LARGE)
    return sha256_of(BytesIO(archive.read(name)))


@lru_cache(8)
def _archive(path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)
