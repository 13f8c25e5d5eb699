"""celebahq-data convert: a dataset file to another format of the field, exact both ways where images are lossless."""

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from celebahq.files import partial_path, printable
from celebahq.options import check_options
from celebahq_builder.formats import writer_of
from celebahq_builder.formats.export_rows import WriteOptions
from celebahq_builder.hdf5 import DatasetError, open_dataset

_log = logging.getLogger("celebahq")


@dataclass(frozen=True)
class ConvertConfig:
    """Write a dataset as StyleGAN's zip, TFRecords, WebDataset, imagefolder, parquet, LMDB or a folder of PNG.

    Labels and the names of classes go along. `celebahq-data import` of what is made gives the same pixels, labels and
    names again. Nothing is overwritten, and the output takes its name only once it is complete.

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
            partial = partial_path(config.output)
            shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
            try:
                writer.write(dataset, partial, options)
                partial.replace(config.output)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        count = len(dataset)
    _log.info(printable(f"{config.output}: {count:,} images of {resolution}x{resolution} as {config.to}"))
    _log.info(printable(f"to open: {writer.OPENED_BY.format(output=str(config.output))}"))
    return count
