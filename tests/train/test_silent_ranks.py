"""Of several ranks with the same to say the first says it, and none ends before."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from celebahq.command import end_after_the_first_rank, parsed_on_every_rank, run_command
from celebahq.errors import CelebAHQError
from train.__main__ import _main

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("silent_again")
FIRST_OF_FOUR = {"WORLD_SIZE": "4", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
REFUSAL = "torchrun: got 4 processes, expected one; this command runs in one: start it by itself"
ALONE = {
    "celebahq_builder.__main__": "celebahq-build",
    "celebahq_builder.dataset": "celebahq-data",
    "export.__main__": "python -m export",
    "zoo.__main__": "python -m zoo",
    "train.benchmark": "train.benchmark",
    "train.ema": "train.ema",
    "train.film": "train.film",
    "train.plot": "train.plot",
}


@pytest.mark.parametrize(("module", "word"), [("train.metrics", "mnist1k"), ("train.restoration", "publish")])
def test_commands_of_one_process_refuse_torchrun_in_one_line(module, word):
    environment = {**os.environ, **FIRST_OF_FOUR, "PYTHONPATH": str(ROOT)}
    end = subprocess.run([sys.executable, "-m", module, word], env=environment, capture_output=True, text=True)
    assert (end.returncode, end.stderr) == (2, f"{module}: {REFUSAL}\n")


@pytest.mark.parametrize("module", ALONE)
def test_commands_that_never_have_ranks_refuse_torchrun(module, monkeypatch, capsys):
    for name, value in FIRST_OF_FOUR.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", [module, "--no-such-option"])
    with pytest.raises(SystemExit, match="2"):
        importlib.import_module(module).main()
    assert capsys.readouterr().err == f"{ALONE[module]}: {REFUSAL}\n"


def test_what_a_scheduler_says_of_its_job_is_no_torchrun(monkeypatch):
    """A job of several machines has WORLD_SIZE and RANK in whatever is run on them."""
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(SystemExit, match="7"):
        run_command(lambda: 7, "celebahq-data")
    assert parsed_on_every_rank(lambda: "config") == "config"
    with pytest.raises(CelebAHQError, match="said by this one"):
        parsed_on_every_rank(lambda: _raise(CelebAHQError("said by this one")))


class Waits(Exception):
    """Raised where a process would sleep."""


@pytest.mark.parametrize("arguments", [["--minibatch-at", "3 8"], ["--preset", "papre"], ["--no-such-option"], []])
def test_a_rank_with_nothing_to_say_does_not_fail_before_the_first_has_spoken(arguments, monkeypatch, capfd):
    for name, value in (FIRST_OF_FOUR | {"RANK": "1"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", ["train", "--dataset", "faces.h5", *arguments] if arguments else ["train"])
    monkeypatch.setattr("time.sleep", _waits)
    with pytest.raises(Waits):
        _main()
    with pytest.raises(Waits):
        run_command(lambda: None, "train.metrics")
    assert capfd.readouterr() == ("", "")


def test_a_rank_whose_launcher_has_ended_does_not_wait(monkeypatch):
    parents = iter([5, 5, 1])
    monkeypatch.setattr("os.getppid", lambda: next(parents))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(SystemExit, match="2"):
        end_after_the_first_rank(2)


def _waits(seconds: float) -> None:
    raise Waits


def _raise(error: Exception) -> None:
    raise error
