"""The published deltas: found in their archives or unpacked, decrypted with the photo as the key, added modulo 256."""

import base64
import bz2
import functools
import hashlib
import importlib.util
import zipfile
import zlib
from pathlib import Path

import numpy as np

from celebahq.errors import CelebAHQError
from celebahq_builder.official.image_list import OfficialError

IMAGES_AN_ARCHIVE = 1000
SHAPE = (3, 1024, 1024)
_ROUNDS = 100_000
_MOST_BYTES = 64 << 20  # of one encrypted delta: the largest possible is 4.3 MB


class DeltaError(CelebAHQError):
    """A delta that cannot be used.

    Args:
        reason: a short phrase to count by.
        remedy: what was found, and what to do.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason}: {remedy}")
        self.reason, self.remedy = reason, remedy


def require_cryptography() -> None:
    """OfficialError, with the remedy, where the package is missing."""
    if importlib.util.find_spec("cryptography") is None:
        raise OfficialError("the deltas are encrypted: got no package cryptography; pip install 'celebahq[official]'")


def archive_name(idx: int) -> str:
    return f"deltas{idx - idx % IMAGES_AN_ARCHIVE:05d}.zip"


def delta_name(idx: int) -> str:
    return f"delta{idx:05d}.dat"


@functools.lru_cache(maxsize=1)
def delta_files(folder: Path) -> dict[str, Path]:
    """Archives and unpacked deltas below a folder, by name."""
    wanted = {path.name: path for pattern in ("delta*.dat", "deltas*.zip") for path in sorted(folder.rglob(pattern))}
    if not wanted:
        raise OfficialError(f"--deltas: got no deltas*.zip and no delta*.dat in {folder}, expected deltas00000.zip ...")
    return wanted


def read_delta(folder: Path, idx: int) -> bytes:
    """Return a delta as it was published: an encrypted token.

    Raises:
        DeltaError: the archive or the delta is missing or damaged.
    """
    files, archive = delta_files(folder), archive_name(idx)
    try:
        if (path := files.get(delta_name(idx))) is not None:
            with path.open("rb") as file:
                return file.read(_MOST_BYTES)
        if (path := files.get(archive)) is None:
            raise DeltaError("archive of deltas missing", f"{archive} is not in {folder}; fetch it")
        opened = _open_zip(path, path.stat().st_mtime_ns)
        members = [name for name in opened.namelist() if name.rpartition("/")[2] == delta_name(idx)]
        if not members:
            raise DeltaError("delta missing", f"{delta_name(idx)} is not in {path}; fetch {archive} again")
        with opened.open(members[0]) as member:
            return member.read(_MOST_BYTES)
    except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, EOFError, NotImplementedError) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DeltaError("archive of deltas damaged", f"{path}: {words}; fetch {archive} again") from None


@functools.lru_cache(maxsize=4)
def _open_zip(path: Path, mtime_ns: int) -> zipfile.ZipFile:
    with path.open("rb") as file:
        begin = file.read(512)
    if begin.lstrip()[:1] == b"<":
        raise zipfile.BadZipFile("a web page, not an archive: the download was refused (quota?)")
    return zipfile.ZipFile(path)


def delta_key(photo: bytes, orig_file: str) -> bytes:
    """The key: all bytes of CelebA's JPEG are the password, its name the salt."""
    key = hashlib.pbkdf2_hmac("sha256", photo, orig_file.encode("ascii"), _ROUNDS, 32)
    return base64.urlsafe_b64encode(key)


def open_delta(token: bytes, photo: bytes, orig_file: str) -> np.ndarray:
    """Decrypt and unpack a delta: (3, 1024, 1024) uint8.

    Raises:
        DeltaError: the photo is no key to it, or it holds something else.
    """
    from cryptography.fernet import Fernet, InvalidToken

    try:
        packed = Fernet(delta_key(photo, orig_file)).decrypt(token)
    except (InvalidToken, ValueError):
        raise DeltaError(
            "photo and delta do not belong together",
            f"the bytes of {orig_file} are the key, and they do not open the delta: one of them is not the original; "
            f"fetch {orig_file} again, and if that does not help, the archive of deltas",
        ) from None
    size = int(np.prod(SHAPE))
    try:
        unpacker = bz2.BZ2Decompressor()
        values = unpacker.decompress(packed, size + 1)
    except (OSError, ValueError, EOFError) as error:
        raise DeltaError("delta damaged", f"{error}; fetch its archive again") from None
    if len(values) != size:
        raise DeltaError("delta damaged", f"got {len(values)} bytes, expected {size}; fetch its archive again")
    return np.frombuffer(values, np.uint8).reshape(SHAPE)
