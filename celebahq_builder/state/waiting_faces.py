"""How a face waits on the disk until the best are chosen: as it is, or packed where room is short; without loss."""

import hashlib
import io
import shutil
from pathlib import Path

import numpy as np

from celebahq_builder.config import BuildConfig

PLAIN, PACKED = ".npy", ".webp"
"""Endings of the names of their files."""
_ROOM = 1.2
"""What the faces and the finished file are allowed to need more than is computed."""
_MAGIC, _HEADER = b"\x93NUMPY", 128  # bytes before the pixels


def is_room_for_plain(config: BuildConfig, num_photos: int) -> bool:
    """Say whether the disk has room for all faces as they are, beside the finished file.

    Packing takes a fifth of a build's CPU without restoration, and spares four fifths of the room. What a build does
    that found room and then has none, because of a quota or of other programs, make_room.py says.

    Args:
        num_photos: that may give a face each; with --faces all, more.
    """
    most = config.keep if config.faces == "all" else min(config.keep, num_photos)
    pixels = 3 * config.resolution**2
    folder = config.output.resolve().parent
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free > _ROOM * most * pixels * (1 + 4 / 3)


def encode_face(face: np.ndarray, packed: bool) -> bytes:
    """Return a face (R, R, 3) uint8 as it waits.

    Args:
        packed: WebP, a fifth of its size, as fast as the lightest PNG; else numpy's own form, in a thirtieth of the
            time.
    """
    stream = io.BytesIO()
    if packed:
        from PIL import Image

        Image.fromarray(face).save(stream, "WEBP", lossless=True, method=0, quality=0)
        return stream.getvalue()
    np.lib.format.write_array_header_1_0(stream, np.lib.format.header_data_from_array_1_0(face))
    return stream.getvalue() + face.tobytes()


def decode_face(data: bytes) -> np.ndarray:
    """Return (R, R, 3) uint8. Raises OSError where the data is cut short."""
    if ending_of(data) == PLAIN:
        shape = _shape(data)
        if shape is None or len(data) != _HEADER + np.prod(shape):
            raise OSError(f"a face: got {len(data)} bytes, expected {shape} of uint8 after {_HEADER}")
        return np.frombuffer(data, np.uint8, offset=_HEADER).reshape(shape)
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def is_of_sha256(data: bytes, sha256: str) -> bool:
    """Say whether a face is the one that was written, by the hash of its bytes in this form or in the other.

    A build may be killed while faces are made again: those then lie in the form of that run beside rows of an earlier.
    """
    if hashlib.sha256(data).hexdigest() == sha256:
        return True
    try:
        other = encode_face(decode_face(data), packed=ending_of(data) == PLAIN)
    except OSError:
        return False
    return hashlib.sha256(other).hexdigest() == sha256


def ending_of(data: bytes) -> str:
    """Return the ending that the file of a face has."""
    return PLAIN if data.startswith(_MAGIC) else PACKED


def is_complete(path: Path) -> bool:
    """Say whether the file of a face is there, all of it: both forms begin with what tells their length."""
    try:
        with path.open("rb") as file:
            begin = file.read(_HEADER)
            length = file.seek(0, 2)
    except FileNotFoundError:
        return False
    if ending_of(begin) == PLAIN:
        shape = _shape(begin)
        return shape is not None and length == _HEADER + np.prod(shape)
    return begin[:4] == b"RIFF" and int.from_bytes(begin[4:8], "little") + 8 == length


def _shape(data: bytes) -> tuple[int, ...] | None:
    stream = io.BytesIO(data[:_HEADER])
    try:
        np.lib.format.read_magic(stream)
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    except Exception:  # damaged: it is read as Python's syntax, which raises half a dozen types
        return None
    return shape if dtype == np.uint8 and not fortran and stream.tell() == _HEADER else None
