"""One iteration against a plain PyTorch one: separate calls, double backward, torch's Adam on each parameter."""

import copy

import pytest
import torch

from train.config import TrainConfig
from train.presets import PRESETS
from train.randomness import draw_noise
from train.reference_step import ReferenceStep
from train.setup import make_networks, step_settings
from train.state.run_state import load_training_state, make_optimizers, training_state
from train.step import STATISTICS, train_step
from train.step_gradients import prepare_reals
from train.step_inputs import Batch

CPU = torch.device("cpu")


def setup(variant: str = "paper", label_size: int = 0, **options):
    config = TrainConfig(dataset=".", variant=variant, fmap_base=64, fmap_max=12, latent_size=8, **options)
    nets = make_networks(config, resolution=16, image_channels=3, label_size=label_size, device=CPU, precision="fp32")
    return config, nets


def batch_of(label_size: int = 0, seed: int = 0, random_fake_labels: bool = False) -> Batch:
    random = torch.Generator().manual_seed(seed)
    reals = torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8, generator=random)
    if not label_size:
        return Batch(reals)
    labels = torch.eye(label_size)[torch.randint(label_size, (3, 8), generator=random)]
    return Batch(reals, labels[0], labels[1], labels[2] if random_fake_labels else None)


@pytest.mark.parametrize(("variant", "label_size"), [("paper", 0), ("released", 0), ("paper", 3), ("released", 3)])
def test_three_iterations_equal_the_plain_ones(variant, label_size):
    config, nets = setup(variant, label_size)
    reference = ReferenceStep(config, nets.generator, nets.discriminator, 16)
    optimizers = make_optimizers(nets, config, 16)
    for adam in optimizers:
        adam.learning_rate.fill_(1e-3)
    statistics, alpha, losses = torch.zeros(len(STATISTICS)), torch.tensor(0.3), []
    for i in range(3):
        batch, noise = batch_of(label_size, i, variant == "paper"), draw_noise(torch.Generator(), 0, 8 * i, 8, 8)
        train_step(nets, optimizers, batch, noise, alpha, statistics, step_settings(config))
        losses.append(tuple(x.item() for x in reference(batch, noise, 0.3)))
    sums = dict(zip(STATISTICS, statistics.tolist(), strict=True))
    assert sums["iterations"] == 3
    assert sums["d_loss"] == pytest.approx(sum(d for d, _ in losses), rel=1e-4)
    assert sums["g_loss"] == pytest.approx(sum(g for _, g in losses), rel=1e-4, abs=1e-4)
    plain = (reference.generator, reference.discriminator, reference.g_ema)
    for network, other in zip((nets.generator, nets.discriminator, nets.g_ema), plain, strict=True):
        for (name, p), q in zip(network.named_parameters(), other.parameters(), strict=True):
            # Adam's first steps are as long whatever the gradient's size: entries whose gradient is rounding noise
            # may go the other way, so the mean difference is held to a hundredth of the 3e-3 walked.
            assert (p - q).abs().mean() < 3e-5, name


def test_inactive_layers_do_not_move_and_need_no_gradient():
    config, nets = setup()
    before = copy.deepcopy(nets.generator.state_dict())
    optimizers = make_optimizers(nets, config, 8)
    for adam in optimizers:
        adam.learning_rate.fill_(1e-3)
    reals = torch.randint(0, 256, (8, 3, 8, 8), dtype=torch.uint8)
    noise = draw_noise(torch.Generator(), 0, 0, 8, 8)
    train_step(
        nets, optimizers, Batch(reals), noise, torch.tensor(0.5), torch.zeros(len(STATISTICS)), step_settings(config)
    )
    for key, value in nets.generator.state_dict().items():
        moved = not torch.equal(value, before[key])
        assert moved == ("16x16" not in key), key


def test_non_finite_reals_change_no_weight_and_are_counted():
    config, nets = setup()
    optimizers = make_optimizers(nets, config, 16)
    for adam in optimizers:
        adam.learning_rate.fill_(1e-3)
    before = [x.clone() for x in (nets.g_flat.vector, nets.d_flat.vector)]
    noise = draw_noise(torch.Generator(), 0, 0, 8, 8)
    noise.z_d[0] = float("nan")
    noise.z_g[0] = float("nan")
    statistics = torch.zeros(len(STATISTICS))
    train_step(nets, optimizers, batch_of(), noise, torch.tensor(1.0), statistics, step_settings(config))
    sums = dict(zip(STATISTICS, statistics.tolist(), strict=True))
    assert (sums["d_overflow"], sums["g_overflow"]) == (1, 1)
    for x, old in zip((nets.g_flat.vector, nets.d_flat.vector), before, strict=True):
        torch.testing.assert_close(x, old, rtol=0, atol=0)


def test_reals_fade_like_the_networks():
    reals = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    x = reals.float() / 127.5 - 1
    blocky = x.reshape(2, 3, 4, 2, 4, 2).mean(dim=(3, 5)).repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(prepare_reals(reals, None, torch.tensor(0.0)), blocky)
    torch.testing.assert_close(prepare_reals(reals, None, torch.tensor(1.0)), x)


def test_mirror_turns_just_the_images_drawn_below_one_half():
    reals = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    out = prepare_reals(reals, torch.tensor([0.2, 0.7]).view(2, 1, 1, 1), torch.tensor(1.0))
    x = reals.float() / 127.5 - 1
    torch.testing.assert_close(out, torch.stack([x[0].flip(-1), x[1]]))


def test_black_and_white_become_minus_one_and_one():
    reals = torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 1, 2).expand(1, 3, 2, 2).contiguous()
    assert prepare_reals(reals, None, torch.tensor(1.0)).unique().tolist() == [-1.0, 1.0]


def test_restored_state_continues_bit_for_bit():
    config, nets = setup()

    def run(nets, optimizers, statistics, first, count):
        for adam in optimizers:
            adam.learning_rate.fill_(1e-3)
        for i in range(first, first + count):
            noise = draw_noise(torch.Generator(), 0, 8 * i, 8, 8)
            train_step(nets, optimizers, batch_of(seed=i), noise, torch.tensor(0.5), statistics, step_settings(config))

    optimizers, statistics = make_optimizers(nets, config, 16), torch.zeros(len(STATISTICS))
    run(nets, optimizers, statistics, 0, 2)
    state = training_state(nets, optimizers, statistics)
    run(nets, optimizers, statistics, 2, 2)

    _, other = setup(seed=99)
    other_statistics = torch.zeros(len(STATISTICS))
    other_optimizers = load_training_state(state, other, config, other_statistics)
    run(other, other_optimizers, other_statistics, 2, 2)
    for a, b in ((nets.g_flat, other.g_flat), (nets.d_flat, other.d_flat), (nets.ema_flat, other.ema_flat)):
        torch.testing.assert_close(a.vector, b.vector, rtol=0, atol=0)
    torch.testing.assert_close(statistics, other_statistics, rtol=0, atol=0)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_presets_minibatch_fills_whole_stddev_groups_at_every_resolution(preset):
    config = TrainConfig(dataset=".", preset=preset, **PRESETS[preset])
    group = 4 if config.variant == "released" else None
    for i in range(9):
        size = dict(config.minibatch_at).get(4 << i, config.minibatch)
        assert group is None or size % min(group, size) == 0


def test_mean_squared_score_of_the_reals_is_added_up():
    config, nets = setup()
    batch, noise, alpha = batch_of(), draw_noise(torch.Generator(), 0, 0, 8, 8), torch.tensor(0.5)
    with torch.no_grad():
        scores = nets.discriminator(prepare_reals(batch.reals, noise.mirror, alpha), alpha=alpha)
    statistics = torch.zeros(len(STATISTICS))
    train_step(nets, make_optimizers(nets, config, 16), batch, noise, alpha, statistics, step_settings(config))
    sums = dict(zip(STATISTICS, statistics.tolist(), strict=True))
    assert sums["real_score_squared"] == pytest.approx(scores.square().mean().item(), rel=1e-5)
    assert sums["real_score_squared"] != pytest.approx(sums["real_score"] ** 2, rel=1e-3)


def test_a_checkpoint_of_before_squared_scores_resumes():
    config, nets = setup()
    optimizers, statistics = make_optimizers(nets, config, 16), torch.arange(1.0, len(STATISTICS) + 1)
    state = training_state(nets, optimizers, statistics)
    state["statistics"] = state["statistics"][:8]
    restored = torch.zeros(len(STATISTICS))
    load_training_state(state, nets, config, restored)
    sums = dict(zip(STATISTICS, restored.tolist(), strict=True))
    assert (sums["d_loss"], sums["iterations"]) == (1, 8)
    assert sums["real_score_squared"] / 8 == (sums["real_score"] / 8) ** 2


@pytest.mark.parametrize("variant", ["paper", "released"])
@pytest.mark.parametrize("augment", ["none", "ada"])
def test_stable_step_is_the_fade_at_1_to_the_last_bit(variant, augment):
    """As the number 1 alpha leaves out what fades: the older layers get no gradient where they got one of zeros."""
    results = []
    for alpha in (torch.tensor(1.0), 1.0):
        config, nets = setup(variant, augment=augment)
        optimizers = make_optimizers(nets, config, 16)
        for adam in optimizers:
            adam.learning_rate.fill_(1e-3)
        statistics, ada = torch.zeros(len(STATISTICS)), torch.tensor([0.5, 0.0]) if augment == "ada" else None
        for i in range(2):
            noise = draw_noise(torch.Generator(), 0, 8 * i, 8, 8, config.augments)
            train_step(nets, optimizers, batch_of(seed=i), noise, alpha, statistics, step_settings(config), ada)
        moments = [x for adam in optimizers for x in (adam.mean, adam.mean_square)]
        results.append(torch.cat([nets.g_flat.vector, nets.d_flat.vector, nets.ema_flat.vector, statistics, *moments]))
    assert torch.equal(*results)
