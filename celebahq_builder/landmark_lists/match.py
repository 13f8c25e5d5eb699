"""Which line of a list of landmarks is about which photo of --input."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

import numpy as np

from celebahq.files import printable, sha256_of
from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.landmark_lists.read_list import read_landmark_list

Listed = dict[str, np.ndarray | str | None]
"""Photo -> (5, 2) float32; None where it is not in the list; or, as text, why no line can be said to be its own."""


def read_landmarks(config: BuildConfig, names: list[str]) -> tuple[Listed | None, str]:
    """Return the listed landmarks of every photo, and the SHA-256 of the list; (None, "") without --landmarks.

    Raises:
        BuildError: the list cannot be read, is something else, or is about other photos.
    """
    if config.landmarks is None:
        return None, ""
    try:
        listed = read_landmark_list(config.landmarks)
        digest = sha256_of(config.landmarks)
    except OSError as error:
        raise BuildError(f"--landmarks: {config.landmarks}: {error.strerror}") from None
    except ValueError as error:
        raise BuildError(f"--landmarks: {error}") from None
    found = match(listed, names)
    if all(points is None for points in found.values()):
        first, photo = printable(next(iter(listed), "nothing")), printable(names[0])
        raise BuildError(
            f"--landmarks: {config.landmarks} lists none of the {len(names)} photos of {config.input}: got {first}, "
            f"expected names like {photo}"
        )
    return found, digest


def match(listed: dict[str, np.ndarray], names: Iterable[str]) -> Listed:
    """Give every photo its line: of its own name below --input, or else one whose path ends like the photo's.

    A line that fits several photos (a bare name, and two folders have it) is given to none of them, and a photo that
    several lines fit gets none: a crop by the wrong landmarks looks like a right one.
    """
    by_file = defaultdict(list)
    for line in listed:
        by_file[PurePosixPath(line).name].append(line)
    chosen = {}
    for name in names:
        if name in listed:
            chosen[name] = [name]
        else:
            chosen[name] = [line for line in by_file[PurePosixPath(name).name] if _ends_alike(line, name)]

    photos_of = defaultdict(list)
    for name, lines in chosen.items():
        for line in lines:
            photos_of[line].append(name)
    found: Listed = {}
    for name, lines in chosen.items():
        if not lines:
            found[name] = None
        elif len(lines) > 1:
            found[name] = f"listed as {_some(lines)}"
        elif len(photos_of[lines[0]]) > 1:
            found[name] = f"{printable(lines[0])} fits {_some(photos_of[lines[0]])}"
        else:
            found[name] = listed[lines[0]]
    return found


def upright_points(points: np.ndarray, orientation: int, upright_shape: tuple[int, ...]) -> np.ndarray:
    """Turn points of a photo as it is stored along with its pixels.

    Args:
        points: (5, 2) float, pixels (x, y) of the stored photo.
        orientation: EXIF's, 1 to 8, by which the photo was brought upright.
        upright_shape: (H, W, ...) of the upright photo.

    Returns:
        (5, 2), pixels of the upright photo. Where it was mirrored, left and right change places: left is left in it.
    """
    height, width = upright_shape[:2] if orientation < 5 else upright_shape[1::-1]
    x, y = points[:, 0], points[:, 1]
    across, down = width - 1 - x, height - 1 - y
    columns = {1: (x, y), 2: (across, y), 3: (across, down), 4: (x, down)}
    columns |= {5: (y, x), 6: (down, x), 7: (down, across), 8: (y, across)}
    turned = np.stack(columns[orientation], axis=1)
    return turned[[1, 0, 2, 4, 3]] if orientation in (2, 4, 5, 7) else turned


def _ends_alike(a: str, b: str) -> bool:
    """Say whether one path is the end of the other, folder by folder."""
    one, other = PurePosixPath(a).parts, PurePosixPath(b).parts
    length = min(len(one), len(other))
    return one[-length:] == other[-length:]


def _some(names: list[str]) -> str:
    shown = " and ".join(printable(name) for name in names[:3])
    return shown + (f" and {len(names) - 3} more" if len(names) > 3 else "")
