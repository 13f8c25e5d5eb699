"""CelebA as it is downloaded: its photographs in a folder, a zip or the parts of a 7z, its lists beside them."""

import functools
import shutil
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from celebahq.files import partial_path
from celebahq.progress import Progress, progress
from celebahq_builder.landmark_lists.read_list import read_landmark_list
from celebahq_builder.official.image_list import OfficialError

LANDMARKS = "list_landmarks_celeba.txt"
ATTRIBUTES = "list_attr_celeba.txt"
IDENTITIES = "identity_CelebA.txt"
PHOTOS = "img_celeba"
_MOST_BYTES = 256 << 20


@dataclass(frozen=True)
class PhotoSource:
    """Where the photographs in the wild lie: a folder, or a zip in which they can be read one by one."""

    path: Path

    def read(self, name: str) -> bytes:
        """Return the bytes of one photo.

        Raises:
            FileNotFoundError: it is not there.
            OSError: it cannot be read.
        """
        if self.path.is_dir():
            return (self.path / name).read_bytes()
        try:
            archive, members = _open_zip(self.path)
            if name not in members:
                raise FileNotFoundError(f"{name} is not in {self.path}")
            with archive.open(members[name]) as file:
                return file.read(_MOST_BYTES)
        except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, NotImplementedError) as error:
            raise OSError(f"{self.path}: {error}") from None


@functools.lru_cache(maxsize=2)
def _open_zip(path: Path) -> tuple[zipfile.ZipFile, dict[str, str]]:
    archive = zipfile.ZipFile(path)
    return archive, {name.rpartition("/")[2]: name for name in archive.namelist()}


def find_photos_in_the_wild(celeba: Path, wanted: Sequence[str], unpacked: Path) -> PhotoSource:
    """Find img_celeba below a folder, as downloaded. A 7z cannot be read photo by photo: what is wanted is unpacked.

    Args:
        celeba: the folder; or img_celeba itself, its zip, its .7z or .7z.001.
        wanted: names of the photos that will be read.
        unpacked: the folder for what comes out of a 7z.

    Raises:
        OfficialError: nothing is found, or what is found cannot be read.
    """
    if not celeba.exists():
        raise OfficialError(f"--celeba: got {celeba}, which does not exist, expected the folder of CelebA")
    if celeba.is_dir():
        folders = [celeba, *(path for path in sorted(celeba.rglob(PHOTOS)) if path.is_dir())]
        for folder in folders:
            if any((folder / name).is_file() for name in wanted):
                return PhotoSource(folder)
        archives = sorted(celeba.rglob(f"{PHOTOS}*.zip")) + sorted(celeba.rglob(f"{PHOTOS}*.7z*"))
    else:
        archives = [celeba]
    for archive in archives:
        if ".7z" in archive.name:
            return _from_7z(archive, wanted, unpacked)
        if archive.suffix.lower() == ".zip":
            return _from_zip(archive)
    raise OfficialError(
        f"--celeba: got neither a photo of the list nor {PHOTOS}.zip or {PHOTOS}.7z.001 in {celeba}, expected CelebA's "
        f"photographs in the wild (the folder {PHOTOS}; the aligned 178x218 images are no use here)"
    )


def _from_zip(archive: Path) -> PhotoSource:
    try:
        _open_zip(archive)
    except (zipfile.BadZipFile, OSError) as error:
        raise OfficialError(
            f"--celeba: {archive}: got a damaged zip ({error}), expected a whole one; fetch it again"
        ) from None
    return PhotoSource(archive)


def _from_7z(archive: Path, wanted: Sequence[str], unpacked: Path) -> PhotoSource:
    """Unpack what is wanted, in one pass through the archive; a pass that was interrupted begins anew."""
    asked_before = unpacked / "asked.txt"  # written last: not all that is wanted need be in the archive
    if asked_before.is_file() and set(wanted) <= set(asked_before.read_text().split()):
        return PhotoSource(unpacked)
    try:
        import multivolumefile
        import py7zr
    except ImportError:
        raise OfficialError(
            f"--celeba: {archive}: got a 7z, expected py7zr to read it: pip install 'celebahq[official]', or unpack it"
        ) from None
    first, _, number = str(archive).rpartition(".")
    partial = partial_path(unpacked)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        opened = multivolumefile.open(first, "rb") if number.isdecimal() else archive.open("rb")
        with opened as file, py7zr.SevenZipFile(cast(BinaryIO, file)) as seven:
            names = set(wanted)
            targets = [name for name in seven.getnames() if name.rpartition("/")[2] in names]
            with progress(f"photos out of {archive.name}", len(targets)) as bar:
                seven.extract(partial, targets, callback=_counter(bar))
    except (py7zr.Bad7zFile, py7zr.exceptions.ArchiveError, OSError, EOFError, ValueError) as error:
        words = str(error) or type(error).__name__
        raise OfficialError(
            f"--celeba: {archive}: got {words}, expected a whole 7z; fetch all its parts again"
        ) from None
    shutil.rmtree(unpacked, ignore_errors=True)
    unpacked.mkdir(parents=True)
    for name in targets:
        (partial / name).replace(unpacked / name.rpartition("/")[2])
    shutil.rmtree(partial)
    asked_before.write_text("\n".join(wanted))
    return PhotoSource(unpacked)


def _counter(bar: Progress) -> Any:
    from py7zr.callbacks import ExtractCallback

    class Counter(ExtractCallback):
        def report_start_preparation(self) -> None: ...

        def report_start(self, processing_file_path: str, processing_bytes: str) -> None: ...

        def report_update(self, decompressed_bytes: str) -> None: ...

        def report_end(self, processing_file_path: str, wrote_bytes: str) -> None:
            bar.advance()

        def report_warning(self, message: str) -> None: ...

        def report_postprocess(self) -> None: ...

    return Counter()


def read_landmarks(celeba: Path) -> dict[str, np.ndarray]:
    """(5, 2) float32 by photo name, from list_landmarks_celeba.txt; OfficialError where that is missing or another."""
    path = find_list(celeba, LANDMARKS)
    if path is None:
        raise OfficialError(
            f"--celeba: got no {LANDMARKS} below {celeba}, expected CelebA's list of the photos in the wild"
        )
    try:
        return read_landmark_list(path)
    except (OSError, ValueError) as error:
        raise OfficialError(f"--celeba: {error}") from None


def find_list(celeba: Path, name: str) -> Path | None:
    """Return one of CelebA's lists: below the folder, or beside the archive or the folder of photos."""
    places = (
        [celeba, celeba.parent] if celeba.is_dir() and celeba.name != PHOTOS else [celeba.parent, celeba.parent.parent]
    )
    for place in places:
        found = sorted(place.glob(name)) or sorted(place.glob(f"*/{name}"))
        if found:
            return found[0]
    return next(iter(sorted(celeba.rglob(name))), None) if celeba.is_dir() else None


def read_attributes(path: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    """Names of the attributes, and (L,) float32 of 0 and 1 by photo name, from list_attr_celeba.txt."""
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    names = lines[1].split() if len(lines) > 1 else []
    rows = [line.split() for line in lines[2:] if line.strip()]
    if not names or any(len(row) != len(names) + 1 or not set(row[1:]) <= {"1", "-1", "0"} for row in rows):
        raise OfficialError(f"{path}: got another form, expected names in line 2, then a photo with 1 and -1 a line")
    return names, {row[0]: (np.array(row[1:], np.int8) > 0).astype(np.float32) for row in rows}


def read_identities(path: Path) -> dict[str, int]:
    """Number of the person by photo name, from identity_CelebA.txt."""
    rows = [
        line.split() for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines() if line.strip()
    ]
    if any(len(row) != 2 or not row[1].isdecimal() for row in rows):
        raise OfficialError(f"{path}: got another form, expected the name of a photo and a number a line")
    return {name: int(number) for name, number in rows}
