"""The official set, top to bottom: CelebA and deltas found, decoder and crop proved, images made, output written."""

import csv
import io
import logging
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from celebahq.files import printable, write_atomic
from celebahq.progress import progress
from celebahq_builder.executors import run
from celebahq_builder.official.celeba import find_photos_in_the_wild, read_landmarks
from celebahq_builder.official.dataset_file import EarlierFile, open_earlier, sha256_of_list, write_official_file
from celebahq_builder.official.deltas import delta_files, require_cryptography
from celebahq_builder.official.face import VERIFIED, OfficialRow, Task, make_official
from celebahq_builder.official.image_list import (
    NUM_IMAGES,
    OfficialImage,
    choose_indices,
    find_image_list,
    read_image_list,
)
from celebahq_builder.official.proof import FIRST_PHOTO, prove_crop, prove_decoder
from celebahq_builder.official.work_folder import WorkFolder
from celebahq_builder.state.failure import Failure

_log = logging.getLogger("celebahq.data")


def make_official_set(
    celeba: Path,
    deltas: Path,
    output: Path,
    *,
    image_list: Path | None = None,
    indices: str | None = None,
    as_png: bool = False,
    compression: str | None = None,
    workers: int = 1,
) -> bool:
    """Make CelebA-HQ, or as much of it as the archives at hand allow; the same call again goes on.

    Args:
        celeba: CelebA as downloaded: photographs in the wild and list_landmarks_celeba.txt.
        deltas: the archives deltas00000.zip ..., or what they hold.
        output: the HDF5 file, or with as_png the folder of imgHQ00000.png ...
        image_list: image_list.txt; None: looked for beside the deltas.
        indices: "0:1000" and the like; None: all.

    Returns:
        Whether every image that was asked for is in the output, verified.

    Raises:
        OfficialError: nothing can be done, in one line.
    """
    require_cryptography()
    list_path = image_list or find_image_list(deltas, celeba)
    every = read_image_list(list_path)
    images = choose_indices(every, indices)
    delta_files(deltas)
    landmarks = read_landmarks(celeba)
    earlier = None if as_png else open_earlier(output, every)
    build = output.with_name(output.name + ".build")
    with WorkFolder(build, output if as_png else build / "faces") as folder:
        photos = find_photos_in_the_wild(
            celeba, [*dict.fromkeys([*(image.orig_file for image in images), FIRST_PHOTO])], build / "img_celeba"
        )
        _log.info(prove_decoder(photos))
        _log.info(prove_crop(photos, images, landmarks))

        rows = folder.verified_rows()
        have = rows.keys() | (earlier.rows.keys() if earlier else set())
        tasks = [
            Task(image, photos, deltas, landmarks.get(image.orig_file), folder.faces)
            for image in images
            if image.idx not in have
        ]
        if have:
            _log.info(f"continuing: {len(images) - len(tasks)} of {len(images)} images are done")
        rows |= _make(tasks, folder, workers)

        _write_rows(output, images, rows, earlier)
        verified = {idx: row for idx, row in rows.items() if row.status == VERIFIED}
        written = len(verified)
        if not as_png:
            written = _write_file(output, every, verified, folder, earlier, celeba, landmarks, list_path, compression)
        _print_summary(output, images, rows, written)
        complete = all(image.idx in verified or (earlier and image.idx in earlier.rows) for image in images)
        if complete or not as_png:
            folder.remove()
    return complete


def _make(tasks: list[Task], folder: WorkFolder, workers: int) -> dict[int, OfficialRow]:
    rows: dict[int, OfficialRow] = {}
    counts: Counter[bool] = Counter()
    with progress("images", len(tasks), "images") as bar:
        for task, result in run(make_official, tasks, workers):
            if isinstance(result, Failure):
                result = OfficialRow(task.image.idx, task.image.orig_file, result.reason, result.detail)
            rows[result.idx] = result
            counts[result.status == VERIFIED] += 1
            folder.append([result])
            bar.advance(note=f"{counts[True]} verified, {counts[False]} not")
    return rows


def _write_file(
    output: Path,
    every: list[OfficialImage],
    verified: dict[int, OfficialRow],
    folder: WorkFolder,
    earlier: EarlierFile | None,
    celeba: Path,
    landmarks: dict,
    list_path: Path,
    compression: str | None,
) -> int:
    new = verified.keys() - (earlier.rows.keys() if earlier else set())
    if not new:
        return len(earlier.rows) if earlier else 0
    try:
        return write_official_file(
            output, every, verified, folder.faces, earlier, celeba, landmarks, sha256_of_list(list_path), compression
        )
    finally:
        if earlier:
            earlier.dataset.close()


def _write_rows(output: Path, images: list[OfficialImage], rows: dict, earlier: EarlierFile | None) -> None:
    """<output>.rows.csv: what became of every image that was asked for."""
    text = io.StringIO()
    names = ["idx", "orig_file", "status", "detail", "proc_md5", "final_md5"]
    table = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    for image in images:
        row = rows.get(image.idx)
        if row is None and earlier:
            row = OfficialRow(image.idx, image.orig_file, VERIFIED, "", image.proc_md5, image.final_md5)
        if row is not None:
            table.writerow(asdict(row))
    with write_atomic(rows_path(output)) as file:
        file.write(text.getvalue().encode("utf-8", "surrogateescape"))


def rows_path(output: Path) -> Path:
    return output.with_name(output.name + ".rows.csv")


def _print_summary(output: Path, images: list[OfficialImage], rows: dict[int, OfficialRow], written: int) -> None:
    wrong = [rows[image.idx] for image in images if image.idx in rows and rows[image.idx].status != VERIFIED]
    _log.info("")
    for status, count in Counter(row.status for row in wrong).most_common():
        first = next(row for row in wrong if row.status == status)
        _log.info(f"{count:>6,}  {status}; imgHQ{first.idx:05d}: {printable(first.detail)}")
    _log.info(f"{written:>6,}  images verified in {printable(output)}")
    if wrong:
        _log.info(
            f"\nEach of them: {printable(rows_path(output))}. Fetch what is named, and run the same command again."
        )
    elif len(images) < NUM_IMAGES:
        _log.info(f"\nThe whole set has {NUM_IMAGES:,}.")
