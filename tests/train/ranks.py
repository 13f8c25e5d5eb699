"""One rank of the tests of several: python ranks.py FOLDER, under torchrun; the gradients of one step in float64."""

import sys
from pathlib import Path

import torch

from train.config import TrainConfig
from train.distributed import ALONE, Ranks, Split, joined, share
from train.randomness import draw_noise
from train.setup import make_networks, step_settings
from train.step import STATISTICS, train_step
from train.step_inputs import Batch, Networks

CASES = {
    "paper": {"variant": "paper"},
    "paper, few": {"variant": "paper", "minibatch": 6},
    "released": {"variant": "released"},
    "released, r3gan": {"variant": "released", "loss": "r3gan"},
    "paper, r3gan": {"variant": "paper", "loss": "r3gan"},
}
"""What the step is asked to do; of 6 images 4 ranks have 2, 2, 1 and 1."""


class Seen:
    """In the place of an optimizer: keeps the gradient."""

    gradient: torch.Tensor

    def update(self, gradient: torch.Tensor) -> torch.Tensor:
        self.gradient = gradient.clone()
        return torch.zeros(())


def networks(config: TrainConfig) -> Networks:
    """Return tiny networks in float64."""
    device = torch.device("cpu")
    nets = make_networks(config, resolution=8, image_channels=3, label_size=2, device=device, precision="fp32")
    for network in (nets.generator, nets.discriminator):
        network.double()
        network.compute_dtype = torch.float64
    return nets


def step(name: str, ranks: Ranks = ALONE, parts: int = 1) -> dict[str, torch.Tensor]:
    """Return both gradients, and the statistics, of one step of the whole minibatch, divided so."""
    options = {"latent_size": 8, "fmap_base": 32, "fmap_max": 8, "minibatch": 16, "augment": "none", **CASES[name]}
    config = TrainConfig(dataset=Path("faces.h5"), **options)
    nets, n = networks(config), config.minibatch
    random = torch.Generator().manual_seed(1)
    reals = torch.randint(0, 256, (n, 3, 8, 8), dtype=torch.uint8, generator=random)
    labels = torch.eye(2).repeat(n, 1)[:n]
    noise = draw_noise(random, 0, 0, n, 8).share(ranks.rank, ranks.count, False)
    batch = Batch(*(share(x, ranks.rank, ranks.count) for x in (reals, labels, labels.flip(0))))
    optimizers, statistics = (Seen(), Seen()), torch.zeros(len(STATISTICS), dtype=torch.float64)
    alpha = torch.tensor(0.3, dtype=torch.float64)
    train_step(nets, optimizers, batch, noise, alpha, statistics, step_settings(config), None, Split(n, ranks, parts))
    return {"g": optimizers[0].gradient, "d": optimizers[1].gradient, "statistics": ranks.add_up(statistics)}


if __name__ == "__main__":
    with joined() as ranks:
        found = {name: step(name, ranks) for name in CASES}
        if ranks.first:
            torch.save(found, Path(sys.argv[1]) / "found.pt")
