"""Averages of any length afterwards: the profiles by numbers, the combination against a third average that was kept."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import zoo
from celebahq_builder.hdf5 import DatasetWriter
from train import power_ema
from train.config import TrainConfig, TrainError
from train.ema import EmaConfig
from train.loop import train
from train.posthoc import write_posthoc
from train.power_ema import PowerAverages, Profile, combination, exponent
from train.state.checkpoint import checkpoints, load_checkpoint

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("length", [0.01, 0.05, 0.1, 0.25])
def test_exponent_gives_a_profile_of_that_relative_deviation(length):
    tau = (np.arange(200_000) + 0.5) / 200_000
    weight = tau ** exponent(length)
    weight /= weight.sum()
    mean = (weight * tau).sum()
    assert np.sqrt((weight * (tau - mean) ** 2).sum()) == pytest.approx(length, rel=1e-3)


def test_update_weighs_each_iteration_by_the_power_of_its_time():
    """The products of all updates telescope: iteration k of K has (k / K)^(g + 1) - ((k - 1) / K)^(g + 1)."""
    current = torch.zeros(50)
    averages = PowerAverages(current, start=1000)
    for k in range(50):
        current.zero_()
        current[k] = 1
        averages.update(1000 + 8 * (k + 1), 8)
    for length, vector in zip(power_ema.LENGTHS, averages.vectors, strict=True):
        edges = (np.arange(51) / 50) ** (exponent(length) + 1)
        np.testing.assert_allclose(vector.numpy(), np.diff(edges), atol=1e-6)


def test_products_of_profiles_are_their_integrals():
    a, b = Profile(3.0, 2.5), Profile(5.0, 6.2)
    tau = (np.arange(300_000) + 0.5) * (5.0 / 300_000)
    values = [np.where(tau <= p.time, (p.g + 1) * tau**p.g / p.time ** (p.g + 1), 0) for p in (a, b)]
    assert a.product(b) == pytest.approx((values[0] * values[1]).mean() * 5.0, rel=1e-4)
    assert Profile(2e7, 200.0).product(Profile(1e7, 100.0)) >= 0  # no overflow


def test_a_combination_of_snapshots_is_the_average_that_was_not_kept(monkeypatch):
    """A random walk with a trend; a third average is kept beside the two for comparison alone."""
    monkeypatch.setattr(power_ema, "LENGTHS", (0.05, 0.1, 0.15, 0.07))
    random, current = torch.Generator().manual_seed(0), torch.zeros(300)
    averages, known, vectors = PowerAverages(current, start=0), [], []
    for k in range(1, 1601):
        current.add_(torch.randn(300, generator=random) + 0.05)
        averages.update(8 * k, 8)
        if k % 100 == 0:
            known += [Profile(8 * k, exponent(length)) for length in (0.05, 0.1)]
            vectors += [vector.double().clone() for vector in averages.vectors[:2]]
    for length, kept in ((0.15, averages.vectors[2]), (0.07, averages.vectors[3])):
        shares, missed = combination(known, Profile(8 * 1600, exponent(length)))
        found = sum(share * vector for share, vector in zip(shares, vectors, strict=True))
        assert shares.sum() == pytest.approx(1) and missed < 0.1
        assert (found - kept).norm() < 0.02 * (current - kept).norm(), length
    shares, missed = combination(known, known[-1])
    assert missed < 1e-6 and shares[-1] == pytest.approx(1, abs=1e-4)


def test_the_command_makes_a_model_of_a_run(tmp_path):
    random = np.random.default_rng(0)
    with DatasetWriter(tmp_path / "faces.h5", 8, 12) as writer:
        for _ in range(12):
            writer.write({r: random.integers(0, 256, (3, r, r), dtype=np.uint8) for r in (8, 4, 2, 1)})
    options = {"fmap_base": 32, "fmap_max": 8, "latent_size": 8, "stable_kimg": 0.032, "fade_kimg": 0.032,
               "minibatch": 8, "tick_kimg": 0.016, "checkpoint_ticks": 1, "image_ticks": 0, "device": "cpu",
               "preset": "tiny",
               "augment": "none", "keep_checkpoints": 99}  # fmt: skip
    run = tmp_path / "run"
    train(TrainConfig(dataset=tmp_path / "faces.h5", outdir=tmp_path, name="run", total_kimg=0.064, **options))
    train(TrainConfig(dataset=tmp_path / "faces.h5", outdir=tmp_path, name="run", total_kimg=0.128, **options))
    state = load_checkpoint(checkpoints(run / "checkpoints")[-1])
    assert state["power_ema"]["start"] == 40  # where 8x8 came in
    command = [sys.executable, "-m", "train.ema", str(run), "--length", "0.05"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "its profile is missed by 0.0 %" in done.stdout, done.stderr
    generator = zoo.load(run / "model-ema-0.05")
    from train.parameters import FlatParameters

    flat = FlatParameters(generator)
    torch.testing.assert_close(flat.dense(flat.vector), state["power_ema"]["0.05"], rtol=1e-4, atol=1e-6)
    training = json.loads((run / "model-ema-0.05" / "config.json").read_text())["training"]
    assert training["ema"]["length"] == 0.05 and training["preset"] == "tiny"
    with pytest.raises(TrainError, match=r"--length: got 0.5, expected 0.01 to 0.28"):
        write_posthoc(EmaConfig(run=run, length=0.5))
    with pytest.raises(TrainError, match="got no checkpoint with power-law averages"):
        write_posthoc(EmaConfig(run=tmp_path))
