"""What an import reads from: the parts that all sources share. The kinds of sources are in formats/.

A source has path; names, of its images; skipped, kinds of files that are no images, counted; labels, a SourceLabels or
None; read(name), the bytes of an image file or pixels (H, W, C) uint8, SourceError when it cannot be had; stamp(name),
which changes with what read gives; close().
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from celebahq.errors import CelebAHQError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
MOST_BYTES = 256 << 20
"""Of one image file, unpacked: none has so many, and a bomb claims more."""
TOO_LARGE = "larger than 256 MiB"


class SourceError(CelebAHQError, ValueError):
    """A folder, archive or image that cannot be imported; the message is one line that begins with its name.

    Args:
        message: the line.
        reason: in a few words that many images share, for counts; "" where it concerns no single image.
    """

    def __init__(self, message: object, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class SourceLabels:
    """Labels that a source brings along.

    values: by name of the image: a class number, the name of a class, or a list of numbers; names: of the columns,
    where the source has them; count: of the columns, where it says so.
    """

    values: dict[str, Any]
    names: tuple[str, ...] | None = None
    count: int | None = None


def counted(kinds: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(5))


def kind_of(name: str) -> str:
    return PurePosixPath(name).suffix.lower() or "without a suffix"


def parse_dataset_json(path: Path, data: bytes) -> SourceLabels | None:
    """Return the labels of a dataset.json, None where it says that there are none; SourceError for anything else."""
    try:
        listed = json.loads(data)
        pairs = listed["labels"] if isinstance(listed, dict) else listed
        if pairs is None:
            return None
        values = dict(pairs)
        more = listed if isinstance(listed, dict) else {}
        names, count = more.get("label_names"), more.get("label_count")
        if not (count is None or isinstance(count, int)) or not all(
            isinstance(name, str) for name in [*values, *(names or ())]
        ):
            raise ValueError("names")
    except (ValueError, TypeError, KeyError, RecursionError):
        raise SourceError(f'{path}: got something else, expected {{"labels": [["a/b.png", 3], ...]}}') from None
    return SourceLabels(values, tuple(names) if names else None, count)
