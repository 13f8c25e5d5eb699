"""The published command, parsed by the real command line."""

import shlex
from pathlib import Path

import pytest

from train import __main__ as command_line
from train.config import TrainConfig, TrainError
from train.options import train_command, with_saved_options
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


def test_compile_and_fused_kernels_take_each_others_place_on_a_resume():
    began = TrainConfig(dataset="f.h5", kernels="fused").to_dict()
    resumed = with_saved_options(TrainConfig(dataset="f.h5", compile=True), began, frozenset({"compile"}))
    assert resumed.compile and resumed.kernels == "auto"
    began = TrainConfig(dataset="f.h5", compile=True).to_dict()
    resumed = with_saved_options(TrainConfig(dataset="f.h5", kernels="fused"), began, frozenset({"kernels"}))
    assert resumed.kernels == "fused" and not resumed.compile


@pytest.mark.parametrize(("name", "value"), [("resident_gib", -1), ("ema_beta", 1.5), ("ema_beta", -0.1)])
def test_numbers_that_mean_nothing_are_refused(name, value):
    with pytest.raises(TrainError, match=f"--{name.replace('_', '-')}: got {value}, expected"):
        TrainConfig(dataset="f.h5", **{name: value})
