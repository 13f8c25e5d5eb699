"""celebahq-data extract: rows of a dataset file to PNG images."""

import csv
import hashlib
import io
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import numpy as np
import tyro
from PIL import Image

from celebahq.files import PARTIAL, printable, write_atomic
from celebahq.options import check_options
from celebahq.progress import progress
from celebahq_builder.commands.extract_metadata import METADATA, metadata_lines
from celebahq_builder.hdf5 import Dataset, DatasetError, open_dataset

_log = logging.getLogger("celebahq")
_MARK = ".extract.json"
"""In the folder: what is being extracted there. It lets the same command go on, and any other one not."""

_LONGEST_STEM = 255 - len(f"-99999.png{PARTIAL}")
"""Of a name, in bytes."""


@dataclass(frozen=True)
class ExtractConfig:
    """Write rows of a dataset as PNG images, metadata.jsonl about them, and labels.csv where it has labels.

    Nothing is overwritten. After Ctrl-C, a kill or a full disk the same command goes on where it was.

    Example: celebahq-data extract celebahq.h5 --output faces --rows 0:100 --resolution 256
    """

    file: Annotated[Path, tyro.conf.Positional]
    """A dataset file."""
    output: Path
    """Folder for the images; made when it is not there."""
    rows: str = ":"
    """Which rows, e.g. 7 or 0:100 or 3,5,10:20; the end of a range is not part of it."""
    resolution: int | None = None
    """Which level; left out, the largest."""
    names: Literal["row", "source"] = "row"
    """row: 00007.png. source: the photo's own name and folders, with the face's number where there are several."""
    bad: Literal["stop", "skip"] = "stop"
    """What a row with damaged bytes does: stop the command, or become a line of skipped.csv."""

    def __post_init__(self) -> None:
        check_options(self)


def extract(config: ExtractConfig) -> int:
    """Write the images and return how many there are now; FileExistsError before the first one if any is in the way."""
    output = config.output
    with open_dataset(config.file) as dataset:
        rows = parse_rows(config.rows, len(dataset))
        resolution = config.resolution or dataset.resolution
        if resolution not in dataset.resolutions:
            levels = ", ".join(map(str, dataset.resolutions))
            raise DatasetError(f"--resolution: got {resolution}, expected a level of {config.file}: {levels}")
        names = _names(dataset, rows, config.names)
        tables = [output / "labels.csv"] if dataset.labels is not None else []
        tables += [output / METADATA] if dataset.faces or tables else []
        there = _claim(config, dataset, resolution, [output / name for name in names] + tables)

        skipped: dict[int, str] = {}
        with progress("images", len(rows), "images") as bar:
            for row, name in zip(rows, names, strict=True):
                if name not in there:
                    try:
                        image = dataset.read(resolution, [row])[0]
                    except DatasetError as error:
                        if config.bad == "stop":
                            raise DatasetError(f"{error}; --bad skip goes on without such rows") from None
                        skipped[row] = str(error)
                    else:
                        (output / name).parent.mkdir(parents=True, exist_ok=True)
                        _write(output / name, _png(image))
                bar.advance(note=f"{len(skipped)} skipped" if skipped else "")
        kept = [(row, name) for row, name in zip(rows, names, strict=True) if row not in skipped]
        if dataset.labels is not None:
            _write(output / "labels.csv", label_table(dataset, kept))
        if output / METADATA in tables:
            _write(output / METADATA, metadata_lines(dataset, kept))
        if skipped:
            _write(output / "skipped.csv", _csv(["row", "reason"], skipped.items()))
    found = f", {len(there)} of them there before" if there else ""
    lost = f"; {len(skipped)} rows skipped, damaged: see {output / 'skipped.csv'}" if skipped else ""
    labels = f" --labels {output / 'labels.csv'}" if dataset.labels is not None else ""
    _log.info(printable(f"{output}: {len(kept)} images of {resolution}x{resolution}{found}{lost}"))
    _log.info(printable(f"a dataset again: celebahq-data import {output} --output FILE.h5{labels}"))
    return len(kept)


def _claim(config: ExtractConfig, dataset: Dataset, resolution: int, targets: list[Path]) -> set[str]:
    """Make the folder ours; return the names of the images that an earlier run of this very command left there.

    Raises:
        FileExistsError: a file is in the way and no earlier run made it.
    """
    output, small = config.output, min(4, dataset.resolution)
    mark = {
        "rows": config.rows,
        "resolution": resolution,
        "names": config.names,
        "faces": len(dataset),
        "sha256_of_level": hashlib.sha256(dataset.read(small, np.arange(len(dataset))).tobytes()).hexdigest(),
    }
    try:
        ours = json.loads((output / _MARK).read_text(encoding="utf-8")) == mark
    except (OSError, ValueError, RecursionError):
        ours = False
    there = {target for target in targets if target.exists()}
    if there and not ours:
        raise FileExistsError(f"{min(there)}: exists already, and is not overwritten")
    output.mkdir(parents=True, exist_ok=True)
    _write(output / _MARK, json.dumps(mark, indent=2).encode())
    return {target.relative_to(output).as_posix() for target in there if target.suffix == ".png"}


def label_table(dataset: Dataset, kept: Sequence[tuple[int, str]]) -> bytes:
    assert dataset.labels is not None
    heading = dataset.label_names or [f"label{i}" for i in range(dataset.labels.shape[1])]
    return _csv(["file", *heading], ([name, *dataset.labels[row]] for row, name in kept))


def _csv(heading: Sequence[str], rows) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(heading)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _write(path: Path, data: bytes) -> None:
    with write_atomic(path) as file:
        file.write(data)


def parse_rows(text: str, num_rows: int) -> list[int]:
    """Return the rows that `3,5,10:20` names, in that order and each once.

    Raises:
        DatasetError: the list is malformed, or goes beyond num_rows.
    """
    rows: list[int] = []
    for part in text.split(","):
        start, colon, end = part.strip().partition(":")
        if not (start + end).isdecimal() and not (colon and start + end == ""):
            raise DatasetError(f"--rows: got {text!r}, expected a list of rows like 3,5,10:20")
        if len(start) > 18 or len(end) > 18:
            raise DatasetError(f"--rows: got {len(text)} characters, expected rows of 0..{num_rows - 1}")
        first = int(start or 0)
        last = int(end or num_rows) if colon else first + 1
        if not first < last <= num_rows:
            raise DatasetError(f"--rows: got {part.strip()!r}, expected rows of 0..{num_rows - 1}")
        rows += range(first, last)
    return list(dict.fromkeys(rows))


def _png(image: np.ndarray) -> bytes:
    """Compress (3, R, R) or (1, R, R) uint8 without loss."""
    stream = io.BytesIO()
    # Level 6 takes 3 times longer for 4 % less.
    Image.fromarray(image.transpose(1, 2, 0) if len(image) == 3 else image[0]).save(stream, "PNG", compress_level=3)
    return stream.getvalue()


def _short(stem: PurePosixPath, row: int) -> PurePosixPath:
    """Cut the name of a file so that it fits the 255 bytes of all systems with everything that is added to it."""
    name = stem.name.encode("utf-8", "surrogateescape")
    if len(name) <= _LONGEST_STEM:
        return stem
    # the row tells two apart that were cut at the same place
    return stem.with_name(f"{name[: _LONGEST_STEM - 20].decode('utf-8', 'ignore')}~{row}")


def _names(dataset: Dataset, rows: Sequence[int], kind: str) -> list[str]:
    if kind == "row":
        return [f"{row:0{max(5, len(str(len(dataset) - 1)))}}.png" for row in rows]
    faces = dataset.faces
    if "source" not in faces:
        raise DatasetError(f"{dataset.path}: got no faces/source, expected it for --names source; use --names row")
    names = []
    for row in rows:
        source = PurePosixPath(faces["source"][row])
        # A file from elsewhere must not write outside the folder.
        if source.is_absolute() or ".." in source.parts or not source.name or "\0" in str(source):
            raise DatasetError(f"{dataset.path}: got faces/source {source} of row {row}, expected a relative name")
        index = int(faces["face_index"][row]) if "face_index" in faces else 0
        stem = _short(source.with_suffix(""), row)
        names.append(f"{stem}{f'-{index}' if index else ''}.png")
    repeated, counts = np.unique(np.array(names, dtype=object), return_counts=True)
    if counts.max() > 1:
        raise DatasetError(
            f"{dataset.path}: got several rows named {repeated[counts.argmax()]}, expected one each; use --names row"
        )
    return names
