"""Lists and reads the images of folders and zip archives, by one kind of name: `a/b.png`, POSIX style and sorted."""

import hashlib
import os
import stat
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import IO

from celebahq.errors import CelebAHQError
from celebahq_builder.photos import find_photos

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


MOST_BYTES = 1 << 30
"""Of one member of an archive, unpacked: no picture has so many, and a bomb claims more."""


class SourceError(CelebAHQError, ValueError):
    """A folder, archive or image that cannot be imported; the message is one line that begins with its name.

    Args:
        message: the line.
        reason: in a few words that many images share, for counts; "" where it concerns no single image.
    """

    def __init__(self, message: object, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class ImageSource:
    """A folder (and the folders below it) or a .zip archive of images.

    Raises:
        SourceError: it is neither, or holds no image.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        if not path.exists():
            raise SourceError(f"{path}: no such file or folder, a folder or .zip of images is wanted")
        if path.is_dir():
            members = find_photos(path)
        else:
            try:
                self._zip = zipfile.ZipFile(path)
            except (zipfile.BadZipFile, OSError):
                raise SourceError(f"{path}: no zip archive, a folder or .zip of images is wanted") from None
            members = self._zip.namelist()
        self.names = sorted(name for name in members if name.lower().endswith(IMAGE_SUFFIXES))
        """Of the images, relative to the source."""
        if not self.names:
            raise SourceError(f"{path}: no {', '.join(IMAGE_SUFFIXES)} in it")

    def read(self, name: str) -> bytes:
        """Return the bytes of one image; SourceError when they cannot be had."""
        try:
            return self._zip.read(name) if self._zip else (self.path / name).read_bytes()
        except (KeyError, zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
            # RuntimeError is how zipfile says that a password is wanted.
            raise SourceError(f"{self.path}/{name}: cannot be read ({error})") from None

    def close(self) -> None:
        if self._zip:
            self._zip.close()


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
            with root.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        first, _, rest = name.partition("/")
        archive = _inside(root, first)
        if rest and archive.is_file() and zipfile.is_zipfile(archive):
            return _sha256_of_member(archive, rest)
        with _open_regular(_inside(root, name)) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise SourceError(f"{root}/{name}: no such file", reason="no such file") from None
    except SourceError:
        raise
    except Exception as error:  # a name that no system takes; whatever zipfile makes of a damaged archive
        raise SourceError(f"{root}/{name}: cannot be read ({error})", reason=str(error)) from None


def _inside(root: Path, name: str) -> Path:
    """Return where the file lies; SourceError unless that is below root, links followed."""
    path = (root / name).resolve()
    if name.startswith("/") or ".." in name.split("/") or not path.is_relative_to(root.resolve()):
        raise SourceError(f"{root}/{name}: got a file outside {root}, expected one inside", reason=f"outside {root}")
    return path


def _open_regular(path: Path) -> IO[bytes]:
    """Open a file, but no pipe, which would be waited for, and no device."""
    file = os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise SourceError(f"{path}: got a folder, pipe or device, expected a file", reason="no regular file")
    return file


def _sha256_of_member(archive: Path, name: str) -> str:
    opened = _archive(archive)
    if opened.getinfo(name).file_size > MOST_BYTES:
        raise SourceError(f"{archive}/{name}: larger than {MOST_BYTES} bytes", reason="larger than 1 GiB")
    with opened.open(name) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(8)
def _archive(path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)
