"""Lists of landmarks that people made (--landmarks): CelebA's form, and which photo a line is about."""

import hashlib
from pathlib import Path

import numpy as np

from celebahq_builder.config import BuildConfig, BuildError


def read_landmarks(config: BuildConfig, names: list[str]) -> tuple[dict[str, np.ndarray | None] | None, str]:
    """Return the listed landmarks of every photo (None for one that is not listed) and the SHA-256 of the list.

    (None, "") without --landmarks. A photo is looked up by its name below --input, then by its bare file name.
    """
    if config.landmarks is None:
        return None, ""
    try:
        listed = read_celeba_landmarks(config.landmarks)
        digest = hashlib.sha256(config.landmarks.read_bytes()).hexdigest()
    except OSError as error:
        raise BuildError(f"--landmarks: {config.landmarks}: {error.strerror}") from None
    except ValueError as error:
        raise BuildError(f"--landmarks: {error}") from None
    found = {name: listed.get(name, listed.get(name.rpartition("/")[2])) for name in names}
    if all(points is None for points in found.values()):
        raise BuildError(f"--landmarks: {config.landmarks} lists none of the {len(names)} photos of {config.input}")
    return found, digest


def read_celeba_landmarks(path: Path) -> dict[str, np.ndarray]:
    """Read CelebA's list_landmarks_celeba.txt, or another list in its form.

    Its lines: the number of photos; the names of the columns; then for each photo its name and ten numbers, x and y
    of left eye, right eye, nose, left mouth, right mouth (left in the image), in pixels of the photo.

    Returns:
        (5, 2) float32 by photo name.

    Raises:
        ValueError: the file is not in this form, or it is the list of the aligned 178x218 pictures.
    """
    path = Path(path)
    lines = path.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
    if not lines or not lines[0].strip().isdigit():
        found = repr(lines[0][:60]) if lines else "an empty file"
        raise ValueError(f"{path}: line 1: {found}, the number of photos is wanted, as in list_landmarks_celeba.txt")

    found: dict[str, np.ndarray] = {}
    for number, line in enumerate(lines[2:], start=3):
        name, *numbers = line.rsplit(None, 10) or [""]
        if not name:
            continue  # an empty last line
        try:
            with np.errstate(over="ignore"):  # 1e300 becomes infinite, and check_landmarks says so
                points = np.array([float(n) for n in numbers], np.float32).reshape(5, 2)
        except ValueError:
            raise ValueError(f"{path}: line {number}: {line[:80]!r}, a name and ten numbers are wanted") from None
        if name in found:
            raise ValueError(f"{path}: line {number}: {name} is listed twice, once is wanted")
        found[name] = points
    if len(found) != int(lines[0]):
        raise ValueError(f"{path}: {len(found)} photos are listed, line 1 says {int(lines[0])}")
    _check_in_the_wild(path, found)
    return found


def _check_in_the_wild(path: Path, found: dict[str, np.ndarray]) -> None:
    """Refuse the list of the aligned pictures: its faces all have their eyes in the same place."""
    if not found:
        return
    eyes = np.stack(list(found.values()))[:, :2]
    away = np.abs(eyes - np.array([(69, 111), (108, 111)])).max(axis=(1, 2))
    if np.mean(away < 10) > 0.9:
        raise ValueError(
            f"{path}: the eyes of all faces are near (69, 111) and (108, 111): this is the list of the aligned 178x218 "
            "pictures, list_landmarks_align_celeba.txt; list_landmarks_celeba.txt, of the photos in the wild, is wanted"
        )
