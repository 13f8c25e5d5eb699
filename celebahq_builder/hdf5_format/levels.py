"""Names and shapes of the levels of a dataset file, and the error of a file that has others."""

import re

from celebahq.errors import CelebAHQError
from celebahq.files import printable

FORMAT_VERSION = 1
_KEY = re.compile(r"data([1-9][0-9]{0,5})x\1", re.ASCII)


class DatasetError(CelebAHQError, ValueError):
    """A file that is not a complete dataset of this format; the message is one printable line that begins with it."""

    def __init__(self, message: object) -> None:
        # Names in a foreign file hold whatever its maker liked: line ends, ESC sequences, marks that turn text round.
        super().__init__(printable(message))


def level_key(resolution: int) -> str:
    return f"data{resolution}x{resolution}"


def mask_key(resolution: int) -> str:
    return f"masks{resolution}x{resolution}"


def resolution_of(key: str | bytes) -> int | None:
    """Return the resolution of the level of this name, None for any other name."""
    match = _KEY.fullmatch(key_text(key))
    return int(match[1]) if match else None


def key_text(key: str | bytes) -> str:
    """Return a name in an HDF5 file as text: h5py gives those that are no UTF-8 as bytes."""
    return key if isinstance(key, str) else key.decode("utf-8", "surrogateescape")


def encodable(text: str) -> str:
    """Return text that UTF-8 can hold: what it cannot (a byte of another encoding, half a surrogate pair of a JSON) is
    spelled out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def level_resolutions(resolution: int) -> tuple[int, ...]:
    """Return resolution, resolution / 2, ..., 1; ValueError unless it is a power of two."""
    if resolution < 1 or resolution & (resolution - 1):
        raise ValueError(f"resolution: got {resolution}, expected a power of two")
    return tuple(resolution >> k for k in range(resolution.bit_length()))


def chunk_rows(resolution: int, channels: int = 3) -> int:
    """Images a chunk, as released: at least 128 bytes, so 1 from 8x8 up, 3 at 4x4, 11 at 2x2, 43 at 1x1 (in color)."""
    return 1 if resolution >= 8 else -(-128 // (channels * resolution * resolution))
