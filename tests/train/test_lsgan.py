"""--loss lsgan and --simultaneous against the papers' and the programs' formulas, written plainly with autograd."""

import copy

import numpy as np
import pytest
import torch

from celebahq_builder.hdf5 import DatasetWriter
from train.config import TrainConfig, TrainError
from train.distributed import Split
from train.layer_noise import follow, strength
from train.loop import train
from train.losses import least_squares_loss
from train.randomness import draw_noise
from train.setup import make_networks, step_settings
from train.state.run_state import make_optimizers
from train.step import STATISTICS, _row_of_d, train_step
from train.step_gradients import prepare_reals
from train.step_inputs import Batch

SMALL = {"fmap_base": 64, "fmap_max": 12, "latent_size": 8}


def networks(**options):
    config = TrainConfig(dataset="faces.h5", **SMALL, **options)
    sizes = {"resolution": 8, "image_channels": 3, "label_size": 0}
    return config, make_networks(config, **sizes, device=torch.device("cpu"), precision="fp32")


def gradients_of_a_step(config, nets, noise, d_average=None):
    """Return the vectors that Adam was given, and the statistics; weights stay as they are."""
    reals = torch.randint(0, 256, (8, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    optimizers, statistics, seen = make_optimizers(nets, config, 8), torch.zeros(len(STATISTICS)), {}
    for name, adam in zip("gd", optimizers, strict=True):
        adam.update = lambda gradient, name=name: seen.update({name: gradient.clone()}) or torch.zeros(())
    alpha = torch.tensor(0.3)
    train_step(nets, optimizers, Batch(reals), noise, alpha, statistics, step_settings(config), d_average=d_average)
    shown = prepare_reals(reals, noise.mirror, alpha)
    return seen, dict(zip(STATISTICS, statistics.tolist(), strict=True)), shown


def noisy(discriminator, draws, scale):
    """Return D with its convolutions' inputs multiplied, by hooks: draws (N, channels of all)."""
    discriminator, used = copy.deepcopy(discriminator), [0]

    def multiplied(module, inputs):
        (x,) = inputs
        channels = x.shape[1] // (16 if x.ndim == 2 else 1)
        part = draws[:, used[0] : used[0] + channels]
        used[0] += channels
        factor = 1 + scale * channels**0.5 * part
        return x * (factor.repeat_interleave(16, dim=1) if x.ndim == 2 else factor[:, :, None, None])

    block, last = discriminator.block(8), discriminator.output()
    for layer in (block.conv0, block.conv1, last.conv, last.dense0):
        layer.register_forward_pre_hook(multiplied)
    return discriminator


def flat_gradient(loss, copied, network, flat):
    """Return autograd's gradient of a copy's loss in the order of the network's flat vector."""
    found = torch.autograd.grad(loss, list(copied.parameters()), allow_unused=True)
    by_name = dict(zip((name for name, _ in copied.named_parameters()), found, strict=True))
    names = {id(p): name for name, p in network.named_parameters()}
    return flat.flatten([by_name[names[id(p)]] for p in flat.active(8)], 8)


@pytest.mark.parametrize("average", [0.3, 0.9])
def test_lsgans_gradients_are_those_of_autograd_with_noise_in_every_convolution_of_d(average):
    config, nets = networks(loss="lsgan")
    channels = nets.discriminator.config.noise_channels
    assert channels == 12 + 12 + 13 + 12
    noise, d_average = draw_noise(torch.Generator(), 0, 0, 8, 8, layer_channels=channels), torch.tensor(average)
    seen, sums, reals = gradients_of_a_step(config, nets, noise, d_average)
    scale = 0.2 * max(0.0, average - 0.5) ** 2
    fakes = nets.generator(noise.z_d, alpha=0.3).detach()
    d = noisy(nets.discriminator, torch.cat([noise.layers[0], noise.layers[1]]), scale)
    scores = d(torch.cat([reals, fakes]), alpha=0.3, sets=2)
    loss = (scores[:8] ** 2).mean() + 0.1 * ((scores[8:] - 1) ** 2).mean()
    assert sums["d_loss"] == pytest.approx(loss.item(), rel=1e-4)
    assert sums["gradient_penalty"] == 0
    expected = flat_gradient(loss, d, nets.discriminator, nets.d_flat)
    torch.testing.assert_close(seen["d"], expected, rtol=1e-3, atol=1e-6)
    # G, whose fakes have the label of the reals
    g = copy.deepcopy(nets.generator)
    g_loss = (noisy(nets.discriminator, noise.layers[2], scale)(g(noise.z_g, alpha=0.3), alpha=0.3) ** 2).mean()
    assert sums["g_loss"] == pytest.approx(g_loss.item(), rel=1e-4)
    expected = flat_gradient(g_loss, g, nets.generator, nets.g_flat)
    torch.testing.assert_close(seen["g"], expected, rtol=1e-3, atol=1e-6)
    # the running mean, of D's output at fakes
    wanted = 0.9 * average + 0.1 * min(max(sums["fake_score"], 0), 1)
    assert d_average.item() == pytest.approx(wanted, rel=1e-5)


def test_as_released_the_noise_follows_the_loss():
    config, nets = networks(loss="lsgan", lsgan_noise="loss")
    channels, d_average = nets.discriminator.config.noise_channels, torch.tensor(0.6)
    _, sums, _ = gradients_of_a_step(
        config, nets, draw_noise(torch.Generator(), 0, 0, 8, 8, False, channels), d_average
    )
    assert d_average.item() == pytest.approx(0.54 + 0.1 * min(sums["d_loss"], 1), rel=1e-5)
    assert sums["d_loss"] != pytest.approx(sums["fake_score"], rel=1e-2)


def test_strength_and_running_mean_are_appendix_bs():
    assert strength(torch.tensor(0.4)) == 0 and strength(torch.tensor(1.0)).item() == pytest.approx(0.2 * 0.25)
    average = torch.tensor(0.5)
    follow(average, torch.tensor(3.0))
    assert average.item() == pytest.approx(0.9 * 0.5 + 0.1)
    follow(average, torch.tensor(-1.0))
    assert average.item() == pytest.approx(0.9 * 0.55)


def test_least_squares_have_the_programs_labels_and_weight():
    real, fake = np.array([0.5, -1.0]), np.array([0.25, 2.0])
    found = least_squares_loss(torch.tensor(real), torch.tensor(fake))
    np.testing.assert_allclose(found, real**2 + 0.1 * (fake - 1) ** 2)


def test_simultaneous_updates_take_one_minibatch_and_the_networks_as_they_were():
    config, nets = networks(simultaneous=True, gp_target=750.0)
    noise = draw_noise(torch.Generator(), 0, 0, 8, 8)
    before = copy.deepcopy((nets.generator, nets.discriminator))
    reals = torch.randint(0, 256, (8, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    optimizers, statistics = make_optimizers(nets, config, 8), torch.zeros(len(STATISTICS))
    gradients = []
    for adam in optimizers:
        adam.learning_rate.fill_(0.01)
        update = adam.update
        adam.update = lambda g, update=update: (gradients.append(g.clone()), update(g))[1]
    train_step(nets, optimizers, Batch(reals), noise, torch.tensor(1.0), statistics, step_settings(config))
    g, d = before
    loss = -d(g(noise.z_d)).mean()  # the latents that D's fakes had, and D before its update
    expected = flat_gradient(loss, g, nets.generator, nets.g_flat)
    torch.testing.assert_close(gradients[1], expected, rtol=1e-3, atol=1e-6)
    sums = dict(zip(STATISTICS, statistics.tolist(), strict=True))
    assert sums["g_loss"] == pytest.approx(-sums["fake_score"], rel=1e-4)
    assert not torch.equal(d.block(8).conv0.weight, nets.discriminator.block(8).conv0.weight)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "lsgan", "gp_weight": 5.0}, "--gp-weight: got 5.0, expected nothing: lsgan has no such term"),
        ({"loss": "lsgan", "drift": 0.01}, "--drift: got 0.01, expected nothing: lsgan has no such term"),
        ({"lsgan_noise": "loss"}, "--lsgan-noise: got loss with --loss wgan-gp, expected --loss lsgan"),
        ({"simultaneous": True, "n_critic": 2}, "--simultaneous: got --n-critic 2, expected 1"),
    ],
)
def test_options_that_would_do_nothing_are_refused(options, message):
    with pytest.raises(TrainError, match=message):
        TrainConfig(dataset="faces.h5", **options)


@pytest.mark.slow
def test_a_run_with_lsgan_labels_and_augmentation_resumes_bit_for_bit(tmp_path):
    random = np.random.default_rng(0)
    labels = np.eye(2, dtype=np.float32)[np.arange(12) % 2]
    with DatasetWriter(tmp_path / "faces.h5", 8, 12, labels=labels) as writer:
        for _ in range(12):
            writer.write({r: random.integers(0, 256, (3, r, r), dtype=np.uint8) for r in (8, 4, 2, 1)})
    base = {**SMALL, "dataset": tmp_path / "faces.h5", "outdir": tmp_path, "stable_kimg": 0.016, "fade_kimg": 0.016,
            "minibatch": 4, "tick_kimg": 0.016, "image_ticks": 0, "device": "cpu", "loss": "lsgan"}  # fmt: skip
    train(TrainConfig(**base, name="whole", total_kimg=0.064))
    train(TrainConfig(**base, name="parts", total_kimg=0.032))
    train(TrainConfig(**base, name="parts", total_kimg=0.064))
    states = [
        torch.load(tmp_path / run / "checkpoints" / "checkpoint-000000.064.pt", weights_only=True)
        for run in ("whole", "parts")
    ]
    assert states[0]["d_average"] == states[1]["d_average"] > 0
    for name, x in states[0]["discriminator"].items():
        torch.testing.assert_close(x, states[1]["discriminator"][name], rtol=0, atol=0, msg=name)


@pytest.mark.parametrize(("loss", "reals_above"), [("lsgan", False), ("wgan-gp", True)])
def test_ada_rises_where_reals_are_told_apart_whichever_way_the_loss_scores_them(loss, reals_above):
    settings = step_settings(TrainConfig(dataset="faces.h5", loss=loss, augment="ada", augment_kimg=1.0))
    high, low = torch.full((8,), 2.0) + torch.rand(8), torch.rand(8)
    reals, fakes = (high, low) if reals_above else (low, high)
    ada, zero = torch.tensor([0.5, 0.9]), torch.zeros(())
    _row_of_d([[zero, reals, fakes, torch.zeros(8), zero]], settings, ada, None, Split(8))
    assert ada[0] > 0.5 and ada[1] > 0.9
    _row_of_d([[zero, fakes, reals, torch.zeros(8), zero]], settings, ada, None, Split(8))
    assert ada[1] < 0.95
