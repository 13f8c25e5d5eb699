"""--penalty-interval: between penalties D learns from the scores alone, and each penalty counts for those between."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from celebahq_builder.hdf5 import DatasetWriter
from train.config import TrainConfig, TrainError
from train.lazy_penalty import Turns
from train.loop import train
from train.options import changes
from train.randomness import draw_noise
from train.setup import make_networks, step_settings
from train.state.checkpoint import checkpoints, load_checkpoint
from train.state.run_state import make_optimizers
from train.step import STATISTICS, train_step
from train.step_inputs import Batch

CPU = torch.device("cpu")


def gradients(nets, config, settings, monkeypatch):
    """Return the gradients of D and G in one iteration, and its statistics by name."""
    nets = copy.deepcopy(nets)
    reals = torch.randint(0, 256, (8, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    noise, alpha = draw_noise(torch.Generator(), 0, 0, 8, 8), torch.tensor(0.3)
    optimizers, statistics, seen = make_optimizers(nets, config, 8), torch.zeros(len(STATISTICS)), []
    with monkeypatch.context() as patch:
        patch.setattr(type(optimizers[0]), "update", lambda self, g: seen.append(g.clone()) or torch.zeros(()))
        train_step(nets, optimizers, Batch(reals), noise, alpha, statistics, settings)
    return *seen, dict(zip(STATISTICS, statistics.tolist(), strict=True))


@pytest.mark.parametrize("loss", ["wgan-gp", "r3gan"])
def test_a_penalty_counts_for_the_iterations_that_have_none(loss, monkeypatch):
    config = TrainConfig(dataset="f.h5", fmap_base=64, fmap_max=12, latent_size=8, loss=loss, gp_weight=0.7)
    nets = make_networks(config, resolution=8, image_channels=3, label_size=0, device=CPU, precision="fp32")
    always = step_settings(config)
    lazy = step_settings(replace(config, penalty_interval=3))
    d_lazy, g_lazy, row_lazy = gradients(nets, config, lazy, monkeypatch)
    d_none, g_none, row_none = gradients(nets, config, replace(lazy, penalized=False), monkeypatch)
    d_thrice, g_thrice, row = gradients(nets, config, replace(always, gp_weight=2.1), monkeypatch)
    d_zero, _, row_zero = gradients(nets, config, replace(always, gp_weight=0.0), monkeypatch)
    torch.testing.assert_close(d_lazy, d_thrice)
    torch.testing.assert_close(d_none, d_zero)
    assert (d_lazy - d_none).abs().max() > 0.01 * d_none.abs().max()
    assert torch.equal(g_lazy, g_thrice) and torch.equal(g_none, g_thrice)  # D's penalty is none of G's
    assert row_lazy["d_loss"] == pytest.approx(row["d_loss"]) and row_none["d_loss"] == pytest.approx(
        row_zero["d_loss"]
    )
    # A tick's mean penalty is that of its images, whatever the interval.
    assert (row_lazy["gradient_penalty"] + 2 * row_none["gradient_penalty"]) / 3 == pytest.approx(
        row["gradient_penalty"]
    )


def test_whose_turn_it_is_follows_from_how_many_there_were():
    settings = step_settings(TrainConfig(dataset="f.h5", penalty_interval=4))
    turns = Turns(lambda made: made.penalized, settings)
    assert [turns.at(count) for count in range(9)] == [True, *[False] * 3, True, *[False] * 3, True]
    every = Turns(lambda made: made.penalized, replace(settings, penalty_interval=1))
    assert all(every.at(count) for count in range(5))


def test_a_run_that_stops_between_two_penalties_goes_on_with_the_same(tmp_path):
    random = np.random.default_rng(0)
    with DatasetWriter(tmp_path / "faces.h5", 8, 12) as writer:
        for _ in range(12):
            writer.write({r: random.integers(0, 256, (3, r, r), dtype=np.uint8) for r in (8, 4, 2, 1)})
    options = {"fmap_base": 32, "fmap_max": 8, "latent_size": 8, "stable_kimg": 0.032, "fade_kimg": 0.032}
    options |= {"minibatch": 8, "tick_kimg": 0.016, "image_ticks": 0, "device": "cpu", "preset": "tiny"}
    options |= {"loss": "r3gan", "gp_weight": 1.0, "penalty_interval": 3, "dataset": tmp_path / "faces.h5"}
    states = {}
    for name, stops in (("whole", (0.096,)), ("stopped", (0.04, 0.08, 0.096)), ("always", (0.096,))):
        for kimg in stops:
            more = {"penalty_interval": 1} if name == "always" else {}
            assert train(TrainConfig(outdir=tmp_path, name=name, total_kimg=kimg, **(options | more)))
        states[name] = load_checkpoint(checkpoints(tmp_path / name / "checkpoints")[-1])
    whole, stopped, always = (states[name]["discriminator"] for name in ("whole", "stopped", "always"))
    tensors = [name for name, value in whole.items() if torch.is_tensor(value)] if isinstance(whole, dict) else None
    assert tensors, "a checkpoint holds the discriminator by name"
    assert all(torch.equal(whole[name], stopped[name]) for name in tensors)
    assert not all(torch.equal(whole[name], always[name]) for name in tensors)


def test_a_loss_without_a_penalty_refuses_the_interval():
    with pytest.raises(TrainError, match="--penalty-interval: got 4, expected nothing: lsgan has no such term"):
        TrainConfig(dataset="f.h5", loss="lsgan", penalty_interval=4)


def test_history_tells_of_an_option_that_is_newer_than_the_run():
    saved = TrainConfig(dataset="f.h5", augment="none").to_dict()
    older = {name: value for name, value in saved.items() if name not in ("penalty_interval", "augment")}
    assert changes(older, saved | {"penalty_interval": 4}) == {"penalty_interval": [1, 4]}
    assert changes(older, saved) == {}
