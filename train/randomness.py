"""Every random draw of training, a function of (seed, nimg): a resumed run repeats an uninterrupted one."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from train.augment import DRAWS
from train.distributed import share


@dataclass(frozen=True)
class Noise:
    """What one iteration draws, on its device.

    z_d, z_g: (N, latent_size) ~ N(0, 1), latents of D's and of G's fakes. mix: (N, 1, 1, 1) ~ U[0, 1], where between
    real and fake the penalty is taken. mirror: (N, 1, 1, 1) ~ U[0, 1], a real below one half is mirrored. augment:
    (2, N, DRAWS) ~ U[0, 1], transforms of D's images and of G's; None where there are none. layers: (3, N, channels) ~
    N(0, 1), noise in D's layers at reals, fakes and G's own fakes; None where there is none.
    """

    z_d: Tensor
    z_g: Tensor
    mix: Tensor
    mirror: Tensor
    augment: Tensor | None = None
    layers: Tensor | None = None

    def copy_(self, other: "Noise") -> None:
        """Overwrite in place: a captured graph reads fixed addresses."""
        for mine, theirs in zip(self.tensors(), other.tensors(), strict=True):
            mine.copy_(theirs)

    def share(self, index: int, count: int, contiguous: bool) -> "Noise":
        """Return what one of `count` shares of the minibatch gets; see train.distributed.share."""
        if count == 1:
            return self
        z_d, z_g, mix, mirror = (
            share(x, index, count, contiguous).contiguous() for x in (self.z_d, self.z_g, self.mix, self.mirror)
        )
        augment, layers = (
            None if x is None else share(x.transpose(0, 1), index, count, contiguous).transpose(0, 1).contiguous()
            for x in (self.augment, self.layers)
        )
        return Noise(z_d, z_g, mix, mirror, augment, layers)

    def clone(self) -> "Noise":
        """Return a copy at addresses of its own."""
        copies: dict[str, Any] = {name: None if x is None else x.clone() for name, x in vars(self).items()}
        return Noise(**copies)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return those that there are."""
        return tuple(x for x in vars(self).values() if x is not None)


def _sequence(seed: int, *path: int) -> np.random.SeedSequence:
    # spawn_key, not one list: SeedSequence([1]) and SeedSequence([1, 0]) are the same
    return np.random.SeedSequence(seed, spawn_key=path)


def derived_seed(seed: int, *path: int) -> int:
    """Return a seed for the draw that a path of integers names; different paths are independent."""
    return int(_sequence(seed, *path).generate_state(1, np.uint64)[0] >> np.uint64(1))


def draw_noise(
    generator: torch.Generator,
    seed: int,
    nimg: int,
    batch: int,
    latent_size: int,
    augmented: bool = False,
    layer_channels: int = 0,
) -> Noise:
    """Draw one iteration's noise on the generator's device; the generator is seeded afresh by (seed, nimg)."""
    generator.manual_seed(derived_seed(seed, 0, nimg))
    normal = torch.randn(2, batch, latent_size, generator=generator, device=generator.device)
    uniform = torch.rand(2, batch, 1, 1, 1, generator=generator, device=generator.device)
    augment = None
    if augmented:  # last, so that all others are the same without
        augment = torch.rand(2, batch, DRAWS, generator=generator, device=generator.device)
    layers = None
    if layer_channels:
        layers = torch.randn(3, batch, layer_channels, generator=generator, device=generator.device)
    return Noise(normal[0], normal[1], uniform[0], uniform[1], augment, layers)


class RowOrder:
    """Which rows of the dataset an iteration shows: a new permutation each epoch, found from nimg alone."""

    def __init__(self, num_rows: int, seed: int) -> None:
        self.num_rows = num_rows
        self.seed = seed
        self._epoch = -1
        self._permutation = np.empty(0, np.int64)

    def rows(self, nimg: int, batch: int) -> np.ndarray:
        """Return the rows (batch,) int64 of images nimg .. nimg + batch - 1 of the endless sequence."""
        positions = np.arange(nimg, nimg + batch)
        rows = np.empty(batch, np.int64)
        for epoch in np.unique(positions // self.num_rows):
            here = positions // self.num_rows == epoch
            rows[here] = self._permutation_of(int(epoch))[positions[here] % self.num_rows]
        return rows

    def _permutation_of(self, epoch: int) -> np.ndarray:
        if epoch != self._epoch:
            random = np.random.Generator(np.random.PCG64(_sequence(self.seed, 1, epoch)))
            self._epoch, self._permutation = epoch, random.permutation(self.num_rows)
        return self._permutation


def label_rows(seed: int, nimg: int, batch: int, num_rows: int, of_discriminator: bool = False) -> np.ndarray:
    """Return rows (batch,) int64 whose labels the fakes of G's step, or of D's, are given: drawn from the dataset."""
    random = np.random.Generator(np.random.PCG64(_sequence(seed, 4 if of_discriminator else 2, nimg)))
    return random.integers(num_rows, size=batch)
