"""python -m train.metrics mnist1k --mnist DIR: the HDF5 file of stacked digits that MNIST-1K is trained on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from celebahq.options import check_options
from train.metrics.errors import MetricError


@dataclass(frozen=True, kw_only=True)
class Mnist1kConfig:
    """Write images of three random digits, one a color, 32x32, as a dataset for python -m train.

    Example: python -m train.metrics mnist1k --mnist mnist/ --output mnist1k.h5
    """

    mnist: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder of the four MNIST files; the 60,000 training digits are used."""
    output: Annotated[Path, tyro.conf.arg(metavar="FILE.h5")] = Path("mnist1k.h5")
    """The file to write."""
    num_images: Annotated[int, tyro.conf.arg(metavar="N")] = 100_000
    """Images; the released program makes 1,000,000."""
    seed: int = 0
    """Of the draws."""

    def __post_init__(self) -> None:
        check_options(self)
        if self.num_images < 1:
            raise MetricError(f"--num-images: got {self.num_images}, expected at least 1")


def write_mnist1k(config: Mnist1kConfig, info: Callable[[str], None] = print) -> None:
    """Write the file; see Mnist1kConfig.

    Raises:
        MetricError: MNIST is not there, or the output is.
    """
    from celebahq_builder.hdf5 import DatasetWriter
    from train.metrics.mnist import read_mnist, stacked_triples

    digits, labels = read_mnist(config.mnist, "train")
    images, _ = stacked_triples(digits, labels, config.num_images, config.seed)
    try:
        with DatasetWriter(config.output, images.shape[-1], len(images)) as writer:
            for image in images:
                level, levels = image.astype("float32"), {}
                while True:  # 2x2 means of the unrounded level above, as in every file of this format
                    side = level.shape[-1]
                    levels[side] = level.round().astype("uint8")
                    if side == 1:
                        break
                    level = level.reshape(3, side // 2, 2, side // 2, 2).mean((2, 4))
                writer.write(levels)
    except FileExistsError as error:
        raise MetricError(str(error)) from None
    except OSError as error:
        raise MetricError(f"{config.output}: {error.strerror or error}") from None
    info(f"{config.output}: {len(images)} images of three digits")
