"""What a resumed run goes on from: the newest checkpoint that can be used, its own options, its own data."""

import json
import logging
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import zoo
from train.config import TrainConfig
from train.loop import train
from train.options import current_arguments, given_options
from train.state.checkpoint import CheckpointError, checkpoints, load_checkpoint, save_checkpoint
from train.stepper import Stepper

TINY = {
    "stable_kimg": 0.064, "fade_kimg": 0.064, "minibatch": 8, "fmap_base": 32, "fmap_max": 8, "latent_size": 8,
    "tick_kimg": 0.016, "checkpoint_ticks": 1, "ema_kimg": 0.1, "image_ticks": 0, "device": "cpu", "preset": "tiny",
}  # fmt: skip


@pytest.fixture
def said():
    """The lines that the library tells its logger."""
    lines: list[str] = []
    handler, logger = logging.Handler(), logging.getLogger("celebahq")
    handler.emit = lambda record: lines.append(record.getMessage())
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(before)


def config(dataset: Path, folder: Path, **options) -> TrainConfig:
    return TrainConfig(dataset=dataset, outdir=folder, name="run", **{**TINY, **options})


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    state = load_checkpoint(checkpoints(folder / "run" / "checkpoints")[-1])
    return {f"{name}.{key}": x for name in ("generator", "discriminator", "g_ema") for key, x in state[name].items()}


def damage_end(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def damage_a_bit(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        entry = max(archive.infolist(), key=lambda e: e.file_size)
    data = bytearray(path.read_bytes())
    data[entry.header_offset + 200] ^= 1
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def without_fields(path: Path) -> None:
    state = load_checkpoint(path)
    del state["tick_start"]
    torch.save(state, path)


def of_wrong_type(path: Path) -> None:
    torch.save({**load_checkpoint(path), "tick": "three"}, path)


def of_other_networks(path: Path) -> None:
    state = load_checkpoint(path)
    del state["generator"]["to_rgb.4x4.bias"]
    torch.save(state, path)


@pytest.fixture(scope="module")
def uninterrupted(dataset, tmp_path_factory) -> Path:
    """The folder of a run to 0.064 kimg; no test may change it."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    train(config(dataset, folder, total_kimg=0.064))
    return folder


@pytest.fixture(scope="module")
def stopped(dataset, tmp_path_factory) -> Path:
    """The folder of a run that stopped at 0.048 kimg, for tests to copy."""
    folder = tmp_path_factory.mktemp("stopped")
    train(config(dataset, folder, total_kimg=0.048))
    return folder


@pytest.mark.parametrize(
    "damage",
    [damage_end, damage_a_bit, empty, without_fields, of_wrong_type, of_other_networks],
    ids=lambda f: f.__name__,
)
def test_a_damaged_newest_checkpoint_is_set_aside_and_the_one_before_goes_on(
    dataset, uninterrupted, stopped, tmp_path, damage, said
):
    shutil.copytree(stopped, tmp_path, dirs_exist_ok=True)
    said.clear()  # of the fixtures
    before, newest = checkpoints(tmp_path / "run" / "checkpoints")
    damage(newest)
    assert train(config(dataset, tmp_path, total_kimg=0.064))
    (line,) = [line for line in said if newest.name in line]
    assert f"set aside as {newest.name}.damaged, going on from {before.name}" in line and "\n" not in line
    assert newest.with_name(newest.name + ".damaged").exists()
    whole, parts = weights_of(uninterrupted), weights_of(tmp_path)
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_damage_without_a_checkpoint_before_is_one_line(dataset, tmp_path):
    train(config(dataset, tmp_path, total_kimg=0.016))
    (only,) = checkpoints(tmp_path / "run" / "checkpoints")
    damage_end(only)
    with pytest.raises(CheckpointError, match=rf"{only.name}: cannot be read .*give --name for a new run") as error:
        train(config(dataset, tmp_path, total_kimg=0.064))
    assert "\n" not in str(error.value) and only.exists()


def test_a_checkpoint_is_on_the_disk_before_it_takes_its_name_and_before_an_older_one_goes(tmp_path, monkeypatch):
    """A power cut at any moment leaves a checkpoint that is complete: the order of the calls is the promise."""
    calls = []
    save_checkpoint(tmp_path, 1000, {"config": {}}, keep=1)
    fsync, replace, unlink = os.fsync, Path.replace, Path.unlink

    def told_fsync(descriptor):
        file = Path(f"/proc/self/fd/{descriptor}").readlink()
        calls.append(("fsync", file.name if file.is_dir() or zipfile.is_zipfile(file) else "a part of it"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", told_fsync)
    monkeypatch.setattr(Path, "replace", lambda self, to: calls.append(("rename", self.name)) or replace(self, to))

    def told_unlink(self, missing_ok=False):
        if self.exists():
            calls.append(("remove", self.name))
        unlink(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", told_unlink)
    path = save_checkpoint(tmp_path, 2000, {"config": {}, "x": torch.zeros(100)}, keep=1)
    partial = path.name + ".partial"
    assert calls == [
        ("fsync", partial),
        ("rename", partial),
        ("fsync", tmp_path.name),
        ("remove", "checkpoint-000001.000.pt"),
    ]


def test_torn_and_foreign_lines_of_the_logs_never_stop_a_resume(dataset, tmp_path):
    train(config(dataset, tmp_path, total_kimg=0.032))
    for name in ("log.jsonl", "metrics.jsonl"):
        with (tmp_path / "run" / name).open("ab") as log:
            log.write(b'\xff\xfe\x00\n[1, 2]\n"text"\n{"kimg": "a"}\n{"kimg": NaN}\n{"kimg": true}\n{"kimg": 0.03')
    assert train(config(dataset, tmp_path, total_kimg=0.048))
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [row["kimg"] for row in rows] == [0.016, 0.032, 0.048]


def test_a_resumed_run_keeps_what_is_not_given_and_tells_what_is_changed(dataset, tmp_path, said):
    train(config(dataset, tmp_path, total_kimg=0.032, learning_rate=0.002, drift=0.01))
    plain = TrainConfig(
        dataset=dataset, outdir=tmp_path, name="run", device="cpu", learning_rate=0.0005, total_kimg=0.048
    )
    given = given_options(
        ["--dataset", "x", "--outdir=y", "--name", "run", "--learning-rate=0.0005", "--total-kimg", "1"]
    )
    assert train(plain, given)
    state = load_checkpoint(checkpoints(tmp_path / "run" / "checkpoints")[-1])
    assert (state["config"]["drift"], state["config"]["latent_size"], state["config"]["preset"]) == (0.01, 8, "tiny")
    history = [{"kimg": 0.032, "changed": {"learning_rate": [0.002, 0.0005]}}]
    assert state["history"] == history == json.loads((tmp_path / "run" / "history.json").read_text())
    assert json.loads((tmp_path / "run" / "model" / "config.json").read_text())["training"]["history"] == history
    assert any("--learning-rate 0.0005 from here on (--learning-rate 0.002 before)" in line for line in said)


def test_a_run_of_an_earlier_version_goes_on_and_its_command_too(dataset, tmp_path, said):
    options = {**TINY, "dataset": dataset, "outdir": tmp_path, "name": "run", "generator_slope": 0.1}
    train(TrainConfig(**options, total_kimg=0.032))
    (path,) = checkpoints(tmp_path / "run" / "checkpoints")[-1:]
    state = load_checkpoint(path)
    for part in ("config", "architecture"):
        state[part] = {name.replace("generator_slope", "generator_leak"): x for name, x in state[part].items()}
        assert state[part]["generator_leak"] == 0.1
    save_checkpoint(path.parent, state.pop("nimg"), state, keep=1)
    given = given_options(current_arguments(["--generator_leak=0.1", "--total-kimg", "0.064"]))
    assert given == {"generator_slope", "total_kimg"}
    assert train(TrainConfig(**options, total_kimg=0.064), given)
    assert any("resum" in line for line in said), said
    assert (
        json.loads((tmp_path / "run" / "model" / "config.json").read_text())["architecture"]["generator_slope"] == 0.1
    )


def test_options_that_a_command_line_names_are_found_in_every_spelling():
    words = ["--no-grow", "--minibatch_at", "4", "8", "--metrics-kimg=3", "faces.h5", "--no-such-thing"]
    assert given_options(words) == {"grow", "minibatch_at", "metrics_kimg"}


def test_adam_forgets_at_both_ends_of_a_fade_and_at_no_other_time(dataset, tmp_path, monkeypatch):
    """From outside: the steps that Adam has counted when an iteration begins."""
    counts, enter = [], Stepper._enter

    def spy(self, growth):
        entered = enter(self, growth)
        counts.append((growth.stage, *(int(adam.count) for adam in self.state.active_optimizers)))
        return entered

    monkeypatch.setattr(Stepper, "_enter", spy)
    train(config(dataset, tmp_path))
    per_stage = {stage: [c[1:] for c in counts if c[0] == stage] for stage in (0, 1, 2)}
    for stage, seen in per_stage.items():
        assert seen == [(i, i) for i in range(len(seen))], stage
    assert len(per_stage[1]) == 7 and len(per_stage[2]) > 8


def test_a_tick_that_was_interrupted_ends_where_it_would_have_ended(dataset, tmp_path, monkeypatch):
    """A checkpoint in the middle of a tick (before a growth, at Ctrl-C): the ticks of the log stay where they were."""
    options = {"tick_kimg": 0.048, "total_kimg": 0.192}
    train(config(dataset, tmp_path / "whole", **options))
    with monkeypatch.context() as patch:  # as if killed at 88 images, after the checkpoint before the growth at 72
        advance = Stepper.advance
        patch.setattr(Stepper, "advance", lambda s, g: 1 / 0 if s.state.nimg == 88 else advance(s, g))
        with pytest.raises(ZeroDivisionError):
            train(config(dataset, tmp_path / "parts", **options))
    assert checkpoints(tmp_path / "parts/run/checkpoints")[-1].name == "checkpoint-000000.072.pt"
    train(config(dataset, tmp_path / "parts", **options))
    logs = [
        [json.loads(line) for line in (tmp_path / name / "run" / "log.jsonl").read_text().splitlines()]
        for name in ("whole", "parts")
    ]
    for row in logs[0] + logs[1]:
        del row["seconds"], row["sec_per_kimg"]
    assert logs[0] == logs[1] and [row["kimg"] for row in logs[0]] == [0.048, 0.096, 0.144, 0.192]


def test_a_finished_run_whose_model_was_deleted_publishes_it_again(dataset, tmp_path, said):
    train(config(dataset, tmp_path, total_kimg=0.032))
    model = tmp_path / "run" / "model" / "model.safetensors"
    before = model.read_bytes()
    model.unlink()
    assert train(config(dataset, tmp_path, total_kimg=0.032))
    assert model.read_bytes() == before
    assert "(written again)" in said[-1]


def test_a_run_that_ends_in_a_fade_says_what_it_publishes(dataset, tmp_path, said):
    train(config(dataset, tmp_path, total_kimg=0.096))
    assert any("ends while 8x8 fades in: what is published is 4x4" in line for line in said)
    assert zoo.load(tmp_path / "run").config.resolution == 4


@pytest.mark.parametrize(
    ("labels", "names", "option"),
    [
        (np.eye(2)[np.arange(20) % 2], None, "--label 0"),
        (np.eye(2)[np.arange(20) % 2], ("not smiling", "smiling"), "--label 'not smiling'"),
        (np.eye(2)[np.arange(20) % 2], ("-1", "1"), "--label 0"),
        (np.tile([[0.5, -1.0]], (20, 1)), ("a", "b"), "--label 0.5,-1"),
    ],
)
def test_a_conditional_run_ends_with_a_command_that_has_its_label(write_noise, tmp_path, labels, names, option, said):
    path = write_noise(tmp_path / "labelled.h5", labels=labels.astype(np.float32), label_names=names)
    train(config(path, tmp_path, total_kimg=0.016))
    assert said[-1].endswith(f"python -m export images --model {tmp_path / 'run'} {option}")
    assert any("20 faces are few" in line for line in said)
