"""What a build does where the disk takes no more: faces that wait as they are get packed, and what failed is repeated.

Room is looked at before a build begins, but quotas of users do not show there, and other programs take room meanwhile.
"""

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

from celebahq.files import NO_ROOM, printable, write_atomic
from celebahq.progress import progress
from celebahq_builder.state.waiting_faces import PACKED, PLAIN, decode_face, encode_face, ending_of

Made = TypeVar("Made")

_log = logging.getLogger("celebahq.build")


class MakeRoom:
    """Writes again what found no room, with faces packed that wait in a folder.

    is_short: whether that has happened: what comes next had better be packed.
    """

    def __init__(self, faces: Path) -> None:
        self._faces = faces
        self.is_short = False

    def for_face(self, face: bytes, write: Callable[[bytes], None]) -> None:
        """Write a face that waits, packed where there is no room for it as it is; OSError as of with_room."""
        if self.is_short:
            face = packed_form(face)
        try:
            write(face)
        except OSError as error:
            self._note(error)
            packed = packed_form(face)
            self.for_work(lambda: write(packed))

    def for_work(self, write: Callable[[], Made], *, pack_all: bool = False) -> Made:
        """Return write(); where the disk has no room, pack faces that wait and call it again.

        Args:
            write: leaves nothing behind that keeps it from being called again.
            pack_all: before the second call, for what takes long; else one, then twice as many each time.

        Raises:
            OSError: as of write; no face is left that would be smaller.
        """
        plain, count = _plain_faces(self._faces), 1
        while True:
            try:
                return write()
            except OSError as error:
                self._note(error)
                num_packed = _pack_all(plain) if pack_all else _pack_some(plain, count)
                if not num_packed:
                    raise
            count *= 2

    def _note(self, error: OSError) -> None:
        """Go on after an error of a full disk, or of a user's share of it; raise any other."""
        if error.errno not in NO_ROOM:
            raise error
        if not self.is_short:
            what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            _log.info(f"{printable(what)}; faces wait packed now")
        self.is_short = True


def packed_form(face: bytes) -> bytes:
    """Return a face that waits in whichever form is smaller: noise is larger when it is packed."""
    if ending_of(face) == PACKED:
        return face
    packed = encode_face(decode_face(face), packed=True)
    return packed if len(packed) < len(face) else face


def _plain_faces(faces: Path) -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError), os.scandir(faces) as found:
        yield from [faces / entry.name for entry in found if entry.name.endswith(PLAIN)]


def _pack_all(plain: Iterator[Path]) -> int:
    paths = list(plain)
    num_packed = 0
    with progress("faces packed", len(paths)) as bar:
        for path in paths:
            num_packed += _pack(path)
            bar.advance()
    return num_packed


def _pack_some(plain: Iterator[Path], count: int) -> int:
    """Pack so many, or those that are left; return how many are smaller now."""
    return sum(1 for _ in islice((path for path in plain if _pack(path)), count))


def _pack(path: Path) -> bool:
    """Pack a face that waits; say whether it takes less room now.

    One that a kill meets between its two forms is made again by the next run, as any that is lost.
    """
    try:
        face = path.read_bytes()
        packed = packed_form(face)
    except OSError:  # removed meanwhile; or cut short, which reading it tells
        return False
    if packed is face:
        return False
    target = path.with_suffix(PACKED)
    try:
        _write(target, packed)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        path.unlink(missing_ok=True)  # not even a fifth of it has room beside it
        _write(target, packed)
    path.unlink(missing_ok=True)
    return True


def _write(path: Path, data: bytes) -> None:
    with write_atomic(path) as file:
        file.write(data)
