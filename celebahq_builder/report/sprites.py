"""Small faces by the dozen: sheets of thumbnails, in the page itself or in the folder beside it."""

import base64
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from celebahq.files import write_atomic

COLUMNS = 8
PER_SHEET = COLUMNS * COLUMNS  # small, so that a page sorted anyhow never decodes much for the few faces in sight
MOST_IN_PAGE = 500
"""Faces of a page that holds its images itself."""
_FEW = 120
_OURS = re.compile(r"[0-9a-f]{16}-\d{5}\.webp")

ReadLevel = Callable[[int, np.ndarray], np.ndarray]
"""(resolution, rows) -> (n, C, resolution, resolution) uint8, as Dataset.read."""


@dataclass(frozen=True)
class Thumbnails:
    """The faces of a dataset as the page shows them."""

    num_faces: int
    resolutions: tuple[int, ...]
    """Levels that there are."""
    read: ReadLevel

    @property
    def side(self) -> int:
        """Of a thumbnail, in pixels."""
        most = 256 if self.num_faces <= _FEW else 128
        return max(r for r in self.resolutions if r <= most)

    @property
    def num_sheets(self) -> int:
        return -(-self.num_faces // PER_SHEET)

    def sheet(self, number: int) -> bytes:
        """Return one sheet as WebP: 8 faces a line, PER_SHEET in all, fewer on the last."""
        rows = np.arange(number * PER_SHEET, min((number + 1) * PER_SHEET, self.num_faces))
        return encode(sheet_pixels(self.read(self.side, rows)))

    def describe(self, addresses: list[str]) -> dict[str, object]:
        """Return what the page's script wants to know."""
        return {"side": self.side, "columns": COLUMNS, "count": PER_SHEET, "addresses": addresses}


def sheet_pixels(faces: np.ndarray) -> np.ndarray:
    """Lay out faces (n, C, r, r) uint8, C = 1 or 3, as one image (H, W, 3) uint8 of COLUMNS a line."""
    count, _, side, _ = faces.shape
    lines = -(-count // COLUMNS)
    sheet = np.zeros((lines * COLUMNS, side, side, 3), np.uint8)
    sheet[:count] = faces.transpose(0, 2, 3, 1)  # gray fills all three
    grid = sheet.reshape(lines, COLUMNS, side, side, 3).transpose(0, 2, 1, 3, 4)
    return grid.reshape(lines * side, COLUMNS * side, 3)


def encode(pixels: np.ndarray, quality: int = 78) -> bytes:
    """Return (H, W, 3) uint8 as WebP, fast."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", quality=quality, method=2)
    return stream.getvalue()


def in_page(thumbnails: Thumbnails) -> list[str]:
    """Return the sheets as data: addresses."""
    sheets = map(thumbnails.sheet, range(thumbnails.num_sheets))
    return ["data:image/webp;base64," + base64.b64encode(sheet).decode("ascii") for sheet in sheets]


def files_folder(page: Path) -> Path:
    """Return where the images of a page lie that does not hold them itself: report-files/ beside report.html."""
    return page.with_name(f"{page.stem}-files")


def is_sheet(name: str) -> bool:
    """Say whether a file in that folder has the name of a sheet."""
    return _OURS.fullmatch(name) is not None


def write_sheets(thumbnails: Thumbnails, page: Path, mark: str) -> Iterator[str]:
    """Write the sheets beside a page and yield their addresses in it, relative to the page.

    Args:
        mark: 16 hexadecimal digits that begin their names, other ones for other faces: the page of before keeps its
            own until the new one has taken its place.
    """
    folder = files_folder(page)
    folder.mkdir(exist_ok=True)
    for number in range(thumbnails.num_sheets):
        name = f"{mark}-{number:05}.webp"
        with write_atomic(folder / name) as file:
            file.write(thumbnails.sheet(number))
        yield f"{folder.name}/{name}"


def remove_other_sheets(page: Path, mark: str) -> None:
    """Remove the sheets of pages that were replaced, and the folder where nothing is left; nothing that is not ours."""
    folder = files_folder(page)
    if not folder.is_dir() or folder.is_symlink():
        return
    for path in folder.iterdir():
        if is_sheet(path.name) and not path.name.startswith(mark):
            path.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()
