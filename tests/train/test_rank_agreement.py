"""Ranks that cannot train as one: other data, another version, no place to meet; one line says so, and all end."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from launch import HANGS, ROOT, finish, start

SCRIPT = Path(__file__).parent / "differing_rank.py"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("dataset", "faces.h5: got other data on rank 1 than on rank 0, expected the same"),
        ("version", "expected celebahq "),
    ],
)
def test_a_rank_that_differs_from_the_first_is_refused_in_one_line(dataset, write_noise, tmp_path, what, expected):
    (tmp_path / "other").mkdir()
    other = write_noise(tmp_path / "other" / "faces.h5", seed=1)
    process = start(2, SCRIPT, what, tmp_path / "runs", dataset, other)
    _, errors = finish(process)
    ours = [line for line in errors.splitlines() if line.startswith("celebahq-train: ")]
    assert process.returncode != 0 and len(ours) == 1 and expected in ours[0], errors
    if what == "version":
        assert (
            ours[0].startswith("celebahq-train: torchrun: got celebahq 0.0.1 with PyTorch ") and "rank 1 (" in ours[0]
        )
    assert not list((tmp_path / "runs").glob("*/config.json")), "what is refused leaves nothing"


def test_ranks_started_by_hand_on_a_port_that_is_taken_are_told_so_in_one_line(dataset, tmp_path):
    """As srun starts them, without torchrun, whose launcher holds the port itself."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        where = {
            "WORLD_SIZE": "2",
            "RANK": "0",
            "LOCAL_RANK": "0",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        command = [
            sys.executable,
            "-m",
            "train",
            "--dataset",
            dataset,
            "--outdir",
            tmp_path / "runs",
            "--device",
            "cpu",
        ]
        environment = {**os.environ, **where, "PYTHONPATH": str(ROOT)}
        ended = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True, timeout=HANGS)
    (line,) = (line for line in ended.stderr.splitlines() if line.startswith("celebahq-train: "))
    assert ended.returncode == 2 and f"torchrun: got no meeting at 127.0.0.1:{port} (" in line, ended.stderr
    assert "Traceback" not in ended.stderr and "give it a free port" in line
