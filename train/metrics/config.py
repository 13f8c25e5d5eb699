"""MetricsConfig: every option of `python -m train.metrics`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from celebahq.options import check_options
from train.config import names_of
from train.metrics.errors import MetricError

METRICS = {
    "swd": 16_384,
    "swd-iterative": 16_384,
    "msssim": 20_000,
    "fid": 50_000,
    "kid": 50_000,
    "is": 50_000,
    "precision-recall": 10_000,
    "neighbours": 8,
    "modes": 25_600,
}
"""Metric -> images of the generator that the published values are from. MS-SSIM: 10,000 adjacent pairs."""
NEED_DATASET = ("swd", "swd-iterative", "fid", "kid", "precision-recall", "neighbours")
"""Those that compare with reals; the others look at the generator's images alone."""

NEED_EQUAL_REALS = ("swd", "swd-iterative")
"""Those that need as many reals as images; the others take as many as there are."""

OF_INCEPTION = ("fid", "kid", "is", "precision-recall")
"""Those that look through the Inception network."""

FROM_16X16 = ("swd", "swd-iterative", "msssim")
"""Those that have no meaning for smaller images: the last level is 16x16, or MS-SSIM takes five scales."""
AT_LEAST = {"kid": 1000, "is": 10, "precision-recall": 4, "neighbours": 1}
"""Fewest images, and reals, where it is not 2: the size of KID's subsets, IS's splits, 3 neighbours and itself."""


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
    metrics: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME,...")] = ("swd", "msssim")
    """Some of swd,swd-iterative,msssim,fid,kid,is,precision-recall,neighbours,modes."""
    num_images: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Pictures of the generator. By default what the published values are from: swd 16384, msssim 20000 (10000 pairs),
    fid, kid and is 50000, precision-recall 10000, neighbours 8 (16 at most), modes 25600."""
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
        if unknown := [name for name in self.names if name not in METRICS]:
            raise MetricError(f"--metrics: got {unknown[0]!r}, expected some of {','.join(METRICS)}")
        for name in self.names:
            if self.images_of(name) < AT_LEAST.get(name, 2):
                expected = f"expected at least {AT_LEAST.get(name, 2)} for --metrics {name}"
                raise MetricError(f"--num-images: got {self.num_images}, {expected}")
        if not self.names:
            raise MetricError(f"--metrics: got none, expected some of {','.join(METRICS)}")
        if needing := [name for name in self.names if name in NEED_DATASET and self.dataset is None]:
            raise MetricError(f"--dataset: got none, expected the HDF5 file of the reals for --metrics {needing[0]}")

    @property
    def names(self) -> list[str]:
        """The metrics asked for, in the order given, each once; as words or with commas."""
        return list(names_of(self.metrics))

    def images_of(self, metric: str) -> int:
        """Return how many images of the generator a metric looks at; neighbours at most as many as fit one sheet."""
        if self.num_images is None:
            return METRICS[metric]
        return min(self.num_images, 16) if metric == "neighbours" else self.num_images
