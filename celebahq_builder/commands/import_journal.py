"""<output>.import.jsonl: which images an unfinished import has dealt with, a line each; the next run goes on there."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from celebahq.files import write_atomic
from celebahq_builder.sources.images import SourceError


@dataclass(frozen=True)
class ImportedImage:
    """What came of one image: a row of the file, or the reason why it is none."""

    source: str
    stamp: str
    """Changes when the image does."""
    source_sha256: str = ""
    pixel_sha256: str = ""
    levels_sha256: str = ""
    reason: str = ""
    detail: str = ""

    @property
    def is_row(self) -> bool:
        return not self.reason


class Journal:
    """The journal of one import.

    Args:
        path: of the journal.
        settings: option -> value of everything that changes pixels; a journal of other settings is refused.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path = path
        self.settings = settings

    def read(self) -> list[ImportedImage]:
        """Return what is in it, whole lines only; SourceError when it was begun with other settings."""
        try:
            lines = self.path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
            begun = json.loads(lines[0])
        except (OSError, IndexError, ValueError, RecursionError):
            return []
        if begun != self.settings:
            option = next(key for key in self.settings if begun.get(key) != self.settings[key])
            raise SourceError(
                f"{self.path}: got an import begun with --{option} {begun.get(option)}, expected "
                f"{self.settings[option]} as now; give the old value to go on, or remove this file to begin anew"
            )
        images = []
        for line in lines[1:]:
            try:
                images.append(ImportedImage(**json.loads(line)))
            except (ValueError, TypeError, RecursionError):
                break  # truncated by a kill
        return images

    def begin(self, images: Sequence[ImportedImage]) -> None:
        """Write it anew, with the images that hold."""
        with write_atomic(self.path) as file:
            file.write("".join(map(_line, [self.settings, *map(asdict, images)])).encode("utf-8", "surrogateescape"))

    def add(self, images: Sequence[ImportedImage]) -> None:
        with self.path.open("ab") as file:
            file.write("".join(_line(asdict(image)) for image in images).encode("utf-8", "surrogateescape"))

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def levels_sha256(levels: dict[int, np.ndarray]) -> str:
    """Return a digest of all levels of a row: what was stored is what was written."""
    digest = hashlib.sha256()
    for r in sorted(levels, reverse=True):
        digest.update(np.ascontiguousarray(levels[r]).data)
    return digest.hexdigest()


def _line(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=True) + "\n"
