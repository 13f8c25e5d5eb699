"""Of several ranks with the same to say the first says it, and none ends before."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from celebahq.command import end_after_the_first_rank, refuse_torchrun
from celebahq.errors import CelebAHQError
from train.__main__ import _main

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("module", "word"), [("train.metrics", "mnist1k"), ("train.restoration", "publish")])
def test_commands_of_one_process_refuse_torchrun_in_one_line(module, word):
    environment = {**os.environ, "WORLD_SIZE": "4", "RANK": "0", "PYTHONPATH": str(ROOT)}
    end = subprocess.run([sys.executable, "-m", module, word], env=environment, capture_output=True, text=True)
    line = f"{module}: torchrun: got 4 processes, expected one: {module} {word} runs in one; start it with python\n"
    assert (end.returncode, end.stderr) == (2, line)


@pytest.mark.parametrize("module", ["train.ema", "train.plot", "train.film", "train.benchmark"])
def test_commands_that_never_have_ranks_refuse_torchrun(module, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(CelebAHQError, match=f"torchrun: got 2 processes, expected one: {module} runs in one"):
        importlib.import_module(module)._main()


class Waits(Exception):
    """Raised where a process would sleep."""


@pytest.mark.parametrize("arguments", [["--minibatch-at", "3 8"], ["--preset", "papre"], ["--no-such-option"], []])
def test_a_rank_with_nothing_to_say_does_not_fail_before_the_first_has_spoken(arguments, monkeypatch, capfd):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr("sys.argv", ["train", "--dataset", "faces.h5", *arguments] if arguments else ["train"])
    monkeypatch.setattr("time.sleep", _waits)
    with pytest.raises(Waits):
        _main()
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(Waits):
        refuse_torchrun("train.metrics")
    assert capfd.readouterr() == ("", "")


def test_a_rank_whose_launcher_has_ended_does_not_wait(monkeypatch):
    parents = iter([5, 5, 1])
    monkeypatch.setattr("os.getppid", lambda: next(parents))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(SystemExit, match="2"):
        end_after_the_first_rank(2)


def _waits(seconds: float) -> None:
    raise Waits
