"""Whether an object holds the bytes of a file here: by the checksum that its store states, or by reading it back."""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from celebahq.files import sha256_of
from celebahq_builder.sources.remote import patiently

MIB = 1 << 20
PART_BYTES = 16 * MIB
_MOST_PARTS = 9_000  # S3 takes 10,000
_USUAL_PARTS = tuple(n * MIB for n in (8, 5, 16, 50, 64, 100, 128, 256, 512, 1024))
_ETAG = re.compile(r"([0-9a-f]{32})(?:-(\d+))?")


def part_bytes(num_bytes: int) -> int:
    """Return how large a part is in which a file of that size is sent: whole MiB, the same every time."""
    return max(PART_BYTES, -(-num_bytes // (_MOST_PARTS * MIB)) * MIB)


def stated_checksum(info: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return (kind, hex digits) of an object as its store states it; None where it states none that we know.

    Args:
        info: as fsspec gives it.

    Returns:
        kind: "md5", "sha256", or "etag", which may be an MD5, one of parts, or of encrypted bytes: equal is proof,
            another one is none.
    """
    if value := info.get("md5Hash"):  # Google's
        return "md5", base64.b64decode(value).hex()
    large = info.get("lfs")  # Hugging Face's
    if value := (large.get("sha256") if isinstance(large, Mapping) else getattr(large, "sha256", None)):
        return "sha256", str(value)
    etag = str(info.get("ETag") or "").strip('"')
    return ("etag", etag) if _ETAG.fullmatch(etag) else None


def is_checksum_of(path: Path, kind: str, value: str) -> bool:
    """Say whether a file here has the checksum that a store states; an ETag of parts is tried for the usual sizes."""
    if kind == "sha256":
        return sha256_of(path) == value
    match = _ETAG.fullmatch(value)
    if kind == "md5" or match is None or match[2] is None:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest() == value
    size, count = path.stat().st_size, int(match[2])
    sizes = [part for part in dict.fromkeys((part_bytes(size), *_USUAL_PARTS)) if max(1, -(-size // part)) == count]
    return any(etag_of_parts([md5.digest() for md5 in _md5_of_parts(path, part)]) == value for part in sizes)


def etag_of_parts(digests: list[bytes]) -> str:
    """Return the ETag of an object that was sent in parts, from the MD5 of each."""
    return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"


def is_equal(system: Any, place: str, info: Mapping[str, Any], path: Path, *, read_back: bool) -> bool:
    """Say whether an object holds the bytes of a file here.

    Args:
        info: of the object.
        read_back: where no checksum of the store tells, read it; else it then counts as another one.
    """
    if int(info.get("size") or 0) != path.stat().st_size:
        return False
    stated = stated_checksum(info)
    if stated is not None and is_checksum_of(path, *stated):
        return True
    if not read_back or (stated is not None and stated[0] != "etag"):
        return False
    size = path.stat().st_size
    with path.open("rb") as file:
        for first in range(0, size, PART_BYTES):
            stop = min(first + PART_BYTES, size)
            if read_part(system, place, first, stop) != file.read(stop - first):
                return False
    return True


def read_part(system: Any, place: str, first: int, stop: int) -> bytes:
    """Return bytes first .. stop - 1 of an object, asked for again where the connection fails.

    Raises:
        OSError: it gave fewer, several times, or what fsspec raises.
    """

    def read() -> bytes:
        data = system.cat_file(place, start=first, end=stop)
        if len(data) != stop - first:
            raise OSError(f"got {len(data)} of {stop - first} bytes")
        return data

    return patiently(read)


def _md5_of_parts(path: Path, part: int) -> Iterator[Any]:
    with path.open("rb") as file:
        while data := file.read(part):
            yield hashlib.md5(data, usedforsecurity=False)
