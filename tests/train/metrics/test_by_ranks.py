"""Metrics of several processes of torchrun are those of one, to the last bit; one writes and speaks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from celebahq_builder.hdf5 import DatasetWriter
from zoo import weights
from zoo.progan import Generator, ProGANConfig

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from launch import finish, start  # noqa: E402


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    path, random = tmp_path_factory.mktemp("data") / "faces.h5", np.random.default_rng(0)
    with DatasetWriter(path, 256, 24) as writer:
        for _ in range(24):
            face = random.integers(0, 256, (3, 256, 256)).astype(np.float64)
            levels = {r: face.reshape(3, r, 256 // r, r, 256 // r).mean((2, 4)) for r in (256 >> i for i in range(9))}
            writer.write({r: image.astype(np.uint8) for r, image in levels.items()})
    return path


def alone(*command: object) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    words = [sys.executable, *map(str, command)]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_metrics_and_features_are_those_of_one_process_bit_for_bit(dataset, tmp_path, monkeypatch, count):
    script = Path(__file__).parent / "measuring_rank.py"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache of one"))
    alone(script, dataset, tmp_path / "alone.json")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    process = start(count, script, dataset, tmp_path / "shared.json")
    _, errors = finish(process)
    assert process.returncode == 0, errors
    found, expected = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("shared", "alone"))
    assert found == expected and expected[0][0]["values"]["average"] > 0
    assert len(list((tmp_path / "cache").rglob("inception-*.npz"))) == 1


def shipped(folder: Path) -> Path:
    torch.manual_seed(0)
    weights.save(Generator(ProGANConfig(resolution=256, latent_size=8, fmap_base=64, fmap_max=4)), folder)
    return folder


@pytest.mark.slow
def test_the_command_under_torchrun_writes_what_one_process_writes(dataset, tmp_path):
    words = ("-m", "train.metrics", "--model", shipped(tmp_path / "model"), "--dataset", dataset, "--num-images", 24)
    words += ("--metrics", "msssim,swd", "--output")  # of 16 and 8 images, one batch for each of two ranks
    alone(*words, tmp_path / "alone.json")
    process = start(2, *words, tmp_path / "shared.json")
    said, errors = finish(process)
    assert process.returncode == 0, errors
    assert said.count("kept in ") == said.count("MS-SSIM: ") == 1, said  # one speaks
    assert errors.count("MS-SSIM of fakes: 24/24") == 1, errors  # and shows how far all are
    found, expected = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("shared", "alone"))
    for entry in (*found.values(), *expected.values()):
        del entry["seconds"]
    assert found == expected and list(found) == ["msssim", "swd"]


@pytest.mark.slow
def test_a_mistake_is_told_once_by_all_ranks(dataset, tmp_path):
    model = shipped(tmp_path / "model")
    words = ("--metrics", "swd", "--num-images", 1000)
    process = start(2, "-m", "train.metrics", "--model", model, "--dataset", dataset, *words)
    _, errors = finish(process)
    assert process.returncode != 0, errors
    assert errors.count("got 24 faces, expected 1000; give --num-images 24 or fewer") == 1, errors
