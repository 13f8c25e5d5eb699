"""Lists and reads the images of folders and zip archives, by one kind of name: `a/b.png`, POSIX style and sorted."""

import json
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from celebahq.errors import CelebAHQError
from celebahq_builder.photos import find_photos

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
MOST_BYTES = 256 << 20
"""Of one image file, unpacked: none has so many, and a bomb claims more."""
TOO_LARGE = "larger than 256 MiB"


class SourceError(CelebAHQError, ValueError):
    """A folder, archive or image that cannot be imported; the message is one line that begins with its name.

    Args:
        message: the line.
        reason: in a few words that many images share, for counts; "" where it concerns no single image.
    """

    def __init__(self, message: object, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class SourceLabels:
    """Labels that a source brings along.

    values: by name of the image, a class number or a list of numbers; names: of the columns, where the source has them.
    """

    values: dict[str, Any]
    names: tuple[str, ...] | None = None


class FolderSource:
    """A folder of images, and the folders below it.

    Every source has path, names, skipped (kinds of files that are no images, counted), labels, close and read(name),
    which gives the bytes of an image file or pixels (H, W, C) uint8; stamp(name) changes with what read gives.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        found = find_photos(path)
        self.names = sorted(name for name in found if name.lower().endswith(IMAGE_SUFFIXES))
        """Of the images, relative to the source."""
        self.skipped = Counter(_kind(file.name) for file in path.rglob("*") if _is_other_file(file))
        self.labels = _dataset_json(path / "dataset.json", lambda: (path / "dataset.json").read_bytes())

    def read(self, name: str) -> bytes | np.ndarray:
        """Return an image; SourceError when it cannot be had."""
        try:
            if (self.path / name).stat().st_size > MOST_BYTES:
                raise SourceError(f"{self.path}/{name}: got a file {TOO_LARGE}, expected an image", reason=TOO_LARGE)
            return (self.path / name).read_bytes()
        except OSError as error:
            raise SourceError(f"{self.path}/{name}: cannot be read ({error})", reason="cannot be read") from None

    def stamp(self, name: str) -> str:
        try:
            status = (self.path / name).stat()
        except OSError:
            return ""
        return f"{status.st_size} {status.st_mtime_ns}"

    def close(self) -> None:
        pass


class ZipSource:
    """A .zip archive of images, also one made on a Mac or by StyleGAN's dataset_tool."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            raise SourceError(f"{path}: got no zip archive, expected a folder or .zip of images") from None
        self.skipped: Counter[str] = Counter()
        self._members: dict[str, zipfile.ZipInfo] = {}
        for info in self._zip.infolist():
            parts = PurePosixPath(info.filename).parts
            if info.is_dir() or "__MACOSX" in parts or not parts or parts[-1].startswith("."):
                continue  # a Mac's second file beside every file
            if not info.filename.lower().endswith(IMAGE_SUFFIXES):
                self.skipped.update([_kind(info.filename)] if info.filename != "dataset.json" else [])
            elif info.filename in self._members:
                raise SourceError(f"{path}: got {info.filename} twice, expected every name once")
            else:
                self._members[info.filename] = info
        self.names = sorted(self._members)
        self.labels = _dataset_json(path / "dataset.json", lambda: self._bytes("dataset.json"))

    def read(self, name: str) -> bytes | np.ndarray:
        """Return an image; SourceError when it cannot be had."""
        if self._members[name].file_size > MOST_BYTES:  # before a byte of it is unpacked
            raise SourceError(f"{self.path}/{name}: got a file {TOO_LARGE}, expected an image", reason=TOO_LARGE)
        try:
            return self._zip.read(self._members[name])
        except Exception as error:  # a password is a RuntimeError, and damage may raise anything
            raise SourceError(f"{self.path}/{name}: cannot be read ({error})", reason="cannot be read") from None

    def stamp(self, name: str) -> str:
        return f"{self._members[name].file_size} {self._members[name].CRC:08x}"

    def close(self) -> None:
        self._zip.close()

    def _bytes(self, name: str) -> bytes:
        info = self._zip.getinfo(name)
        if info.file_size > MOST_BYTES:
            raise SourceError(f"{self.path}/{name}: got a file {TOO_LARGE}, expected labels")
        return self._zip.read(info)


def open_source(path: Path) -> FolderSource | ZipSource:
    """Open a folder or an archive; SourceError when it is neither or holds no image."""
    try:
        exists, is_folder = path.exists(), path.is_dir()
        if not exists:
            raise SourceError(f"{path}: no such file or folder, expected a folder or .zip of images")
        source = FolderSource(path) if is_folder else ZipSource(path)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}, expected a folder or .zip of images") from None
    if not source.names:
        source.close()
        raise SourceError(f"{path}: got {_counted(source.skipped) or 'nothing'}, expected {', '.join(IMAGE_SUFFIXES)}")
    return source


def _counted(kinds: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(5))


def _kind(name: str) -> str:
    return PurePosixPath(name).suffix.lower() or "without a suffix"


def _is_other_file(file: Path) -> bool:
    hidden = file.name.startswith(".") or file.name == "dataset.json"
    return not hidden and not file.name.lower().endswith(IMAGE_SUFFIXES) and file.is_file()


def _dataset_json(path: Path, read: Callable[[], bytes]) -> SourceLabels | None:
    """Return the labels of StyleGAN's dataset.json: {"labels": [["00000/img00000000.png", 3], ...]}."""
    try:
        data = read()
    except (KeyError, FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, zipfile.BadZipFile, RuntimeError) as error:
        raise SourceError(f"{path}: cannot be read ({error})") from None
    return parse_dataset_json(path, data)


def parse_dataset_json(path: Path, data: bytes) -> SourceLabels | None:
    """Return the labels of a dataset.json, None where it says that there are none; SourceError for anything else."""
    try:
        listed = json.loads(data)
        pairs = listed["labels"] if isinstance(listed, dict) else listed
        if pairs is None:
            return None
        values = dict(pairs)
        names = listed.get("label_names") if isinstance(listed, dict) else None
        if not all(isinstance(name, str) for name in [*values, *(names or ())]):
            raise ValueError("names")
    except (ValueError, TypeError, KeyError, RecursionError):
        raise SourceError(f'{path}: got something else, expected {{"labels": [["a/b.png", 3], ...]}}') from None
    return SourceLabels(values, tuple(names) if names else None)
