"""What one iteration of training works on: its constants, the networks, and a minibatch."""

from dataclasses import dataclass, fields

from torch import Tensor

from train.distributed import share
from train.parameters import FlatParameters
from zoo.progan import Discriminator, Generator


@dataclass(frozen=True)
class Settings:
    """Constants of the step; see TrainConfig for their meaning."""

    gp_weight: float
    gp_target: float
    drift: float
    ema_kimg: float
    mirror: bool
    ema_beta: float | None = None
    loss: str = "wgan-gp"
    augment: str = "none"
    augment_kimg: float = 500.0
    n_critic: int = 1
    simultaneous: bool = False
    lsgan_noise: str = "output"
    penalty_interval: int = 1
    penalized: bool = True
    """Whether this iteration has the gradient penalty, weighted by the interval; the others have none."""


@dataclass(frozen=True)
class Networks:
    """The three networks and, for each, its parameters in one vector."""

    generator: Generator
    discriminator: Discriminator
    g_ema: Generator
    g_flat: FlatParameters
    d_flat: FlatParameters
    ema_flat: FlatParameters


@dataclass(frozen=True)
class Batch:
    """One minibatch, or n_critic of them one after the other, as it comes from the file, on its device.

    reals: (N, C, R, R) uint8. labels: (N, L) float32 of the reals, g_labels (N, L) for G's own fakes; None without
    labels. d_labels: (N, L) for D's fakes; None: those of the reals, as the TensorFlow program has it.
    """

    reals: Tensor
    labels: Tensor | None = None
    g_labels: Tensor | None = None
    d_labels: Tensor | None = None

    def copy_(self, other: "Batch") -> None:
        """Overwrite in place: a captured graph reads fixed addresses."""
        for name in ("reals", "labels", "g_labels", "d_labels"):
            if getattr(self, name) is not None:
                getattr(self, name).copy_(getattr(other, name), non_blocking=True)

    def share(self, index: int, count: int, contiguous: bool) -> "Batch":
        """Return one of `count` shares; see train.distributed.share."""
        whole = (getattr(self, field.name) for field in fields(self))
        parts = (None if x is None else share(x, index, count, contiguous) for x in whole)
        return self if count == 1 else Batch(*parts)  # type: ignore[arg-type]
