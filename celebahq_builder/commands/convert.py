"""celebahq-data convert: a dataset file to another format of the field, exact both ways where images are lossless."""

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from celebahq.files import partial_path, printable, write_atomic
from celebahq.options import check_options
from celebahq_builder.formats import writer_of
from celebahq_builder.formats.export_rows import WriteOptions
from celebahq_builder.hdf5 import DatasetError, open_dataset

_log = logging.getLogger("celebahq")
_RESUMED = ("imagefolder", "png-folder")
"""Formats of a file a row, in which what is there need not be made again."""
_MARK = ".convert.json"
"""In the folder until it is complete: what is being written there."""


@dataclass(frozen=True)
class ConvertConfig:
    """Write a dataset as StyleGAN's zip, TFRecords, WebDataset, imagefolder, parquet, LMDB or a folder of PNG.

    Labels and the names of classes go along. `celebahq-data import` of what is made gives the same pixels, labels and
    names again. Nothing is overwritten, and the output takes its name only once it is complete. After Ctrl-C, a kill or
    a full disk the same command goes on where it was with imagefolder and png-folder, and begins again with the others.

    Example: celebahq-data convert celebahq.h5 --to stylegan-zip --output celebahq.zip --resolution 256
    """

    file: Annotated[Path, tyro.conf.Positional]
    """A dataset file."""
    to: Literal["stylegan-zip", "tfrecords", "webdataset", "imagefolder", "png-folder", "parquet", "lmdb"]
    """The format."""
    output: Path
    """The .zip, or the folder, to make."""
    resolution: int | None = None
    """Which level; left out, the largest."""
    format: Literal["png", "webp", "jpeg"] = "png"
    """How images are compressed: png and webp without loss, jpeg at quality 95. TFRecords hold plain pixels."""
    shard_mib: int = 500
    """Size of a shard of webdataset and parquet, in MiB."""

    def __post_init__(self) -> None:
        check_options(self)


def convert(config: ConvertConfig) -> int:
    """Write config.output and return the number of images; DatasetError or OSError where something is in the way."""
    if config.output.exists():
        raise FileExistsError(f"{config.output}: exists already, and is not overwritten")
    if not config.output.parent.is_dir():
        raise DatasetError(f"--output: got {config.output}, expected a folder that exists above it")
    if config.shard_mib < 1:
        raise DatasetError(f"--shard-mib: got {config.shard_mib}, expected at least 1")
    with open_dataset(config.file) as dataset:
        resolution = config.resolution or dataset.resolution
        if resolution not in dataset.resolutions:
            levels = ", ".join(map(str, dataset.resolutions))
            raise DatasetError(f"--resolution: got {resolution}, expected a level of {config.file}: {levels}")
        writer = writer_of(config.to)
        options = WriteOptions(resolution, config.format, config.shard_mib << 20)
        if config.to == "stylegan-zip":
            writer.write(dataset, config.output, options)
        else:
            _write_folder(config, lambda partial: writer.write(dataset, partial, options), resolution)
        count = len(dataset)
    _log.info(printable(f"{config.output}: {count:,} images of {resolution}x{resolution} as {config.to}"))
    _log.info(printable(f"to open: {writer.OPENED_BY.format(output=str(config.output))}"))
    return count


def _write_folder(config: ConvertConfig, write: Callable[[Path], None], resolution: int) -> None:
    """Have a folder written under another name, which a killed run of the same command may have begun; then name it."""
    partial, status = partial_path(config.output), config.file.stat()
    mark = [config.to, config.format, resolution, config.file.name, status.st_size, status.st_mtime_ns]
    resumes = config.to in _RESUMED
    if not resumes or _read_mark(partial) != mark:
        shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
    kept = resumes
    try:
        if resumes:
            partial.mkdir(exist_ok=True)
            with write_atomic(partial / _MARK) as file:
                file.write(json.dumps(mark).encode())
        write(partial)
        (partial / _MARK).unlink(missing_ok=True)
        partial.replace(config.output)
    except Exception as error:
        kept = resumes and isinstance(error, OSError)  # a full disk; another fault would only come again
        raise
    finally:
        if not kept:
            shutil.rmtree(partial, ignore_errors=True)


def _read_mark(partial: Path) -> object:
    try:
        return json.loads((partial / _MARK).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
