"""Augmentation: alike for reals and fakes, differentiable, continuous over a fade, and with an inverse: no leak."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from celebahq_builder.hdf5 import DatasetWriter
from train import step_gradients
from train.augment import DRAWS, LARGEST_P, _ada, _colors, _steps, adapt, augment, augmented
from train.config import TrainConfig
from train.loop import train
from train.plan import Plan, with_augmentation
from train.randomness import draw_noise
from train.setup import make_networks, step_settings
from train.state.checkpoint import checkpoints, load_checkpoint
from train.state.run_state import make_optimizers
from train.step import STATISTICS, train_step
from train.step_inputs import Batch
from zoo.layers import downsample, upsample

ONE, CPU = torch.tensor(1.0), torch.device("cpu")


def draws(n: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, DRAWS, generator=torch.Generator().manual_seed(seed))


def images(n: int = 4, size: int = 16, channels: int = 3) -> torch.Tensor:
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


def faded(x: torch.Tensor, alpha: torch.Tensor | float) -> torch.Tensor:
    """Return images as they are shown in a fade: their detail weighted by alpha."""
    return torch.lerp(upsample(downsample(x)), x, alpha)


@pytest.mark.parametrize("alpha", [0.0, 0.3, torch.tensor(0.3), torch.tensor(0.999), ONE, 1.0])
def test_at_probability_0_ada_changes_no_bit_of_images_that_fade_or_do_not(alpha):
    x = faded(images(), alpha)
    assert torch.equal(augment(x, draws(4), "ada", torch.tensor(0.0), alpha), x)


@pytest.mark.parametrize("kind", ["diffaug", "ada"])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_images_transform_depends_on_its_own_draws_alone(kind, channels):
    x, u, p = images(6, channels=channels), draws(6), torch.tensor(0.8)
    together = augment(x, u, kind, p, ONE)
    for i in (0, 3, 5):
        torch.testing.assert_close(augment(x[i : i + 1], u[i : i + 1], kind, p, ONE), together[i : i + 1])
    assert not torch.allclose(augment(x, draws(6, seed=9), kind, p, ONE), together)


@pytest.mark.parametrize("kind", ["diffaug", "ada"])
def test_gradient_reaches_the_generator_and_is_the_right_one(kind):
    x, u, p = images(3, 8).double().requires_grad_(), draws(3).double(), torch.tensor(0.7).double()
    torch.set_default_dtype(torch.float64)
    try:
        alpha = torch.tensor(0.4).double()
        assert torch.autograd.gradcheck(lambda t: augment(t, u, kind, p, alpha), x, atol=1e-6)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("kind", ["diffaug", "ada"])
def test_a_fade_begins_with_what_the_discriminator_has_seen_before(kind):
    small, u, p = images(5, 8), draws(5), torch.tensor(0.8)
    before = augment(small, u, kind, p, ONE)
    torch.testing.assert_close(augment(upsample(small), u, kind, p, torch.tensor(0.0)), upsample(before))
    large = images(5, 16)
    coarse, fine = upsample(augment(downsample(large), u, kind, p, ONE)), augment(large, u, kind, p, ONE)
    for alpha in (0.0, 0.25, 1.0):
        seen = augment(faded(large, alpha), u, kind, p, torch.tensor(alpha))
        torch.testing.assert_close(seen, (1 - alpha) * coarse + alpha * fine, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("resolution", [8, 16, 32, 64, 128, 256, 512, 1024])
def test_in_a_fade_coarse_and_fine_are_moved_by_whole_pixels_of_their_own_at_most_half_a_coarse_one_apart(resolution):
    uniform = torch.arange(5000, dtype=torch.float64) / 5000
    pixel = 2 / resolution
    fine, coarse = _steps(uniform, resolution) / pixel, _steps(uniform, resolution // 2) / pixel
    torch.testing.assert_close(fine, fine.round(), rtol=0, atol=1e-5)
    torch.testing.assert_close(coarse, 2 * (coarse / 2).round(), rtol=0, atol=1e-5)
    assert (fine - coarse).abs().max() < 1.001  # neither can be nearer and whole
    assert torch.equal(fine.max(), -fine.min()) and torch.equal(coarse.max(), -coarse.min())


@pytest.mark.parametrize("alpha", [0.25, 0.5, 0.75])
def test_nothing_leaks_in_a_fade_where_coarse_and_fine_are_moved_differently(alpha):
    """Mirror and whole pixels at 8x8, whose shifts are of other sizes than those of the 4x4 below: the mean image as
    the discriminator sees it is a linear function of the mean image, and that function has an inverse."""
    p, basis = 0.3, torch.eye(64).view(64, 1, 8, 8).expand(-1, 3, -1, -1)
    seen = torch.zeros(64, 64, dtype=torch.float64)
    for mirror in (0.25, 0.75):  # which half of the draws mirrors; one of three shifts each, across and down
        for across in range(3):
            for down in range(3):
                for applied in range(4):
                    u = torch.ones(64, DRAWS)
                    u[:, 0], u[:, 1] = applied % 2 == 0, mirror
                    u[:, 4], u[:, 5], u[:, 6] = applied < 2, (across + 0.5) / 3, (down + 0.5) / 3
                    u[:, 0], u[:, 4] = 1 - u[:, 0], 1 - u[:, 4]  # below p: applied
                    share = (p if applied % 2 == 0 else 1 - p) * (p if applied < 2 else 1 - p) / 18
                    image = augment(faded(basis, alpha), u, "ada", torch.tensor(p), torch.tensor(alpha))
                    seen += share * image[:, 0].reshape(64, 64).double()
    shown = faded(basis, alpha)[:, 0].reshape(64, 64).double()
    undone = torch.linalg.lstsq(shown, seen).solution  # of what is shown without augmentation
    assert torch.linalg.matrix_rank(seen) == torch.linalg.matrix_rank(shown)
    assert torch.linalg.cond(undone) < 20


def test_reals_and_fakes_of_an_iteration_go_through_the_same_transforms_in_a_fade(monkeypatch):
    seen = []
    monkeypatch.setattr(step_gradients, "augmented", lambda x, *rest: seen.append(rest) or augmented(x, *rest))
    config = TrainConfig(dataset="faces.h5", fmap_base=64, fmap_max=12, latent_size=8, augment="ada")
    nets = make_networks(config, resolution=8, image_channels=3, label_size=0, device=CPU, precision="fp32")
    reals = Batch(torch.arange(4 * 192).remainder(251).view(4, 3, 8, 8).to(torch.uint8))
    noise, state = draw_noise(torch.Generator(), 0, 8, 4, 8, augmented=True), torch.tensor([0.5, 0.0])
    alpha, sums = torch.tensor(0.5), torch.zeros(len(STATISTICS))
    train_step(nets, make_optimizers(nets, config, 8), reals, noise, alpha, sums, step_settings(config), state)
    of_reals, of_fakes, of_generator = seen
    assert all(a is b for a, b in zip(of_reals, of_fakes, strict=True)) and of_reals[-2:] == (alpha, state)
    assert (of_reals[1], of_generator[1]) == (0, 1)  # G's step draws its own


def test_each_transform_of_ada_is_applied_as_often_as_p_says():
    n, p = 4000, 0.4
    x = images(1, 16).expand(n, -1, -1, -1)
    untouched = (_ada(x, draws(n), torch.tensor(p)) == x).all(dim=(1, 2, 3)).float().mean().item()
    # Mirror and luma flip do nothing in half of the cases, quarter turns in one of four, a shift by up to 2 pixels
    # in one of 25; the two turns count as one.
    expected = (1 - p / 2) ** 2 * (1 - 3 * p / 4) * (1 - p * 24 / 25) * (1 - p) ** 8
    assert untouched == pytest.approx(expected, abs=4 * math.sqrt(expected / n))


@pytest.mark.parametrize("p", [0.3, LARGEST_P])
def test_nothing_leaks_what_is_seen_determines_what_was_there(p):
    """Mirror, quarter turns and luma flip alone: the mean image as the discriminator sees it, put through the inverse
    of the mixing that the draws do, is the mean image itself; a generator that matches the one matches the other."""
    n = 160_000
    x = images(1, 4)
    u = draws(n)
    u[:, 4:22] = 1.0  # only mirror and quarter turns are applied ...
    u[:, 24:] = 1.0  # ... and of the colors the luma flip
    seen = _ada(x.expand(n, -1, -1, -1), u, torch.tensor(p)).double().mean(0, keepdim=True)

    def mixed(y: torch.Tensor) -> torch.Tensor:
        turned = sum(torch.rot90(y, k, (2, 3)) for k in range(4)) / 4
        y = (1 - p) * y + p * turned
        y = (1 - p) * y + p * (y + y.flip(3)) / 2
        gray = y.mean(dim=1, keepdim=True).expand_as(y)
        return (1 - p) * y + p * (y + (y - 2 * gray)) / 2

    basis = torch.eye(48, dtype=torch.float64).view(48, 3, 4, 4)
    matrix = torch.stack([mixed(b[None]).flatten() for b in basis], dim=1)
    assert torch.linalg.cond(matrix) < 200  # an inverse, and a useful one
    found = torch.linalg.solve(matrix, seen.flatten()).view(1, 3, 4, 4)
    error = (found - x.double()).abs().mean().item()
    assert error < 50 / math.sqrt(n), error
    assert (seen - x.double()).abs().mean() > 3 * error  # what is seen itself is far from it


def test_colors_keep_gray_gray_and_turn_red_into_blue():
    gray = torch.full((1, 3), 0.3)
    third = torch.tensor([2 * math.pi / 3])
    matrix = _colors(torch.ones(1), third, torch.tensor([2.0]))[0]
    torch.testing.assert_close(gray @ matrix.T, gray)
    turned = _colors(torch.ones(1), third, torch.ones(1))[0] @ torch.tensor([1.0, 0, 0])
    torch.testing.assert_close(turned, torch.tensor([0.0, 0, 1]), atol=1e-6, rtol=0)


def test_probability_rises_while_the_critic_is_sure_of_its_reals_and_falls_when_it_is_not():
    state, sure = torch.zeros(2), torch.linspace(5, 6, 8)
    for _ in range(40):
        adapt(state, sure, sure - 4, kimg=0.5)
    assert 0.5 < state[0].item() <= 40 * 8 / 500
    for _ in range(400):
        adapt(state, sure, sure - 4, kimg=0.5)
    assert state[0].item() == pytest.approx(LARGEST_P)
    offset = 100.0  # a critic's scores have no zero of their own
    for _ in range(400):
        adapt(state, torch.linspace(-1, 1, 8) + offset, torch.linspace(-1, 1, 8) + offset, kimg=0.5)
    assert state[0].item() == 0


def small_run(folder, name: str, augment: str, **options):
    """Train 8x8 faces through one fade; return the state at the end."""
    random = np.random.default_rng(0)
    if not (folder / "faces.h5").exists():
        with DatasetWriter(folder / "faces.h5", 8, 12) as writer:
            for _ in range(12):
                writer.write({r: random.integers(0, 256, (3, r, r), dtype=np.uint8) for r in (8, 4, 2, 1)})
    options = {"fmap_base": 32, "fmap_max": 8, "latent_size": 8, "stable_kimg": 0.032, "fade_kimg": 0.032,
               "minibatch": 8, "tick_kimg": 0.016, "checkpoint_ticks": 1, "image_ticks": 0, "device": "cpu",
               "preset": "tiny", "augment": augment} | options  # fmt: skip
    train(TrainConfig(dataset=folder / "faces.h5", outdir=folder, name=name, **options))
    return load_checkpoint(checkpoints(folder / name / "checkpoints")[-1])


def test_a_run_whose_probability_stays_0_is_the_run_without_to_the_last_bit(tmp_path):
    never = small_run(tmp_path, "ada", "ada", augment_kimg=1e12, total_kimg=0.096)
    none = small_run(tmp_path, "none", "none", total_kimg=0.096)
    assert 0 < never["ada"][0] < 1e-8
    for name in ("generator", "discriminator", "g_ema"):
        assert all(torch.equal(value, none[name][key]) for key, value in never[name].items()), name


@pytest.mark.parametrize("kind", [pytest.param("diffaug", marks=pytest.mark.slow), "ada"])
def test_an_augmented_run_resumes_bit_for_bit(kind, tmp_path):
    states = []
    for name, stops in (("whole", [0.096]), ("parts", [0.048, 0.096])):
        states.append([small_run(tmp_path, name, kind, augment_kimg=0.05, total_kimg=stop) for stop in stops][-1])
    for name in ("generator", "discriminator", "g_ema"):
        assert all(torch.equal(value, states[1][name][key]) for key, value in states[0][name].items()), name
    if kind == "ada":
        assert torch.equal(states[0]["ada"], states[1]["ada"]) and states[0]["ada"][1] != 0


def test_what_is_augmented_is_not_what_is_learnt_without(tmp_path):
    """The draws come last, so that without them an iteration is what it was; with them it is another."""
    plain, augmented = (draw_noise(torch.Generator(), 0, 8, 4, 8, augmented=a) for a in (False, True))
    assert plain.augment is None and augmented.augment.shape == (2, 4, DRAWS)
    assert all(torch.equal(a, b) for a, b in zip(plain.tensors(), augmented.tensors()[:4], strict=True))
    vectors = []
    for noise, kind in ((plain, "none"), (augmented, "diffaug")):
        config = TrainConfig(dataset="faces.h5", fmap_base=64, fmap_max=12, latent_size=8, augment=kind)
        nets = make_networks(config, resolution=8, image_channels=3, label_size=0, device=CPU, precision="fp32")
        optimizers = make_optimizers(nets, config, 8)
        for adam in optimizers:
            adam.learning_rate.fill_(1e-3)
        reals = Batch(torch.arange(4 * 192).remainder(251).view(4, 3, 8, 8).to(torch.uint8))
        train_step(nets, optimizers, reals, noise, ONE, torch.zeros(len(STATISTICS)), step_settings(config))
        vectors.append((nets.g_flat.vector, nets.d_flat.vector))
    assert all(torch.isfinite(b).all() and not torch.equal(a, b) for a, b in zip(*vectors, strict=True))


def test_auto_is_ada_for_few_faces_and_none_for_many():
    config = TrainConfig(dataset="faces.h5")
    growth = {"stable_kimg": 800, "fade_kimg": 800, "max_resolution": 8, "first_resolution": 4}
    plan = Plan(8, growth, 80.0)
    few, many = with_augmentation(config, 4999, plan), with_augmentation(config, 5000, plan)
    assert (few.augment, few.augment_kimg, many.augment) == ("ada", 400.0, "none")  # an eighth of 1600 and 2 x 800
    short = replace(plan, growth=growth | {"stable_kimg": 0.2, "fade_kimg": 0.1})
    shortest = with_augmentation(replace(config, stable_kimg=0.2), 10, short)
    assert str(shortest.augment_kimg) == "0.0875"  # and not 0.08750000000000001
    assert with_augmentation(TrainConfig(dataset="faces.h5", augment="none"), 10, plan).augment == "none"
