"""Files of some dozens of faces each, as tasks of a cluster write them, and what the build knows of each.

A file is a zip without compression. Its members are named by the sha256 of a face, its own name is that of its bytes:
one that is written twice is the same, and a build that was killed finds by its rows what is there.
"""

import contextlib
import hashlib
import io
import secrets
import time
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from celebahq.files import PARTIAL
from celebahq_builder.state.manifest import Row

SUFFIX = ".faces.zip"
PROBE = "nodes.probe"
"""Lies beside them: what nodes recognize the folder by."""
FILE_BYTES = 64 << 20
"""Of faces, about which a file holds at most."""
_MOST, _SLACK = 4, 1 << 30
"""The files take at most so many times the bytes of the faces that are held, and so many bytes more."""
_PATIENCE = 10.0  # seconds that a file may take from one machine to another
_LOCAL_HEADER = 30  # bytes of a member before its name


class FacePlace(NamedTuple):
    """Where a face lies: in which file, from which byte, how many."""

    file: str
    offset: int
    size: int


def write_face_file(folder: Path, faces: Iterable[bytes], made_of: Iterable[str]) -> list[FacePlace]:
    """Write faces into one file, which takes its name once it is complete; return where each lies.

    Args:
        faces: compressed, at least one.
        made_of: names of their photos: files of different photos have different names, whatever is in them.

    Raises:
        OSError: it cannot be written.
    """
    members, names, stream = dict[str, zipfile.ZipInfo](), [], io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for data in faces:
            names.append(f"{hashlib.sha256(data).hexdigest()}.webp")
            if names[-1] not in members:
                members[names[-1]] = zipfile.ZipInfo(names[-1])  # its time is fixed: the same bytes whenever
                archive.writestr(members[names[-1]], data)
        photos = "\0".join(made_of).encode("utf-8", "surrogateescape")
        archive.comment = hashlib.sha256(photos).hexdigest().encode()
    file = hashlib.sha256(stream.getbuffer()).hexdigest()[:32] + SUFFIX
    partial = folder / f"{file}.{secrets.token_hex(4)}{PARTIAL}"  # two machines may write it at once
    try:
        partial.write_bytes(stream.getbuffer())
        partial.replace(folder / file)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder / file)) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    return [_place(file, members[name]) for name in names]


def read_face_at(folder: Path, place: FacePlace) -> bytes:
    """Return the bytes at a place; fewer where the file was cut short."""
    with (folder / place.file).open("rb") as file:
        file.seek(place.offset)
        return file.read(place.size)


class FaceFiles:
    """The faces in the files of a folder that are still in the running; files without one are removed.

    A file stays while results of the task that wrote it may still arrive: until the first of another one does.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: dict[tuple[str, int], FacePlace] = {}
        self._held: dict[str, set[tuple[str, int]]] = {}
        self._sizes: dict[str, int] = {}
        self._bytes = self._bytes_held = 0
        """Of all files, and of the faces in them that are held."""
        self._latest = ""

    def arrived(self, file: str) -> None:
        """Take note of a file of which results arrive.

        Raises:
            OSError: it is not there.
        """
        if file == self._latest:
            return
        before, self._latest = self._latest, file
        if file not in self._sizes:
            self._take_file(file)
        self._drop_if_unused(before)
        self._compact()

    def add(self, row: Row, place: FacePlace) -> None:
        """Hold a face whose file has arrived."""
        self.remove(row)
        self._places[row.key] = place
        self._held[place.file].add(row.key)
        self._bytes_held += place.size

    def remove(self, row: Row) -> None:
        """Hold a face no longer, where it was held."""
        if (place := self._places.pop(row.key, None)) is not None:
            self._held[place.file].discard(row.key)
            self._bytes_held -= place.size
            self._drop_if_unused(place.file)

    def place(self, row: Row) -> FacePlace | None:
        return self._places.get(row.key)

    def know(self, places: Mapping[tuple[str, int], FacePlace]) -> None:
        """Take over where faces lie, for reading alone."""
        self._places.update(places)

    def keep_only(self, rows: Iterable[Row]) -> None:
        """Hold just these faces, those that an earlier run wrote among them; remove all other files."""
        there = {path.name for path in self._folder.glob(f"*{SUFFIX}")}
        wanted = {row.key: row.face_sha256 for row in rows if row.face_sha256}
        places = {key: at for key, at in self._places.items() if key in wanted and at.file in there}
        if there and (lacking := wanted.keys() - places.keys()):
            found = {sha256: place for file in sorted(there) for sha256, place in self._members(file).items()}
            places |= {key: found[wanted[key]] for key in lacking if wanted[key] in found}
        self._places, self._held, self._sizes, self._latest = places, {}, {}, ""
        self._bytes, self._bytes_held = 0, sum(place.size for place in places.values())
        for key, place in places.items():
            if place.file not in self._held:
                self._take_file(place.file)
            self._held[place.file].add(key)
        for file in there - self._held.keys():
            (self._folder / file).unlink(missing_ok=True)

    def forget(self, file: str) -> None:
        """Remove a file that is damaged; its faces are no longer there."""
        for key in self._held.pop(file, ()):
            self._bytes_held -= self._places.pop(key).size
        self._bytes -= self._sizes.pop(file, 0)
        (self._folder / file).unlink(missing_ok=True)

    def _take_file(self, file: str) -> None:
        self._sizes[file] = self._size(file)
        self._bytes += self._sizes[file]
        self._held[file] = set()

    def _drop_if_unused(self, file: str) -> None:
        if file in self._held and not self._held[file] and file != self._latest:
            self.forget(file)

    def _compact(self) -> None:
        """Move faces together out of files that hold few of them, while the files are too large for what they hold."""
        while (total := self._bytes) > _MOST * self._bytes_held + _SLACK:
            held = {file: sum(self._places[key].size for key in keys) for file, keys in self._held.items()}
            sparse = sorted(held.keys() - {self._latest}, key=lambda file: (held[file] / self._sizes[file], file))
            keys: list[tuple[str, int]] = []
            num_bytes = 0
            for number, file in enumerate(sparse):
                if num_bytes + held[file] > FILE_BYTES and number:
                    break
                keys += sorted(self._held[file])
                num_bytes += held[file]
            if not keys:
                return
            faces = [read_face_at(self._folder, self._places[key]) for key in keys]
            places = write_face_file(self._folder, faces, (f"{source}#{index}" for source, index in keys))
            if places[0].file in self._sizes:  # moved together already, and nothing has left it since
                return
            self._take_file(places[0].file)
            self._held[places[0].file] = set(keys)
            for key, place in zip(keys, places, strict=True):
                before = self._places[key].file
                self._places[key] = place
                self._held[before].discard(key)
                self._drop_if_unused(before)
            if self._bytes >= total:
                return

    def _size(self, file: str) -> int:
        """Return the bytes of a file, which another machine may have written just now."""
        began = time.monotonic()
        while True:
            try:
                return (self._folder / file).stat().st_size
            except FileNotFoundError:
                if time.monotonic() - began > _PATIENCE:
                    raise
                time.sleep(0.2)

    def _members(self, file: str) -> Mapping[str, FacePlace]:
        """sha256 -> place; nothing of a file that a power cut damaged."""
        try:
            with zipfile.ZipFile(self._folder / file) as archive:
                return {member.filename.removesuffix(".webp"): _place(file, member) for member in archive.infolist()}
        except (OSError, zipfile.BadZipFile):
            return {}


def _place(file: str, member: zipfile.ZipInfo) -> FacePlace:
    offset = member.header_offset + _LOCAL_HEADER + len(member.filename)  # ASCII, and no extra fields
    return FacePlace(file, offset, member.file_size)
