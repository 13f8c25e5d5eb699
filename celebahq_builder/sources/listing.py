"""Where photos come from: a folder, a zip, a tar, a list of paths, a URL or one file. Names, stamps, bytes."""

import os
import re
import stat
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from celebahq_builder.decoding.kinds import EXTENSIONS, other_kind
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.sources.archives import READ_ERRORS, FileStamp, archive_kind, open_archive
from celebahq_builder.sources.remote import list_remote, read_remote, remote_stamp, url_of

_PAGE_FILES, _SHEET = "report-files", re.compile(r"[0-9a-f]{16}-\d{5}\.webp")
"""Small faces of a page about an earlier build, where it was written among the photos: report/sprites.py."""
_LOOKED_INTO = 2000  # files of other kinds; the rest is named by extension alone


@dataclass
class Listing:
    """The photos of an input, and how many files of what kind lie among them."""

    names: list[str]
    """Sorted, relative to the input, with / between folders."""
    left_out: Counter[str] = field(default_factory=Counter)


def list_photos(root: Path, but: Path | None = None) -> Listing:
    """Find the photos of a folder, zip, tar, URL or list of paths (.txt, .lst, .list); or name the one that it is.

    A photo is a file with an image's extension, whatever is in it: one that is no image becomes a row with a
    reason; so does whatever a list names. Names that begin with a dot are skipped; pipes, sockets and devices too, and
    the small faces of a page about an earlier build. Links are followed, each folder once. A folder that cannot be
    listed, and a link that leads nowhere, are returned by their own name, so that read_photo gives the reason. Names
    keep bytes that are not UTF-8 (surrogateescape).

    Args:
        but: a folder, resolved, that is not looked into: the build's own, when it lies among the photos.

    Raises:
        OSError: root does not exist, cannot be listed, or is a pipe or the like.
        ArchiveError: a damaged archive, a compressed tar.
        RemoteError: a URL that cannot be listed.
    """
    root = Path(root)
    if url := url_of(root):
        listing = Listing([])
        return _by_extension(list_remote(url, listing.left_out), listing)
    mode = root.stat().st_mode
    if stat.S_ISDIR(mode):
        return _list_folder(root, but)
    if not stat.S_ISREG(mode):
        raise OSError(0, "a pipe or device", str(root))
    kind = archive_kind(root)
    if not kind:
        return Listing([root.name])
    archive = open_archive(root)
    listing = Listing([], Counter(archive.left_out))
    return _by_extension(archive.stamps, listing, every_name=kind == "list")


def _by_extension(names: Iterable[str], listing: Listing, every_name: bool = False) -> Listing:
    """Sort names into photos and others; every_name: whatever it is called."""
    for name in names:
        if every_name or PurePath(name).suffix.lower() in EXTENSIONS:
            listing.names.append(name)
        else:
            listing.left_out[PurePath(name).suffix.lower() or "no extension"] += 1
    listing.names.sort()
    listing.left_out += Counter()  # without zeros
    return listing


def find_photos(root: Path) -> list[str]:
    """Return the names of list_photos."""
    return list_photos(root).names


def _list_folder(root: Path, but: Path | None) -> Listing:
    listing, seen = Listing([]), set()
    real: list[tuple[Path, str]] = [(root, "")]  # (path, prefix of the names) still to be listed
    linked: list[tuple[Path, str]] = []  # after the real ones, so that a photo is named by its true folder
    while real or linked:
        path, prefix = real.pop() if real else linked.pop(0)
        try:
            identity = path.stat()
            if (identity.st_dev, identity.st_ino) in seen or (but is not None and path.resolve() == but):
                continue
            seen.add((identity.st_dev, identity.st_ino))
            with os.scandir(path) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError:
            if not prefix:
                raise
            listing.names.append(prefix.rstrip("/"))
            continue
        for entry in entries:
            if entry.name.startswith(".") or (path.name.endswith(_PAGE_FILES) and _SHEET.fullmatch(entry.name)):
                continue
            if _is_folder(entry):
                (linked if entry.is_symlink() else real).append((path / entry.name, f"{prefix}{entry.name}/"))
            elif _can_be_opened_or_explained(entry):
                if PurePath(entry.name).suffix.lower() in EXTENSIONS:
                    listing.names.append(prefix + entry.name)
                else:
                    looked_into = listing.left_out.total() < _LOOKED_INTO
                    listing.left_out[other_kind(entry.name, _begin(entry) if looked_into else b"")] += 1
    listing.names.sort()
    return listing


def photo_path(root: Path, name: str) -> Path:
    """Return where the photo lies that list_photos(root) named: root itself, when it is a photo or holds it."""
    return root / name if root.is_dir() else root


def file_stamp(root: Path, name: str) -> FileStamp:
    """Return the stamp of a photo; of one in an archive, as the archive declares it."""
    if url := url_of(root):
        return remote_stamp(url, name)
    try:
        path = photo_path(root, name)
        if path == root and archive_kind(root):
            return open_archive(root).stamps.get(name, FileStamp(-1, 0))
        status = path.stat()
    except (OSError, ValueError):
        return FileStamp(-1, 0)
    return FileStamp(status.st_size, status.st_mtime_ns)


def read_photo(root: Path, name: str) -> bytes:
    """Return the bytes of a photo that list_photos(root) named.

    Raises:
        UnusablePhotoError: "file cannot be read", with the system's words; NOT_FETCHED of one behind a URL.
    """
    if url := url_of(root):
        return read_remote(url, name)
    try:
        path = photo_path(Path(root), name)
        if path == Path(root) and archive_kind(path):
            archive = open_archive(path)
            if name not in archive.stamps:
                raise KeyError(f"{name} is not in {path.name}")
            return archive.read(name)
        return path.read_bytes()
    except MemoryError:
        raise
    except READ_ERRORS as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UnusablePhotoError("file cannot be read", words or type(error).__name__) from None


def _begin(entry: os.DirEntry) -> bytes:
    try:
        with Path(entry.path).open("rb") as file:
            return file.read(300)
    except OSError:
        return b""


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _can_be_opened_or_explained(entry: os.DirEntry) -> bool:
    try:
        return stat.S_ISREG(entry.stat().st_mode)  # opening a pipe would wait for ever
    except OSError:
        return True  # a broken link: reading it gives the reason
