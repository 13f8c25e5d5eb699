"""Table 1's rows: each differs from the row before in what the paper says, and trains as a plain iteration would."""

import copy

import numpy as np
import pytest
import torch

from celebahq_builder.hdf5 import DatasetWriter
from train import capture
from train.config import TrainConfig, TrainError
from train.distributed import Ranks
from train.loop import train
from train.minibatch import split_of
from train.posthoc import _generator
from train.power_ema import PowerAverages
from train.presets import PRESETS, preset_config
from train.randomness import draw_noise
from train.setup import architecture_of, make_networks, step_settings
from train.state.run_state import make_optimizers
from train.step import STATISTICS, train_step
from train.step_inputs import Batch

CPU = torch.device("cpu")
ROWS = ["table1-a", "table1-b", "table1-c", "table1-d", "table1-e-star", "table1-e", "table1-f", "table1-g", "table1-h"]
SMALL = {"fmap_base": 64, "fmap_max": 12, "latent_size": 8}


def options(name: str) -> dict:
    return preset_config(name, dataset="faces.h5").to_dict() | {"preset": ""}


def difference(one: str, other: str) -> dict:
    a, b = options(one), options(other)
    return {name: (a[name], b[name]) for name in a if a[name] != b[name]}


def test_rows_differ_as_the_theano_programs_config_has_it():
    assert difference("table1-a", "table1-b") == {"grow": (False, True)}
    assert difference("table1-b", "table1-c") == {"minibatch": (64, 16)}
    assert difference("table1-c", "table1-d") == {
        "n_critic": (5, 1), "beta2": (0.9, 0.99), "drift": (0.0, 0.001), "latent_size": (128, 512),
        "latent_norm": ("none", None), "generator_slope": (0.0, 0.2), "generator_norm": ("batch", "none"),
        "tanh": (True, False), "discriminator_norm": ("layer", "none"),
    }  # fmt: skip
    assert difference("table1-d", "table1-e-star") == {"minibatch_discrimination": (0, 100)}
    assert difference("table1-d", "table1-e") == {"stddev": ("none", None)}
    assert difference("table1-e", "table1-f") == {"learning_rate": (0.0001, 0.001), "equalized": (False, True)}
    assert difference("table1-f", "table1-g") == {"pixelnorm": ("none", "all")}
    assert difference("table1-g", "table1-h") == {"fmap_base": (2048, 8192), "total_kimg": (10000, 20000)}


def small(name: str, **changes) -> TrainConfig:
    return preset_config(name, dataset="faces.h5", **{**SMALL, "minibatch": 8, **changes})


def run_step(config: TrainConfig, nets, seed: int, rate: float = 1e-3, rate_of_g: float | None = None):
    optimizers = make_optimizers(nets, config, 8)
    for adam, its_rate in zip(optimizers, (rate if rate_of_g is None else rate_of_g, rate), strict=True):
        adam.learning_rate.fill_(its_rate)
    n = 8 * config.n_critic
    reals = torch.randint(0, 256, (n, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    channels = nets.discriminator.config.noise_channels if config.noisy_layers else 0
    noise, statistics = draw_noise(torch.Generator(), 0, seed, n, 8, False, channels), torch.zeros(len(STATISTICS))
    fixed = (statistics, step_settings(config))
    train_step(nets, optimizers, Batch(reals), noise, torch.tensor(0.3), *fixed, d_average=torch.tensor(0.9))
    return reals, noise, dict(zip(STATISTICS, statistics.tolist(), strict=True))


def networks(config: TrainConfig):
    return make_networks(config, resolution=8, image_channels=3, label_size=0, device=CPU, precision="fp32")


@pytest.mark.parametrize("row", ["table1-b", "table1-c", "table1-e-star"])
def test_an_iteration_equals_a_plain_one_with_double_backward_and_torchs_adam(row):
    config = small(row)
    nets = networks(config)
    generator, discriminator = copy.deepcopy(nets.generator), copy.deepcopy(nets.discriminator)
    reals, noise, sums = run_step(config, nets, seed=3)
    g_opt, d_opt = (
        torch.optim.Adam(x.parameters(), lr=1e-3, betas=(0.0, config.beta2), eps=1e-8)
        for x in (generator, discriminator)
    )
    alpha, losses = 0.3, []
    for i in range(config.n_critic):
        part = slice(8 * i, 8 * i + 8)
        x = reals[part].float() / 127.5 - 1
        x = torch.where(noise.mirror[part] < 0.5, x.flip(3), x)
        coarse = torch.nn.functional.avg_pool2d(x, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
        x = coarse * (1 - alpha) + x * alpha
        with torch.no_grad():
            fakes = generator(noise.z_d[part], alpha=alpha)
        mixed = (x + (fakes - x) * noise.mix[part]).requires_grad_()
        slope = torch.autograd.grad(discriminator(mixed, alpha=alpha).sum(), mixed, create_graph=True)[0]
        real_scores = discriminator(x, alpha=alpha)
        loss = discriminator(fakes, alpha=alpha).mean() - real_scores.mean() + config.drift * (real_scores**2).mean()
        loss = loss + 10 * ((slope.square().sum(dim=(1, 2, 3)).sqrt() - 1) ** 2).mean()
        d_opt.zero_grad()
        loss.backward()
        d_opt.step()
        losses.append(loss.item())
    g_loss = -discriminator(generator(noise.z_g[part], alpha=alpha), alpha=alpha).mean()
    g_opt.zero_grad()
    g_loss.backward()
    g_opt.step()
    assert sums["iterations"] == 1
    assert sums["d_loss"] == pytest.approx(np.mean(losses), rel=1e-3)
    assert sums["g_loss"] == pytest.approx(g_loss.item(), rel=1e-3, abs=1e-3)
    for network, plain in ((nets.generator, generator), (nets.discriminator, discriminator)):
        for (name, p), q in zip(network.named_parameters(), plain.parameters(), strict=True):
            assert (p - q).abs().mean() < 1e-4 * config.n_critic, name  # of 1e-3 an update, see test_step
    for (name, x), y in zip(nets.generator.named_buffers(), generator.buffers(), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("preset", ["table1-b", "table1-e-star", "table1-f", "lsgan"])
def test_fused_kernels_train_the_same(preset):
    found = []
    for kernels in ("plain", "fused"):
        config = small(preset, kernels=kernels)
        nets = networks(config)
        found.append((run_step(config, nets, seed=2)[2], nets))
    (plain, before), (fused, after) = found
    for name in ("d_loss", "g_loss", "gradient_penalty"):
        assert fused[name] == pytest.approx(plain[name], rel=1e-3, abs=1e-4), name
    assert (before.d_flat.vector - after.d_flat.vector).abs().mean() < 1e-4 * config.n_critic
    assert (before.g_flat.vector - after.g_flat.vector).abs().mean() < 1e-4


def test_the_averaged_generators_statistics_are_averaged_as_its_weights_are():
    config = small("table1-b", ema_kimg=0.04)
    nets = networks(config)
    before = {name: x.clone() for name, x in nets.g_ema.named_buffers()}
    run_step(config, nets, seed=1)
    current, averaged = dict(nets.generator.named_buffers()), dict(nets.g_ema.named_buffers())
    assert len(averaged) == 8 and not nets.g_ema.training
    for name, old in before.items():  # 5 minibatches of 8 images are one half-life
        torch.testing.assert_close(averaged[name], (old + current[name]) / 2, msg=name)
        assert (current[name] - old).abs().max() > 0, name


def test_a_generator_that_is_not_trained_keeps_its_statistics_and_so_does_its_average():
    config = small("table1-b")
    nets = networks(config)
    before = [{name: x.clone() for name, x in net.state_dict().items()} for net in (nets.generator, nets.g_ema)]
    run_step(config, nets, seed=1, rate_of_g=0.0)  # as --discriminator-kimg has it
    for net, kept in zip((nets.generator, nets.g_ema), before, strict=True):
        assert any(name.endswith(".variance") for name in kept)
        for name, x in net.state_dict().items():
            assert torch.equal(x, kept[name]), name


def test_an_iteration_that_fails_puts_the_statistics_of_batch_norm_back(monkeypatch):
    config = small("table1-b")
    nets, alpha, statistics = networks(config), torch.ones(()), torch.zeros(len(STATISTICS))
    before = {name: x.clone() for name, x in nets.generator.named_buffers()}

    def fails(nets, *others):
        for buffer in nets.generator.buffers():
            buffer.add_(1)
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(capture, "train_step", fails)
    step = capture.GraphedStep(nets, make_optimizers(nets, config, 8), alpha, statistics, step_settings(config), False)
    reals = torch.zeros(8 * config.n_critic, 3, 8, 8, dtype=torch.uint8)
    with pytest.raises(torch.OutOfMemoryError):
        step(Batch(reals), draw_noise(torch.Generator(), 0, 0, len(reals), config.latent_size))
    for name, x in nets.generator.named_buffers():
        assert torch.equal(x, before[name]), name


def test_power_averages_count_every_image_that_was_shown(tmp_path, monkeypatch):
    base = {**SMALL, "dataset": faces(tmp_path / "faces.h5"), "outdir": tmp_path, "device": "cpu", "resolution": 8,
            "stable_kimg": 1, "minibatch": 4, "tick_kimg": 0.08, "image_ticks": 0}  # fmt: skip
    seen, update = [], PowerAverages.update
    monkeypatch.setattr(
        PowerAverages, "update", lambda self, nimg, shown: seen.append((nimg, shown)) or update(self, nimg, shown)
    )
    train(preset_config("table1-b", name="run", total_kimg=0.036, n_critic=3, **base))
    assert seen == [(12, 12), (24, 12), (36, 12)]


@pytest.mark.parametrize("row", ROWS)
def test_every_rows_networks_are_what_its_options_say(row):
    config = small(row)
    architecture, nets = architecture_of(config), networks(config)
    assert (architecture.generator_norm == "batch") == (row in ROWS[:3]) == bool(list(nets.generator.buffers()))
    names = {name.split(".")[-2] for name, _ in nets.discriminator.named_parameters()}
    assert ("norm0" in names) == (row in ROWS[:3]) and ("discrimination" in names) == (row == "table1-e-star")
    assert nets.discriminator.output().conv.weight.shape[1] == 12 + (row in ROWS[5:])  # with minibatch stddev
    assert (nets.generator.rgb(8).scale == 1) == (row in [*ROWS[:5], "table1-e"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generator_norm": "batch"}, "--generator-norm batch: got --pixelnorm all too, expected none"),
        ({"n_critic": 0}, "--n-critic: got 0, expected more than 0"),
        ({"generator_slope": -0.1}, "--generator-slope: got -0.1, expected 0 or more"),
        ({"minibatch_discrimination": -1}, "--minibatch-discrimination: got -1, expected 0 or more"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(changes, message):
    with pytest.raises(TrainError, match=message):
        preset_config("paper", dataset="faces.h5", **changes)


def test_what_looks_at_a_whole_minibatch_is_not_divided():
    config = small("table1-b", max_batch_per_gpu=4)
    with pytest.raises(TrainError, match=r"--max-batch-per-gpu at 8x8: got 4, expected 8: this network's batch norm"):
        split_of(config, architecture_of(config), 8)
    with pytest.raises(TrainError, match="got 2 ranks, expected one process: this network's minibatch discrimination"):
        config = small("table1-e-star")
        split_of(config, architecture_of(config), 8, Ranks(0, 2))
    with pytest.raises(TrainError, match="expected a multiple of the 3 ranks with --n-critic 2"):
        config = preset_config("paper", dataset="faces.h5", n_critic=2)
        split_of(config, architecture_of(config), 8, Ranks(0, 3))


def faces(path):
    random = np.random.default_rng(0)
    with DatasetWriter(path, 8, 24) as writer:
        for _ in range(24):
            writer.write({r: random.integers(0, 256, (3, r, r), dtype=np.uint8) for r in (8, 4, 2, 1)})
    return path


@pytest.mark.slow
def test_a_run_with_batch_norm_resumes_bit_for_bit_publishes_and_starts_another(tmp_path):
    base = {**SMALL, "dataset": faces(tmp_path / "faces.h5"), "outdir": tmp_path, "device": "cpu", "resolution": 8,
            "stable_kimg": 0.08, "fade_kimg": 0.08, "minibatch": 4, "tick_kimg": 0.08, "image_ticks": 0}  # fmt: skip
    train(preset_config("table1-b", name="whole", total_kimg=0.32, **base))
    train(preset_config("table1-b", name="parts", total_kimg=0.16, **base))
    done = train(preset_config("table1-b", name="parts", total_kimg=0.32, **base))
    states = [
        torch.load(tmp_path / run / "checkpoints" / "checkpoint-000000.320.pt", weights_only=True)
        for run in ("whole", "parts")
    ]
    assert states[0]["nimg"] == 320 == done.nimg
    for role in ("generator", "g_ema", "discriminator"):
        for name, x in states[0][role].items():
            torch.testing.assert_close(x, states[1][role][name], rtol=0, atol=0, msg=f"{role} {name}")
    import zoo

    loaded = zoo.load(done.model)
    assert loaded.config.generator_norm == "batch" and loaded(torch.zeros(1, 8)).abs().max() <= 1
    on = preset_config("smoke", **{**base, "name": "on", "init": str(tmp_path / "whole"), "total_kimg": 0.04,
                                   "latent_size": 64, "fmap_base": 512, "fmap_max": 64})  # fmt: skip
    started = train(on)
    assert zoo.load(started.model).config.generator_norm == "batch"
    with pytest.raises(TrainError, match="got --n-critic 2, expected --n-critic 5"):
        train(preset_config("table1-b", name="whole", total_kimg=0.32, **base, n_critic=2))


def test_a_run_of_before_these_options_refuses_to_change_them(tmp_path):
    from train.options import forbidden_change

    old = {k: v for k, v in preset_config("smoke", dataset="faces.h5").to_dict().items() if k != "tanh"}
    assert forbidden_change(old, preset_config("smoke", dataset="faces.h5").to_dict()) is None
    now = preset_config("smoke", dataset="faces.h5", tanh=True).to_dict()
    assert forbidden_change(old, now) == ("--no-tanh", "--tanh")


@pytest.mark.slow
def test_adam_keeps_its_history_without_the_reset(tmp_path):
    base = {**SMALL, "dataset": faces(tmp_path / "faces.h5"), "outdir": tmp_path, "device": "cpu", "resolution": 4,
            "total_kimg": 0.04, "minibatch": 4, "tick_kimg": 0.04, "image_ticks": 0}  # fmt: skip
    assert PRESETS["table1-g"].get("optimizer_reset", True)
    grown = {**base, "resolution": 8, "stable_kimg": 0.016, "fade_kimg": 0.016}
    counts = {}
    for reset in (True, False):
        train(preset_config("table1-g", name=str(reset), optimizer_reset=reset, **grown))
        state = torch.load(tmp_path / str(reset) / "checkpoints" / "checkpoint-000000.040.pt", weights_only=True)
        counts[reset] = state["d_adam"]["count"].item()
    assert counts[False] > counts[True] > 0


def test_other_averages_of_a_generator_with_batch_norm_are_refused_in_one_line():
    config = small("table1-b")
    nets = networks(config)
    state = {"architecture": nets.generator.config.to_dict()}
    with pytest.raises(TrainError, match=r"got a generator with batch normalization, expected one without"):
        _generator(state, nets.g_flat.vector)
