"""One file to a place in a store: it has its name there once it is whole, and is checked before this returns."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fsspec.callbacks import Callback

from celebahq.errors import CelebAHQError
from celebahq.files import PARTIAL
from celebahq_builder.sources.remote import patiently
from celebahq_builder.stores.checksums import is_equal
from celebahq_builder.stores.s3_parts import send_to_s3

_S3 = {"s3", "s3a"}
_WHOLE_OR_NOT = {"gs", "gcs", "hf", "abfs", "abfss", "az", "adl", "oss", "oci"}
"""Stores where an object takes its name only once all of it is there. Elsewhere, as on SFTP, we do that by a name."""
_TRIES = 2  # that end with other bytes there than were sent


class SendError(CelebAHQError, OSError):
    """A file is in the store with other bytes than were sent."""


def send_file(system: Any, place: str, path: Path, sent: Callable[[int], None] = lambda num_bytes: None) -> dict:
    """Send a file, again where the connection fails; return what the store says of it then.

    Args:
        sent: told how many more bytes are there.

    Raises:
        SendError: what is there are other bytes, twice.
        Exception: whatever the file system's library raises, after several tries.
    """
    for _ in range(_TRIES):
        if is_s3(system):
            send_to_s3(system, place, path, sent)
        elif is_whole_or_not(system):
            _put(system, place, path, sent)
        else:
            patiently(lambda: system.makedirs(place.rpartition("/")[0], exist_ok=True))
            _put(system, place + PARTIAL, path, sent)
            patiently(lambda: system.mv(place + PARTIAL, place))
        system.invalidate_cache()
        info = patiently(lambda: system.info(place))
        if is_equal(system, place, info, path, read_back=True):
            return info
    raise SendError(f"{place}: got other bytes than those of {path} that were sent, expected the same")


def is_s3(system: Any) -> bool:
    """Say whether a file system is S3, or speaks as it does."""
    return bool(_S3 & protocols(system))


def is_whole_or_not(system: Any) -> bool:
    """Say whether an object takes its name only once all of it is there; elsewhere a reader may see a part."""
    return bool((_S3 | _WHOLE_OR_NOT) & protocols(system))


def protocols(system: Any) -> set[str]:
    """Return the names of a file system, as a URL begins with them."""
    return {system.protocol} if isinstance(system.protocol, str) else set(system.protocol)


def _put(system: Any, place: str, path: Path, sent: Callable[[int], None]) -> None:
    size, told = path.stat().st_size, 0

    class Told(Callback):
        def relative_update(self, inc: int = 1) -> None:
            nonlocal told
            inc = min(inc, size - told)  # a second try counts nothing twice
            told += inc
            sent(inc)

    patiently(lambda: system.put_file(str(path), place, callback=Told()))
    sent(size - told)
