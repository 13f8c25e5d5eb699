"""MetricsConfig: every option of `python -m train.metrics`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from celebahq.options import check_options
from train.config import names_of
from train.metrics.errors import MetricError
from zoo.metrics import MEASURED

_DEFAULTS = ", ".join(f"{name} {metric.num_images}" for name, metric in MEASURED.items())


@dataclass(frozen=True, kw_only=True)
class MetricsConfig:
    """Measure a generator against its data, as published; the metrics are kept as metrics.json beside it.

    swd, msssim: Karras et al., section 5, as released; swd-iterative: after Rabin et al., with numbers of its own.
    fid, kid, is, precision-recall: through the 2015 Inception network. neighbours: the closest reals of a few fakes, as
    an image. modes: the MNIST-1K test, for a generator of three-digit images, 32x32 (digits of 28x28 padded by two
    black pixels); `python -m train.metrics mnist1k --help` makes the data for one.

    Examples:
      python -m train.metrics --model runs/celeba128-smoke --dataset celeba128.h5 --metrics swd,msssim
      python -m train.metrics --model runs/celeba128-smoke --dataset celeba128.h5 --metrics fid --num-images 10000
      python -m train.metrics --model runs/mnist1k-paper --metrics modes --mnist mnist/
    """

    model: Annotated[Path, tyro.conf.arg(metavar="MODEL")]
    """Model folder, the run folder of python -m train that holds one, or the name of a published model."""
    dataset: Annotated[Path | None, tyro.conf.arg(metavar="F.h5")] = None
    """HDF5 file of the reals, at least at the model's resolution. msssim, is and modes need none."""
    metrics: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME,...", help=f"Some of {','.join(MEASURED)}.")] = (
        "swd",
        "msssim",
    )
    num_images: Annotated[
        int | None,
        tyro.conf.arg(
            metavar="N",
            help="Images of the generator; msssim compares half as many pairs. By default what the published values "
            f"are from: {_DEFAULTS}.",
        ),
    ] = None
    seed: int = 0
    """The latents are one stream of numpy.random.RandomState(seed): more images extend it. Also orders the reals."""
    mirror: Literal["auto", "yes", "no"] = "auto"
    """Mirror half of the reals, as a generator trained on mirrored faces wants; auto is as the model was trained."""
    device: str = "auto"
    """Where to compute: cpu, cuda, cuda:1 ...; auto takes CUDA when there is one."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="FILE.json")] = None
    """Where the metrics go; by default metrics.json in the model folder, beside those measured before, or, of a model
    that is not yours (shipped, of the catalogue or the Hub), <name>-metrics.json here."""
    overwrite: tyro.conf.FlagCreatePairsOff[bool] = False
    """Replace a metric there that is of more images, or of other data."""
    inception: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Weights of the 2015 Inception network, for fid, kid, is, precision-recall; by default fetched once and kept."""
    vgg: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Weights of VGG, for neighbours; without it dlib's face descriptor takes their place."""
    mnist: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder of the four MNIST files, for modes: the first time, its classifier of digits is trained on them."""
    memory_gib: float = 4.0
    """Generated images up to this size are kept for the next metric; the rest is generated again."""

    def __post_init__(self) -> None:
        check_options(self)
        if unknown := [name for name in self.names if name not in MEASURED]:
            raise MetricError(f"--metrics: got {unknown[0]!r}, expected some of {','.join(MEASURED)}")
        for name in self.names:
            if self.images_of(name) < (least := MEASURED[name].at_least):
                raise MetricError(
                    f"--num-images: got {self.num_images}, expected at least {least} for --metrics {name}"
                )
        if not self.names:
            raise MetricError(f"--metrics: got none, expected some of {','.join(MEASURED)}")
        if self.dataset is None and (needing := [name for name in self.names if MEASURED[name].reals != "none"]):
            raise MetricError(f"--dataset: got none, expected the HDF5 file of the reals for --metrics {needing[0]}")

    @property
    def names(self) -> list[str]:
        """The metrics asked for, in the order given, each once; as words or with commas."""
        return list(names_of(self.metrics))

    def images_of(self, metric: str) -> int:
        """Return how many images of the generator a metric looks at; neighbours at most as many as fit one sheet."""
        kind = MEASURED[metric]
        if self.num_images is None:
            return kind.num_images
        return self.num_images if kind.at_most is None else min(self.num_images, kind.at_most)
