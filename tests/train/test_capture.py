"""The CUDA graph against the eager iteration (needs a GPU), and the benchmark command on the CPU."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from celebahq_builder.hdf5 import DatasetWriter
from train import benchmark
from train.capture import GraphedStep
from train.config import TrainConfig
from train.loop import train
from train.randomness import draw_noise
from train.setup import make_networks, step_settings
from train.state.run_state import make_optimizers
from train.step import STATISTICS
from train.step_inputs import Batch

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.gpu
def test_captured_iterations_equal_eager_ones_bit_for_bit():
    device, vectors = torch.device("cuda"), []
    reals = torch.randint(0, 256, (6, 8, 3, 16, 16), dtype=torch.uint8, device=device)
    for captured in (False, True):
        config = TrainConfig(dataset=".", fmap_base=64, fmap_max=16, latent_size=8, deterministic=True)
        nets = make_networks(config, resolution=16, image_channels=3, label_size=0, device=device, precision="bf16")
        optimizers = make_optimizers(nets, config, 16)
        alpha, statistics = torch.zeros((), device=device), torch.zeros(len(STATISTICS), device=device)
        iteration = GraphedStep(nets, optimizers, alpha, statistics, step_settings(config), captured)
        generator = torch.Generator(device)
        for i in range(6):
            alpha.fill_(i / 6)
            for adam in optimizers:
                adam.learning_rate.fill_(1e-3 * (i + 1))
            iteration(Batch(reals[i]), draw_noise(generator, 0, 8 * i, 8, 8))
        vectors.append(torch.cat([nets.g_flat.vector, nets.d_flat.vector, nets.ema_flat.vector, statistics]))
    torch.testing.assert_close(vectors[0], vectors[1], rtol=0, atol=0)


@pytest.mark.gpu
def test_capture_survives_a_reader_that_pins_memory_meanwhile(tmp_path):
    """The file's level is not resident, so a thread pins a minibatch while the main one captures."""
    with DatasetWriter(tmp_path / "faces.h5", 16, 600) as writer:
        for _ in range(600):
            writer.write({r: np.zeros((3, r, r), np.uint8) for r in (16, 8, 4, 2, 1)})
    options = {"fmap_base": 64, "fmap_max": 16, "latent_size": 8, "stable_kimg": 0.5, "fade_kimg": 0.5}
    assert train(
        TrainConfig(
            dataset=tmp_path / "faces.h5", outdir=tmp_path, device="cuda", resident_gib=0, total_kimg=3, **options
        )
    )
    rows = [json.loads(line) for line in (tmp_path / "faces-paper" / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["resolution"] == 16
    assert rows[-1]["d_overflow"] == 0


def test_benchmark_prints_a_row_a_resolution():
    command = [sys.executable, "-m", "train.benchmark", "--preset", "smoke", "--device", "cpu", "--resolutions", "4-8"]
    command += ["--seconds", "0.01", "--minibatch", "2", "--precisions", "fp32"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()[2:]
    assert [int(row.split()[0]) for row in rows] == [4, 8]
    assert all(float(row.split()[-1]) > 0 for row in rows)


def test_against_the_reference_there_is_a_row_a_phase_and_a_ratio_a_cell(monkeypatch, capsys):
    options = ["--preset", "smoke", "--device", "cpu", "--resolutions", "4-8", "--seconds", "0.01", "--minibatch", "2"]
    monkeypatch.setattr(sys, "argv", ["", *options, "--precisions", "fp32", "--against", "reference"])
    benchmark._main()
    rows = [row.split() for row in capsys.readouterr().out.splitlines()[2:]]
    assert [(row[0], row[2]) for row in rows] == [("4", "stable"), ("8", "fade"), ("8", "stable")]
    for *_, ours, ratio, reference in rows:
        assert float(reference) / float(ours) == pytest.approx(float(ratio.strip("()x")), abs=0.02)
