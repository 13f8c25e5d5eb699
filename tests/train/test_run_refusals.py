"""Every refusal that a user of the trainer can meet: changed options, other data, damaged files, a full disk."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from celebahq.errors import DeviceError
from celebahq_builder.hdf5 import DatasetError
from train.config import TrainConfig, TrainError
from train.loop import train
from train.state.checkpoint import CheckpointError, checkpoints, load_checkpoint

ROOT = Path(__file__).resolve().parents[2]
TINY = {
    "stable_kimg": 0.064, "fade_kimg": 0.064, "minibatch": 8, "fmap_base": 32, "fmap_max": 8, "latent_size": 8,
    "tick_kimg": 0.04, "checkpoint_ticks": 1, "ema_kimg": 0.1, "image_ticks": 0, "device": "cpu", "preset": "tiny",
}  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, write_noise) -> Path:
    return write_noise(tmp_path_factory.mktemp("data") / "faces.h5", 16)


def config(dataset: Path, folder: Path, **options) -> TrainConfig:
    return TrainConfig(dataset=dataset, outdir=folder, name="run", **{**TINY, **options})


def test_changed_option_is_refused_with_both_values(dataset, tmp_path):
    train(config(dataset, tmp_path, total_kimg=0.04))
    with pytest.raises(TrainError, match=r"got --seed 5, expected --seed 0, as it was trained; give --name .* --init "):
        train(config(dataset, tmp_path, seed=5))


def test_precision_that_turns_out_otherwise_is_refused_and_the_same_by_name_is_not(dataset, tmp_path):
    train(config(dataset, tmp_path, precision="fp32", total_kimg=0.04))
    with pytest.raises(TrainError, match=r"got --precision bf16, expected fp32, as it was trained"):
        train(config(dataset, tmp_path, precision="bf16", total_kimg=0.08))
    assert train(config(dataset, tmp_path, precision="auto", total_kimg=0.08))
    assert train(config(dataset, tmp_path, precision="fp32", total_kimg=0.12))


def test_other_data_is_refused(dataset, write_noise, tmp_path):
    train(config(dataset, tmp_path, total_kimg=0.04))
    write_noise(tmp_path / "other.h5", 16, seed=1)
    with pytest.raises(TrainError, match=r"got other images, expected the data that .*: 20 faces, 16x16"):
        train(config(tmp_path / "other.h5", tmp_path))
    write_noise(tmp_path / "labelled.h5", 16, labels=np.ones((20, 1), np.float32))
    with pytest.raises(TrainError, match=r"got 20 faces, 16x16, with labels, expected .*: 20 faces, 16x16, without"):
        train(config(tmp_path / "labelled.h5", tmp_path))


def test_other_labels_of_the_same_images_are_refused(write_noise, tmp_path):
    labels = np.eye(2, dtype=np.float32)[np.arange(20) % 2]
    write_noise(tmp_path / "labelled.h5", 16, labels=labels)
    train(config(tmp_path / "labelled.h5", tmp_path, total_kimg=0.04))
    write_noise(tmp_path / "other.h5", 16, labels=labels[::-1])
    with pytest.raises(TrainError, match=r"got other labels, expected the data that .* was trained on"):
        train(config(tmp_path / "other.h5", tmp_path))


def test_checkpoint_of_other_networks_is_named(dataset, tmp_path):
    train(config(dataset, tmp_path, total_kimg=0.04))
    newest = checkpoints(tmp_path / "run" / "checkpoints")[-1]
    state = load_checkpoint(newest)
    del state["generator"]["to_rgb.4x4.bias"]
    torch.save(state, newest)
    with pytest.raises(CheckpointError, match=rf"{newest.name}: does not fit .*to_rgb\.4x4\.bias") as error:
        train(config(dataset, tmp_path, total_kimg=0.08))
    assert "\n" not in str(error.value)


def test_full_disk_is_one_line_and_resumes(dataset, tmp_path):
    """The log may not grow beyond a few hundred bytes, as on a full disk."""
    options = [f"--{k.replace('_', '-')}={v}" for k, v in TINY.items() if k not in ("preset", "tick_kimg")]
    program = f"""
import resource, signal, sys
import train.loop
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
from train.__main__ import main
sys.argv = ["train", "--dataset", {str(dataset)!r}, "--outdir", {str(tmp_path)!r}, "--name", "run", "--preset", "smoke",
            "--resolution", "16", "--tick-kimg", "0.008", "--total-kimg", "0.04", *{options!r}]
main()
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "the same command resumes" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_resolution_beyond_the_file_is_refused(dataset, tmp_path):
    with pytest.raises(TrainError, match=r"got 16x16, not enough for --resolution 64; give --resolution 16"):
        train(config(dataset, tmp_path, resolution=64))


def test_cuda_without_cuda_is_refused(dataset, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is CUDA here")
    with pytest.raises(DeviceError, match="--device cuda: PyTorch finds no CUDA device"):
        train(config(dataset, tmp_path, device="cuda"))


def test_a_folder_as_the_dataset_is_told_what_makes_one_of_it(typed, tmp_path):
    code, said = typed("train", "--dataset", tmp_path, "--outdir", tmp_path)
    assert code == 2 and said.count("\n") == 1
    assert f"{tmp_path}: a folder, expected" in said and f"celebahq-data import {tmp_path} --output" in said


def test_file_that_is_no_dataset_is_refused(tmp_path):
    (tmp_path / "bad.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(DatasetError, match=r"bad\.h5"):
        train(config(tmp_path / "bad.h5", tmp_path))
    with h5py.File(tmp_path / "layout.h5", "w") as file:
        file["images"] = np.zeros((2, 8, 8, 3), np.uint8)
    with pytest.raises(DatasetError, match=r"layout\.h5"):
        train(config(tmp_path / "layout.h5", tmp_path))
