"""Checkpoint files: whole or absent, never executed, clear when they cannot be used."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from train.state.checkpoint import CheckpointError, checkpoints, load_checkpoint, save_checkpoint

ROOT = Path(__file__).resolve().parents[3]
STATE = {"config": {"seed": 0}, "x": torch.arange(3)}


class Explosive:
    def __reduce__(self):
        return (eval, ("1/0",))


def test_checkpoint_comes_back_as_it_was(tmp_path):
    path = save_checkpoint(tmp_path, 1600, STATE, keep=2)
    assert path.name == "checkpoint-000001.600.pt"
    state = load_checkpoint(path)
    assert state["nimg"] == 1600
    torch.testing.assert_close(state["x"], STATE["x"])


def test_only_the_newest_are_kept_in_order_of_kimg(tmp_path):
    for nimg in (999_000, 1_000_000, 12_000_000):
        save_checkpoint(tmp_path, nimg, STATE, keep=2)
    assert [load_checkpoint(p)["nimg"] for p in checkpoints(tmp_path)] == [1_000_000, 12_000_000]


def test_truncated_checkpoint_is_one_line_with_the_remedy(tmp_path):
    path = save_checkpoint(tmp_path, 0, STATE, keep=1)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CheckpointError, match=r"cannot be read as a checkpoint \(") as error:
        load_checkpoint(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("dump", [pickle.dump, torch.save])
def test_malicious_pickle_is_refused_and_not_run(tmp_path, dump):
    path = tmp_path / "checkpoint-1.pt"
    with path.open("wb") as file:
        dump(Explosive(), file)
    with pytest.raises(CheckpointError, match="cannot be read"):  # ZeroDivisionError if it ran
        load_checkpoint(path)


def test_foreign_checkpoint_is_named_as_such(tmp_path):
    path = tmp_path / "checkpoint-1.pt"
    torch.save({"netG": {}}, path)
    with pytest.raises(CheckpointError, match="got something else, expected a checkpoint"):
        load_checkpoint(path)


def test_newer_format_is_refused(tmp_path):
    path = tmp_path / "checkpoint-1.pt"
    torch.save({"nimg": 0, "config": {}, "format_version": 99}, path)
    with pytest.raises(CheckpointError, match="got format version 99, expected 2"):
        load_checkpoint(path)


def test_a_write_that_the_system_cuts_short_leaves_the_checkpoints_that_were_there(tmp_path):
    save_checkpoint(tmp_path, 1000, STATE, keep=1)
    program = f"""
import pathlib, resource, signal, torch
from train.state.checkpoint import CheckpointError, save_checkpoint
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    save_checkpoint(pathlib.Path({str(tmp_path)!r}), 2000, {{"config": {{}}, "x": torch.randn(100_000)}}, keep=1)
except CheckpointError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert "cannot be written" in done.stdout, done.stderr
    assert "run the same command again to resume" in done.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint-000001.000.pt"]
