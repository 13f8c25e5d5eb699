"""Options together that several ranks train with as one process does: labels, bf16, averages of any length, --init."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from train.ema import EmaConfig
from train.posthoc import write_posthoc
from train.state.checkpoint import checkpoints, load_checkpoint
from zoo import weights

sys.path.insert(0, str(Path(__file__).parent))
from launch import finish, start
from training_runs import differ, rows, trained


def moved(state: dict, start: dict) -> float:
    """Return how far apart the networks of two checkpoints are, all parameters together."""
    names = ("generator", "discriminator", "g_ema")
    return sum(float((state[n][k] - start[n][k]).square().sum()) for n in names for k in state[n]) ** 0.5


@pytest.mark.slow
def test_labels_and_averages_of_two_ranks_are_those_of_one_and_their_run_is_a_start(write_noise, tmp_path):
    dataset = write_noise(tmp_path / "faces.h5", labels=np.eye(3)[np.arange(20) % 3], label_names=("a", "b", "c"))
    options = {"augment": "none", "total_kimg": 0.256, "image_ticks": 1}
    states, averages, pages, configs = {}, {}, {}, {}
    for count in (1, 2):
        states[count] = trained(count, dataset, tmp_path / str(count), **options)
        run = tmp_path / str(count) / "run"
        write_posthoc(EmaConfig(run=run, length=0.1, output=tmp_path / f"ema-{count}"))
        averages[count] = weights.load(tmp_path / f"ema-{count}").state_dict()
        pages[count] = (run / "index.html").read_text()
        configs[count] = json.loads((run / "config.json").read_text()) | {"outdir": ""}
    assert states[2]["architecture"]["label_size"] == 3
    assert rows(tmp_path / "1") == rows(tmp_path / "2") and configs[1] == configs[2]
    assert 0 < differ(states[1], states[2]) < 1e-3
    assert max(float((averages[1][k] - averages[2][k]).abs().max()) for k in averages[1]) < 1e-3
    assert "CPU, 2 processes of 1 thread" in pages[2] and "processes of" not in pages[1]

    words = (
        "--resolution=8",
        "--total-kimg=0.064",
        "--minibatch=8",
        "--tick-kimg=0.032",
        "--image-ticks=0",
        "--augment=ada",
    )
    on = {}
    for count in (1, 2):
        command = (
            "-m",
            "train",
            "--preset=smoke",
            f"--dataset={dataset}",
            f"--outdir={tmp_path}",
            f"--name=on-{count}",
        )
        process = start(count, *command, f"--init={run}", *words, "--precision=fp32", "--device=cpu")
        _, errors = finish(process)
        assert process.returncode == 0, errors
        on[count] = load_checkpoint(checkpoints(tmp_path / f"on-{count}" / "checkpoints")[-1])
    assert 0 < differ(on[1], on[2]) < 1e-3 < differ(on[2], states[2])
    assert torch.allclose(on[1]["ada"], on[2]["ada"], atol=1e-3)


@pytest.mark.slow
def test_bf16_of_two_ranks_is_that_of_one_but_for_its_rounding(dataset, tmp_path):
    """It rounds to 8 bits, and Adam makes steps of one length of the smallest gradients: bits are not compared."""
    options = {"precision": "bf16", "augment": "none"}
    start, one = (trained(1, dataset, tmp_path / "1", total_kimg=kimg, **options) for kimg in (0.008, 0.192))
    two = trained(2, dataset, tmp_path / "2", total_kimg=0.192, **options)
    assert one["precision"] == two["precision"] == "bf16"
    assert two["nimg"] == one["nimg"] and two["stage"] == one["stage"]
    assert 0 < moved(one, two) < 0.5 * moved(one, start), (moved(one, two), moved(one, start))
