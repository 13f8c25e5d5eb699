"""The published command, parsed by the real command line."""

import shlex
from pathlib import Path

import pytest

from train import __main__ as command_line
from train.config import TrainConfig
from train.options import train_command
from train.presets import PRESETS


def parsed(monkeypatch, command: str) -> TrainConfig:
    got = []
    monkeypatch.setattr(command_line, "_train", lambda config, given: got.append(config))
    monkeypatch.setattr("sys.argv", shlex.split(command)[2:])  # without python -m
    command_line._main()
    return got[0]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"preset": "released", "grow": False, "mirror": False, "total_kimg": None},
        {"preset": "smoke", "minibatch_at": ((4, 32), (8, 16)), "seed": 7, "metrics": ("swd", "msssim"), "drift": 0.0},
    ],
)
def test_published_command_repeats_the_run_and_names_no_folder(monkeypatch, options):
    preset = options.get("preset", "paper")
    folders = {"dataset": Path("/home/somebody/my faces.h5"), "outdir": Path("/home/somebody/runs"), "name": "secret"}
    config = TrainConfig(**{**folders, "preset": preset, **PRESETS[preset], **options})
    command = train_command(config)
    assert "somebody" not in command and "secret" not in command
    again, wanted = parsed(monkeypatch, command).to_dict(), config.to_dict()
    differing = {name for name in wanted if again[name] != wanted[name]}
    assert differing <= {"dataset", "outdir", "name"} and again["dataset"] == "my faces.h5"
