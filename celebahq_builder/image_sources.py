"""Lists and reads the images of folders and zip archives, by one kind of name: `a/b.png`, POSIX style and sorted."""

import zipfile
from functools import cache
from pathlib import Path

from celebahq_builder.photos import find_photos

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


class SourceError(ValueError):
    """A folder, archive or image that cannot be imported; the message is one line that begins with its name."""


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


@cache
def _archive(path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def read_named(root: Path, name: str) -> bytes:
    """Return the bytes of a source as a dataset names it: below root, in root itself, or in an archive below root.

    Raises:
        SourceError: there is no such file, or it cannot be read.
    """
    try:
        if root.is_file():
            return _archive(root).read(name) if zipfile.is_zipfile(root) else root.read_bytes()
        first, _, rest = name.partition("/")
        if rest and zipfile.is_zipfile(root / first):
            return _archive(root / first).read(rest)
        return (root / name).read_bytes()
    except (OSError, KeyError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise SourceError(f"{root}/{name}: cannot be read ({error})") from None
