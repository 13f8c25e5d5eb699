"""Where the faces of the training photographs lie: a CSV of boxes, and the part of a photo that is drawn for one."""

import csv
from pathlib import Path

from train.restoration.errors import RestorationError

COLUMNS = ("photo", "x", "y", "width", "height")
AROUND = 2.0
"""Side of the part around a face, as a multiple of its box: hair, ears, and some of what lies behind."""
LEAST_SIDE = 256
"""And at least so many pixels, for a training patch to find room."""

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels of the photo."""


def read_faces(path: Path) -> dict[str, list[Box]]:
    """The boxes of a CSV with the columns photo, x, y, width, height, by the name of their photo.

    Raises:
        ValueError: a column is missing, a number is none, or a box is empty.
    """
    faces: dict[str, list[Box]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if missing := [column for column in COLUMNS if column not in (reader.fieldnames or ())]:
            raise RestorationError(f"--faces: got {path} without column {missing[0]!r}, expected {', '.join(COLUMNS)}")
        for row in reader:
            try:
                x, y, width, height = (int(row[column]) for column in COLUMNS[1:])
            except (TypeError, ValueError):
                raise RestorationError(
                    f"--faces: got line {reader.line_num} of {path}, expected four whole numbers"
                ) from None
            if width < 1 or height < 1:
                raise RestorationError(
                    f"--faces: got a box of {width}x{height} in line {reader.line_num} of {path}, expected at least 1x1"
                )
            faces.setdefault(row["photo"], []).append((x, y, width, height))
    return faces


def around_face(box: Box, height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns of the part of a photo (height, width) that is drawn for a face: square, moved inside it."""
    x, y, *sides = box
    side = max(round(AROUND * max(sides)), LEAST_SIDE)
    spans = []
    for start, length, total in ((y, sides[1], height), (x, sides[0], width)):
        first = min(max(0, start + (length - side) // 2), max(0, total - side))
        spans.append(slice(first, min(total, first + side)))
    return spans[0], spans[1]
