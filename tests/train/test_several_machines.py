"""Two torchruns that meet at one address, as two machines do, train as one; a rank that falls silent ends both."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from train.peers import DEAD_AFTER
from train.report.run_log import read_rows

sys.path.insert(0, str(Path(__file__).parent))
from launch import finish, free_port, ranks_of, start, wait_for, wait_until

TINY = {
    "stable_kimg": 0.096, "fade_kimg": 0.064, "minibatch": 8, "fmap_base": 32, "fmap_max": 8, "latent_size": 8,
    "tick_kimg": 0.032, "checkpoint_ticks": 1, "image_ticks": 0, "device": "cpu", "resolution": 8, "augment": "none",
}  # fmt: skip


def two_machines(dataset: Path, folder: Path, total_kimg: float) -> list[subprocess.Popen]:
    """Start a torchrun of one rank each for either of two nodes; they meet at the first's address."""
    endpoint = f"127.0.0.1:{free_port()}"
    words = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]
    command = ("-m", "train", "--preset=smoke", f"--dataset={dataset}", f"--outdir={folder}", "--name=run", *words)
    return [start(1, *command, f"--total-kimg={total_kimg}", nodes=2, endpoint=endpoint) for _ in range(2)]


@pytest.mark.slow
def test_two_nodes_train_one_run_and_one_of_them_speaks(dataset, tmp_path):
    ends = [(*finish(node), node.returncode) for node in two_machines(dataset, tmp_path, 0.16)]
    assert [code for *_, code in ends] == [0, 0], ends
    assert sum(said.count("done: ") for said, *_ in ends) == 1, ends
    assert read_rows(tmp_path / "run" / "log.jsonl")[-1]["kimg"] == 0.16


def is_first(node: subprocess.Popen) -> bool:
    """Whether a node holds rank 0."""
    (pid,) = ranks_of(node)
    return b"RANK=0" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


@pytest.mark.slow
def test_a_rank_that_falls_silent_ends_the_others_within_a_minute_with_one_line_that_names_it(dataset, tmp_path):
    """As a machine that hangs, or whose network is gone: it lives, and says nothing. Later it comes back, and ends."""
    nodes = two_machines(dataset, tmp_path, 1000)
    wait_for(tmp_path / "run" / "log.jsonl", nodes[0])
    first, second = sorted(nodes, key=is_first, reverse=True)
    (lives,), (silent,) = ranks_of(first), ranks_of(second)
    os.kill(silent, signal.SIGSTOP)
    began = time.monotonic()
    try:
        wait_until(lambda: not Path(f"/proc/{lives}").exists())
        waited = time.monotonic() - began  # torchrun, which tidies up after it, is not what is timed
        _, errors = finish(first)
    finally:
        os.kill(silent, signal.SIGCONT)
    _, others = finish(second)
    ours = [line for line in errors.splitlines() if line.startswith("celebahq-train: ")]
    assert len(ours) == 1 and f"rank 1 (process {silent} on " in ours[0] and "goes on from the last" in ours[0], errors
    assert DEAD_AFTER - 5 < waited < 60, waited
    assert first.returncode != 0 and second.returncode != 0
    assert len([line for line in others.splitlines() if line.startswith("celebahq-train: ")]) <= 1, others
