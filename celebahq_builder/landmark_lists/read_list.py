"""Lists of landmarks that people made (--landmarks): CelebA's text, CSV, FFHQ's json; what else it is, is said."""

import csv
import json
from pathlib import Path

import numpy as np

from celebahq.files import text_lines
from celebahq_builder.landmark_lists.orders import refuse_other_orders

_COLUMNS = "name, lefteye_x, lefteye_y, righteye_x, righteye_y, nose_x, nose_y, leftmouth_x ... rightmouth_y"


def read_landmark_list(path: Path) -> dict[str, np.ndarray]:
    """Read five points a photo, in pixels (x, y) of the photo as it is stored, before its EXIF turns it.

    - CelebA's list_landmarks_celeba.txt, or another in its form: the number of photos; the names of the columns; then
      for each photo its name and ten numbers, x and y of left eye, right eye, nose, left mouth, right mouth (left in
      the image), apart by blanks.
    - The same columns as a CSV, with commas, semicolons or tabs, with or without a line of names.
    - FFHQ's ffhq-dataset-v2.json, whose 68 points are reduced to these five.

    Returns:
        (5, 2) float32 by photo name, as the list has it.

    Raises:
        OSError: the file cannot be read.
        ValueError: one line that says what it is instead: another form or order, or CelebA's list of aligned images.
    """
    path = Path(path)
    text = _decode(path.read_bytes())
    if text.lstrip()[:1] in ("{", "["):
        found = _read_ffhq(path, text)
    elif (delimiter := _delimiter(text)) is not None:
        found = _read_csv(path, text, delimiter)
    else:
        found = _read_celeba(path, text)
    _refuse_aligned_images(path, found)
    refuse_other_orders(path, found)
    return found


def _decode(data: bytes) -> str:
    """Text of any encoding that spreadsheets write; names keep bytes that are not UTF-8."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) and len(data) % 2 == 0:
        return data.decode("utf-16", errors="replace")
    return data.decode("utf-8-sig", errors="surrogateescape")


def _delimiter(text: str) -> str | None:
    """What the columns of a CSV are apart by; None where the first line is no row of eleven."""
    first = text.partition("\n")[0]
    return next((mark for mark in ";\t," if first.count(mark) == 10), None)


def _read_celeba(path: Path, text: str) -> dict[str, np.ndarray]:
    lines = text_lines(text)
    if not lines or not lines[0].strip().isdigit():
        begin = repr(lines[0][:60]) if lines else "an empty file"
        raise ValueError(
            f"{path}: line 1: got {begin}, expected the number of photos, as in list_landmarks_celeba.txt, "
            f"a CSV with the columns {_COLUMNS}, or FFHQ's json"
        )
    found: dict[str, np.ndarray] = {}
    for number, line in enumerate(lines[2:], start=3):
        name, *numbers = line.rsplit(None, 10) or [""]
        if name:  # else an empty last line
            _add(found, path, number, name, numbers, line)
    if len(found) != int(lines[0]):
        raise ValueError(f"{path}: got {len(found)} photos, expected {int(lines[0])}, as line 1 says")
    return found


def _read_csv(path: Path, text: str, delimiter: str) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for number, row in enumerate(csv.reader(text_lines(text), delimiter=delimiter), start=1):
        if not "".join(row).strip() or (number == 1 and not _is_number(row[1])):
            continue  # an empty line, or the names of the columns
        if delimiter == ";":  # as spreadsheets write numbers where the comma is the decimal point
            row = [row[0], *(value.replace(",", ".") for value in row[1:])]
        _add(found, path, number, row[0].strip(), row[1:], delimiter.join(row))
    if not found:
        raise ValueError(f"{path}: got no photo, expected rows of {_COLUMNS}")
    return found


def _add(found: dict[str, np.ndarray], path: Path, number: int, name: str, numbers: list[str], line: str) -> None:
    try:
        with np.errstate(over="ignore"):  # 1e300 becomes infinite, and check_landmarks says so
            points = np.array([float(n) for n in numbers], np.float32).reshape(5, 2)
    except ValueError:
        raise ValueError(f"{path}: line {number}: got {line[:80]!r}, expected a name and ten numbers") from None
    if name in found:
        raise ValueError(f"{path}: line {number}: got {name} for the second time, expected it once")
    found[name] = points


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def _read_ffhq(path: Path, text: str) -> dict[str, np.ndarray]:
    """FFHQ's metadata: {"0": {"in_the_wild": {"file_path": ..., "face_landmarks": [[x, y], ... 68 of them]}}}."""
    try:
        records = json.loads(text)
        wild = [record["in_the_wild"] for record in records.values()]
        found = {str(photo["file_path"]): _five_of_68(photo["face_landmarks"]) for photo in wild}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ValueError(
            f"{path}: got another json, expected FFHQ's ffhq-dataset-v2.json, with in_the_wild.file_path and "
            "in_the_wild.face_landmarks (68 points) of every photo"
        ) from None
    if len(found) != len(wild):
        raise ValueError(f"{path}: got {len(wild)} faces of {len(found)} photos, expected one a photo")
    return found


def _five_of_68(points: list) -> np.ndarray:
    """Return (5, 2) float32: the means of the eyes' contours, the tip of the nose, the corners of the mouth."""
    p = np.array(points, np.float64)
    if p.shape != (68, 2):
        raise ValueError("not 68 points")
    return np.stack([p[36:42].mean(0), p[42:48].mean(0), p[30], p[48], p[54]]).astype(np.float32)


def _refuse_aligned_images(path: Path, found: dict[str, np.ndarray]) -> None:
    """Refuse the list of the aligned images: its faces all have their eyes in the same place."""
    if not found:
        return
    eyes = np.stack(list(found.values()))[:, :2]
    away = np.abs(eyes - np.array([(69, 111), (108, 111)])).max(axis=(1, 2))
    if np.mean(away < 10) > 0.9:
        raise ValueError(
            f"{path}: got eyes near (69, 111) and (108, 111) in all faces, which is the list of the aligned 178x218 "
            "images (list_landmarks_align_celeba), expected that of the photos in the wild, list_landmarks_celeba.txt"
        )
