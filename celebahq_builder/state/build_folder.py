"""<output>.build/: the manifest, the aligned faces still in the running, and the lock against a second build."""

import contextlib
import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from celebahq.files import PARTIAL, lock, partial_path, printable, write_atomic
from celebahq_builder.config import BuildError
from celebahq_builder.state.earlier_faces import EarlierFaces
from celebahq_builder.state.face_files import PROBE, FaceFiles, FacePlace, read_face_at
from celebahq_builder.state.make_room import MakeRoom
from celebahq_builder.state.manifest import Row
from celebahq_builder.state.shard_files import ShardFiles
from celebahq_builder.state.waiting_faces import PACKED, PLAIN, decode_face, ending_of, is_complete, is_of_sha256

_log = logging.getLogger("celebahq.build")


class BuildFolder:
    """Make or reopen a build folder and hold its lock while the `with` block lasts.

    Raises:
        BuildError: another build holds it; it is something else's folder; it cannot be made or written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = path / "manifest.jsonl"
        self.faces = path / "faces"
        self.files = FaceFiles(self.faces)
        """What tasks of a cluster wrote there."""
        self.room = MakeRoom(self.faces)
        """For what finds the disk full."""
        self._lock_path = path / "lock"
        self.shards = ShardFiles(path.with_name(path.name.removesuffix(".build")))
        """Of the output."""
        self.earlier: EarlierFaces | None = None
        """The faces of the finished file that is extended: read there where they are not here."""

    def __enter__(self) -> "BuildFolder":
        try:
            self._open()
        except OSError as error:
            raise BuildError(
                f"--output: {error.filename}: got {error.strerror}, expected a folder that can be written to"
            ) from None
        return self

    def _open(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise BuildError(f"{self.path}: got a file, expected room for the build folder; choose another --output")
        if self.path.exists() and any(self.path.iterdir()) and not self._lock_path.exists():
            raise BuildError(
                f"{self.path}: got another folder, expected room for the build folder; choose another --output"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = self._lock_path.open("a")
        try:
            if not lock(self._lock):
                _log.info(
                    f"{printable(self.path)}: no locks on this file system; let no second build write there meanwhile"
                )
        except BlockingIOError:
            self._lock.close()
            raise BuildError(f"{self.path}: another build is at work; wait or choose another --output") from None
        self.faces.mkdir(exist_ok=True)

    def __exit__(self, exc_type, exc, traceback) -> None:
        self._lock.close()
        if self.earlier is not None:
            self.earlier.close()

    def face_path(self, row: Row, ending: str) -> Path:
        """Return the file of a face, PLAIN or PACKED."""
        # A hash, because a photo's name may hold any character, at any length, in any folder.
        name = hashlib.sha256(row.source.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        return self.faces / f"{name}-{row.face_index}{ending}"

    def arrived(self, faces: Iterable[bytes | FacePlace]) -> None:
        """Take note of the faces of a photo, before add_face says which of them are held."""
        for face in faces:
            if isinstance(face, FacePlace):
                self.files.arrived(face.file)

    def add_face(self, row: Row, face: bytes | FacePlace | None) -> None:
        """Hold a face, compressed or in a file that arrived; None: a cluster dropped it, and it is made again."""
        if isinstance(face, FacePlace):
            self.files.add(row, face)
        elif face is not None:
            self.write_face(row, face)

    def write_face(self, row: Row, data: bytes) -> None:
        """Write a face as it comes; packed where the disk has no room for it so."""
        self.room.for_face(data, lambda face: self._write(row, face))

    def _write(self, row: Row, data: bytes) -> None:
        ending = ending_of(data)
        with write_atomic(self.face_path(row, ending)) as file:
            file.write(data)
        self.face_path(row, PACKED if ending == PLAIN else PLAIN).unlink(missing_ok=True)  # of a run with less room

    def has_face(self, row: Row) -> bool:
        """Say whether the face is on the disk: in the file that is extended, or here."""
        return self.is_in_earlier_file(row) or self.files.place(row) is not None or self._is_here(row)

    def is_in_earlier_file(self, row: Row) -> bool:
        return self.earlier is not None and self.earlier.has(row)

    def _is_here(self, row: Row) -> bool:
        return any(is_complete(self.face_path(row, ending)) for ending in (PLAIN, PACKED))

    def read_face(self, row: Row) -> np.ndarray:
        """Return the (R, R, 3) uint8 face of a row; BuildError where the file was damaged since it was written."""
        if self.earlier is not None and self.earlier.has(row):
            return self.earlier.read(row)
        place = self.files.place(row)
        if place is None:
            plain = self.face_path(row, PLAIN)
            path = plain if plain.exists() else self.face_path(row, PACKED)
        else:
            path = self.faces / place.file
        data = path.read_bytes() if place is None else read_face_at(self.faces, place)
        if row.face_sha256 and not is_of_sha256(data, row.face_sha256):
            self.files.forget(path.name)
            path.unlink(missing_ok=True)
            raise BuildError(
                f"{path}: got other bytes than were written (a power cut?), so it is removed; "
                "run the same command again to make this face anew"
            )
        return decode_face(data)

    def remove_face(self, row: Row) -> None:
        self.files.remove(row)
        for ending in (PLAIN, PACKED):
            self.face_path(row, ending).unlink(missing_ok=True)

    def remove_all_faces_but(self, rows: Iterable[Row]) -> None:
        """Remove what a killed build left half written or was about to remove, and files that no row speaks of."""
        self.files.keep_only(rows)
        wanted = {self.face_path(row, ending).name for row in rows for ending in (PLAIN, PACKED)}
        for path in self.faces.iterdir():
            if path.name not in wanted and path.suffix in (PLAIN, PACKED, PARTIAL):
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the folder: only what this program put there, should anybody have added something."""
        self.remove_all_faces_but([])
        (self.faces / PROBE).unlink(missing_ok=True)
        self.shards.sweep()
        self.manifest.unlink(missing_ok=True)
        partial_path(self.manifest).unlink(missing_ok=True)
        self._lock_path.unlink(missing_ok=True)
        for folder in (self.faces, self.path):
            with contextlib.suppress(OSError):  # not empty
                folder.rmdir()
