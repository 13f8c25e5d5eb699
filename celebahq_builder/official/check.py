"""--check: are the images of a folder, a zip or a dataset file the official ones, md5 for md5?"""

import functools
import io
import logging
import re
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from celebahq.progress import progress
from celebahq_builder.executors import run
from celebahq_builder.hdf5 import DatasetError, open_dataset
from celebahq_builder.official.face import RESOLUTION, chw_md5
from celebahq_builder.official.image_list import BAD_IMAGES, OfficialError, OfficialImage
from celebahq_builder.state.failure import Failure

_log = logging.getLogger("celebahq.data")

_SUFFIXES = {".png", ".npy", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
_LOSSY = {".jpg", ".jpeg"}
_LINES = 20


@dataclass(frozen=True)
class CheckTask:
    """One image to look at: a file's name, or a row of a dataset."""

    where: Path
    name: str
    idx: int
    row: int = -1


def check_official(where: Path, images: list[OfficialImage], workers: int) -> bool:
    """Print what is found; return whether every image is there and is the official one.

    Raises:
        OfficialError: nothing there can be checked.
    """
    expected = {image.idx: image.final_md5 for image in images}
    tasks = [task for task in _list_images(where) if task.idx in expected]
    if not tasks:
        raise OfficialError(
            f"--check: got no image of the list in {where}, expected names as imgHQ00000.png or 00000.png"
        )
    by_md5 = {image.final_md5: image for image in images}
    wrong: list[str] = []
    counts: Counter[str] = Counter()
    seen: set[int] = set()
    with progress("images", len(tasks)) as bar:
        for task, found in run(image_md5, tasks, workers):
            seen.add(task.idx)
            status, text = _compare(task, found, expected[task.idx], by_md5)
            counts[status] += 1
            if text:
                wrong.append(text)
            bar.advance(note=f"{counts['official']} official")
    for line in sorted(wrong)[:_LINES]:
        _log.info(line)
    if len(wrong) > _LINES:
        _log.info(f"... and {len(wrong) - _LINES} more")
    missing = sorted(expected.keys() - seen)
    for idx, what in BAD_IMAGES.items():
        if idx in seen:
            _log.info(f"imgHQ{idx:05d}: known to be bad as published: {what}")
    parts = [f"{count} {status}" for status, count in counts.most_common()]
    if missing:
        parts.append(f"{len(missing)} of the list are not there, the first is imgHQ{missing[0]:05d}")
    _log.info(f"{where}: {', '.join(parts)}")
    return not wrong and not missing


def _compare(task: CheckTask, found: str | Failure, wanted: str, by_md5: dict[str, OfficialImage]) -> tuple[str, str]:
    if isinstance(found, Failure):
        return "cannot be read", f"{task.name}: {found.reason} {found.detail}"
    if found == wanted:
        return "official", ""
    if not re.fullmatch(r"[0-9a-f]{32}", found):
        return found.partition(":")[0], f"{task.name}: {found}"
    if found in by_md5:
        return "another image of the set", f"{task.name}: holds {by_md5[found].name}"
    lossy = PurePosixPath(task.name).suffix.lower() in _LOSSY
    why = "a JPEG is never the official image to the bit" if lossy else "made without the pinned decoder or crop?"
    return "other pixels", f"{task.name}: md5 {found}, not {wanted}; {why}"


def image_md5(task: CheckTask) -> str:
    """The md5 over (3, 1024, 1024) bytes; or what is wrong, in words. Runs in the workers."""
    if task.row >= 0:
        return chw_md5(_dataset(task.where).read(RESOLUTION, [task.row])[0].transpose(1, 2, 0))
    try:
        data = _read(task.where, task.name)
        image = _from_npy(data) if task.name.lower().endswith(".npy") else _from_image(data)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, RuntimeError) as error:
        return f"cannot be read: {error}"
    if image.shape != (RESOLUTION, RESOLUTION, 3):
        return f"another size: {image.shape[1]}x{image.shape[0]}, the md5s are of {RESOLUTION}x{RESOLUTION}"
    return chw_md5(image)


def _list_images(where: Path) -> list[CheckTask]:
    if not where.exists():
        raise OfficialError(f"--check: got {where}, which does not exist, expected a folder, a zip or a dataset file")
    if where.is_dir():
        names = [path.relative_to(where).as_posix() for path in where.rglob("*") if path.is_file()]
    elif zipfile.is_zipfile(where):
        names = zipfile.ZipFile(where).namelist()
    else:
        return _list_rows(where)
    tasks: dict[int, CheckTask] = {}
    for name in sorted(names):
        path = PurePosixPath(name)
        number = re.fullmatch(r"(?:imgHQ|img)?(\d{1,8})", path.stem)
        if path.suffix.lower() in _SUFFIXES and number and not path.name.startswith("."):
            tasks.setdefault(int(number[1]), CheckTask(where, name, int(number[1])))
    return list(tasks.values())


def _list_rows(where: Path) -> list[CheckTask]:
    """Of a dataset file: by its column idx, or by place, as the authors' program writes it."""
    try:
        with open_dataset(where) as dataset:
            if dataset.resolution != RESOLUTION or dataset.channels != 3:
                raise OfficialError(
                    f"--check: got {dataset.resolution}x{dataset.resolution} in {where}, expected 1024x1024"
                )
            count, columns = len(dataset), dataset.faces
    except DatasetError as error:
        raise OfficialError(f"--check: {error}") from None
    idx = columns["idx"].tolist() if "idx" in columns else range(count)
    return [CheckTask(where, f"row {row}", int(i), row) for row, i in enumerate(idx)]


@functools.lru_cache(maxsize=1)
def _dataset(path: Path):
    return open_dataset(path)


@functools.lru_cache(maxsize=1)
def _zip(path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def _read(where: Path, name: str) -> bytes:
    return (where / name).read_bytes() if where.is_dir() else _zip(where).read(name)


def _from_npy(data: bytes) -> np.ndarray:
    array = np.load(io.BytesIO(data), allow_pickle=False)
    array = array[0] if array.ndim == 4 and len(array) == 1 else array
    if array.dtype != np.uint8 or array.ndim != 3:
        raise ValueError(f"{array.shape} {array.dtype}, expected (3, 1024, 1024) uint8")
    return array.transpose(1, 2, 0) if array.shape[0] == 3 else array


def _from_image(data: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError("no image")
    return image[..., ::-1]
