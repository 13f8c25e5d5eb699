"""Whether a file is the published one: whole hashes, published prefixes, what came on first use. No torch."""

import hashlib
import json
from pathlib import Path

from celebahq.errors import CelebAHQError
from celebahq.files import sha256_of, write_atomic
from zoo.catalog import Source


class WrongFileError(CelebAHQError):
    """A file with another hash or size than the published one; half a sentence with both."""


def git_blob_of(path: Path) -> str:
    """Return the hash under which git stores a file: SHA-1 of its length and its bytes."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def check_file(path: Path, source: Source, record: Path | None = None) -> str:
    """Return the sha256 of a file that is what its source says, and what it was when it first came.

    Args:
        path: the file.
        source: what its publisher says of it.
        record: as keep_record writes it; a file that is not there says nothing.

    Raises:
        WrongFileError: it is another file.
    """
    size = path.stat().st_size
    if source.size is not None and size != source.size:
        raise WrongFileError(f"{size:,} bytes, expected {source.size:,}")
    sha256 = sha256_of(path)
    wanted = source.sha256 or source.sha256_prefix
    if wanted and not sha256.startswith(wanted):
        raise WrongFileError(f"sha256 begins {sha256[:8]}, expected {wanted[:8]}")
    if source.git_blob_prefix:
        blob = git_blob_of(path)
        if not blob.startswith(source.git_blob_prefix):
            raise WrongFileError(f"git blob begins {blob[:8]}, expected {source.git_blob_prefix}")
    first = read_record(record) if record else None
    if first and sha256 != first:
        raise WrongFileError(f"sha256 begins {sha256[:8]}, expected {first[:8]} as on first use (see {record})")
    return sha256


def record_of(path: Path) -> Path:
    """Return where it is written down what a downloaded file was when it first came."""
    return path.with_name(path.name + ".json")


def keep_record(record: Path, sha256: str, path: Path, address: str) -> None:
    """Write down what a file was when it first came: that counts where only a prefix or nothing is published."""
    known = {"file": path.name, "sha256": sha256, "size": path.stat().st_size, "from": address}
    with write_atomic(record) as file:
        file.write((json.dumps(known, indent=2) + "\n").encode())


def read_record(record: Path) -> str | None:
    """Return the sha256 of a record; None where there is none, or it is damaged."""
    try:
        return str(json.loads(record.read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
