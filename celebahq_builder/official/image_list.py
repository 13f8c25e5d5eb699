"""image_list.txt, which comes with the published deltas: the 30,000 images, their photos and their md5s."""

import re
from dataclasses import dataclass
from pathlib import Path

from celebahq.errors import CelebAHQError

NAME = "image_list.txt"
NUM_IMAGES = 30_000
_COLUMNS = ["idx", "orig_idx", "orig_file", "proc_md5", "final_md5"]
_MD5 = re.compile(r"[0-9a-f]{32}")

BAD_IMAGES = {70: "half a face", 2815: "an eye lies in the mouth"}
"""Rows of the released set whose landmarks were wrong: as published, they are so."""


class OfficialError(CelebAHQError):
    """CelebA, the deltas or the list are not what they must be; the message is one line."""


@dataclass(frozen=True)
class OfficialImage:
    """One line of the list.

    Attributes:
        idx: place in CelebA-HQ, by the authors' quality metric.
        orig_idx: place in CelebA, from 0.
        orig_file: name of CelebA's photo.
        proc_md5: of the crop, (3, 1024, 1024) bytes, before its delta.
        final_md5: of the finished image, likewise.
    """

    idx: int
    orig_idx: int
    orig_file: str
    proc_md5: str
    final_md5: str

    @property
    def name(self) -> str:
        """As the folder of PNGs calls it, without the suffix."""
        return f"imgHQ{self.idx:05d}"


def find_image_list(*folders: Path) -> Path:
    """Return the image_list.txt in one of the folders, at any depth; OfficialError when there is none."""
    for folder in folders:
        found = sorted(folder.rglob(NAME)) if folder.is_dir() else []
        if found:
            return found[0]
    searched = " and ".join(map(str, folders))
    raise OfficialError(f"--image-list: got no {NAME} in {searched}, expected the list that comes with the deltas")


def read_image_list(path: Path) -> list[OfficialImage]:
    """Read the list, in the order of idx.

    Raises:
        OfficialError: another file; an idx or photo that comes twice.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise OfficialError(f"{path}: {error.strerror or error}") from None
    if not lines or lines[0].split() != _COLUMNS:
        found = repr(lines[0][:60]) if lines else "an empty file"
        raise OfficialError(f"{path}: line 1: got {found}, expected the columns {' '.join(_COLUMNS)}")
    images: dict[int, OfficialImage] = {}
    for number, line in enumerate(lines[1:], start=2):
        words = line.split()
        if not words:
            continue
        if len(words) != 5 or not (words[0] + words[1]).isdecimal() or not all(map(_MD5.fullmatch, words[3:])):
            raise OfficialError(f"{path}: line {number}: got {line[:80]!r}, expected two numbers, a name and two md5s")
        image = OfficialImage(int(words[0]), int(words[1]), *words[2:])
        if "/" in image.orig_file or "\\" in image.orig_file or image.idx in images or image.idx >= 10**7:
            raise OfficialError(
                f"{path}: line {number}: got {line[:80]!r}, expected a plain name and an idx of its own"
            )
        images[image.idx] = image
    if not images:
        raise OfficialError(f"{path}: got no image, expected {NUM_IMAGES:,}")
    return [images[idx] for idx in sorted(images)]


def choose_indices(images: list[OfficialImage], indices: str | None) -> list[OfficialImage]:
    """Return the images that --indices names: "0:1000", "5", "0:10,70,2815"; all of them for None."""
    if indices is None:
        return images
    wanted: set[int] = set()
    for part in indices.split(","):
        match = re.fullmatch(r"\s*(\d{1,7})(?::(\d{1,7}))?\s*", part)
        if match is None:
            raise OfficialError(f"--indices: got {indices!r}, expected numbers and ranges, as 0:1000 or 0:10,70")
        first = int(match[1])
        wanted |= set(range(first, int(match[2]) if match[2] else first + 1))
    chosen = [image for image in images if image.idx in wanted]
    if not chosen:
        raise OfficialError(f"--indices: got {indices!r}, expected some from {images[0].idx} to {images[-1].idx}")
    return chosen
