"""--loss r3gan against the article's formulas, written plainly: double backward, one call a set."""

import copy

import numpy as np
import pytest
import torch

from celebahq_builder.hdf5 import DatasetWriter
from train.config import TrainConfig
from train.loop import train
from train.losses import relativistic_loss
from train.randomness import draw_noise
from train.setup import make_networks, step_settings
from train.state.run_state import make_optimizers
from train.step import STATISTICS, train_step
from train.step_gradients import prepare_reals
from train.step_inputs import Batch

CPU = torch.device("cpu")


def test_relativistic_loss_is_the_softplus_of_the_difference():
    better, worse = np.array([3.0, -2.0, 0.0]), np.array([1.0, 5.0, 0.0])
    expected = np.log(1 + np.exp(worse - better))
    found = relativistic_loss(torch.from_numpy(better), torch.from_numpy(worse))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def plain_gradients(config, generator, discriminator, batch, noise, alpha):
    """Return the losses and D's gradients of formula 2 of arXiv:2501.05441, and G's loss at this D."""
    reals = prepare_reals(batch.reals, noise.mirror, alpha).requires_grad_()
    fakes = generator(noise.z_d, alpha=alpha).detach().requires_grad_()
    scores = discriminator(reals, alpha=alpha), discriminator(fakes, alpha=alpha)
    pairs = zip(scores, (reals, fakes), strict=True)
    slopes = [torch.autograd.grad(s.sum(), x, create_graph=True)[0].square().sum((1, 2, 3)) for s, x in pairs]
    pair = torch.nn.functional.softplus(-(scores[0] - scores[1]))
    d_loss = (pair + config.gp_weight / 2 * slopes[0] + config.gp_weight / 2 * slopes[1]).mean()
    return d_loss, torch.autograd.grad(d_loss, list(discriminator.parameters()), allow_unused=True), reals.detach()


@pytest.mark.parametrize("variant", ["paper", "released"])
def test_an_iteration_has_the_articles_losses_and_gradients(variant, monkeypatch):
    config = TrainConfig(
        dataset="faces.h5", variant=variant, fmap_base=64, fmap_max=12, latent_size=8, loss="r3gan", gp_weight=0.7
    )
    nets = make_networks(config, resolution=8, image_channels=3, label_size=0, device=CPU, precision="fp32")
    generator, discriminator = copy.deepcopy(nets.generator), copy.deepcopy(nets.discriminator)
    reals = torch.randint(0, 256, (8, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    batch, noise, alpha = Batch(reals), draw_noise(torch.Generator(), 0, 0, 8, 8), torch.tensor(0.3)
    optimizers, statistics, seen = make_optimizers(nets, config, 8), torch.zeros(len(STATISTICS)), []
    monkeypatch.setattr(type(optimizers[0]), "update", lambda self, g: seen.append(g.clone()) or torch.zeros(()))
    train_step(nets, optimizers, batch, noise, alpha, statistics, step_settings(config))
    d_loss, gradients, shown = plain_gradients(config, generator, discriminator, batch, noise, alpha)
    sums = dict(zip(STATISTICS, statistics.tolist(), strict=True))
    assert sums["d_loss"] == pytest.approx(d_loss.item(), rel=1e-4)
    by_id = dict(zip(map(id, nets.discriminator.parameters()), gradients, strict=True))
    expected = nets.d_flat.flatten([by_id[id(p)] for p in nets.d_flat.active(8)], 8)
    torch.testing.assert_close(seen[0], expected, rtol=1e-3, atol=1e-5 * expected.abs().max().item())
    # G: the same D, whose update was held back; pairs of its own fakes with the reals.
    fakes = generator(noise.z_g, alpha=alpha)
    with torch.no_grad():
        compared = discriminator(shown, alpha=alpha)
    g_loss = torch.nn.functional.softplus(-(discriminator(fakes, alpha=alpha) - compared)).mean()
    assert sums["g_loss"] == pytest.approx(g_loss.item(), rel=1e-4)
    found = torch.autograd.grad(g_loss, list(generator.parameters()), allow_unused=True)
    by_id = dict(zip(map(id, nets.generator.parameters()), found, strict=True))
    expected = nets.g_flat.flatten([by_id[id(p)] for p in nets.g_flat.active(8)], 8)
    torch.testing.assert_close(seen[1], expected, rtol=1e-3, atol=1e-5 * expected.abs().max().item())


def test_a_run_with_labels_and_augmentation_grows_with_it(tmp_path):
    random = np.random.default_rng(0)
    labels = np.eye(2, dtype=np.float32)[np.arange(12) % 2]
    with DatasetWriter(tmp_path / "faces.h5", 8, 12, labels=labels) as writer:
        for _ in range(12):
            writer.write({r: random.integers(0, 256, (3, r, r), dtype=np.uint8) for r in (8, 4, 2, 1)})
    options = {"fmap_base": 32, "fmap_max": 8, "latent_size": 8, "stable_kimg": 0.016, "fade_kimg": 0.016}
    options |= {"minibatch": 8, "tick_kimg": 0.016, "image_ticks": 0, "device": "cpu", "preset": "tiny"}
    assert train(TrainConfig(dataset=tmp_path / "faces.h5", outdir=tmp_path, name="run", loss="r3gan", **options))
