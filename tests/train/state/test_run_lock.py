"""One process at a time in a run folder, and a start that is refused leaves nothing that looks like a run."""

from dataclasses import replace
from pathlib import Path

import pytest

from celebahq.errors import CelebAHQError
from train.config import TrainConfig, TrainError
from train.loop import train
from train.state import run_lock
from train.state.run_lock import lock_run_folder

TINY = {"fmap_base": 32, "fmap_max": 8, "latent_size": 8, "minibatch": 8, "stable_kimg": 0.064, "fade_kimg": 0.064,
        "tick_kimg": 0.04, "image_ticks": 0, "device": "cpu", "name": "run", "augment": "none"}  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, write_noise) -> Path:
    return write_noise(tmp_path_factory.mktemp("data") / "faces.h5", 16)


@pytest.mark.parametrize(
    "options",
    [
        {"resolution": 64},
        {"device": "cuda:7"},
        {"precision": "tf32"},
        {"minibatch": 6},  # whole groups of minibatch stddev, seen once the networks stand
        {"init": "{folder}/nowhere"},
        {"total_kimg": 0.01, "discriminator_kimg": 0.04},
    ],
)
def test_a_refused_start_leaves_nothing_new(dataset, tmp_path, options):
    options = {key: value.format(folder=tmp_path) if key == "init" else value for key, value in options.items()}
    with pytest.raises(CelebAHQError):
        train(TrainConfig(dataset=dataset, outdir=tmp_path / "some" / "runs", **TINY | {"stddev": "strided"} | options))
    assert not list(tmp_path.iterdir())


def test_what_fails_after_the_first_lines_and_before_the_first_tick_leaves_nothing_either(
    dataset, tmp_path, monkeypatch
):
    def interrupted(*_):
        assert (tmp_path / "runs" / "run" / "config.json").is_file()
        raise KeyboardInterrupt

    monkeypatch.setattr("train.stepper.Stepper.advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(TrainConfig(dataset=dataset, outdir=tmp_path / "runs", **TINY))
    assert not list(tmp_path.iterdir())


def test_a_refused_start_takes_nothing_from_a_run_and_nothing_of_somebody_elses(dataset, tmp_path):
    config = TrainConfig(dataset=dataset, outdir=tmp_path, total_kimg=0.04, **TINY)
    train(config)
    names, options = sorted(tmp_path.rglob("*")), (tmp_path / "run" / "config.json").read_text()
    for refused in ({"seed": 3}, {"device": "cuda:7", "learning_rate": 0.5}):
        with pytest.raises(CelebAHQError):
            train(replace(config, total_kimg=0.08, **refused))
        assert sorted(tmp_path.rglob("*")) == names and (tmp_path / "run" / "config.json").read_text() == options
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    with pytest.raises(CelebAHQError):
        train(replace(config, name="mine", resolution=64))
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_a_lock_that_a_refused_start_removed_in_between_is_taken_anew(tmp_path, monkeypatch):
    lock, taken = run_lock.files.lock, []

    def removed_before_it_is_locked(file):
        if not taken:
            (tmp_path / "run" / "lock").unlink()
        taken.append(lock(file))
        return taken[-1]

    monkeypatch.setattr(run_lock.files, "lock", removed_before_it_is_locked)
    with lock_run_folder(tmp_path / "run", print):
        if not taken[0]:
            pytest.skip("this file system has no locks")
        assert len(taken) == 2
        with pytest.raises(TrainError, match="another process trains in it"), lock_run_folder(tmp_path / "run", print):
            pass
    assert (tmp_path / "run" / "lock").is_file()


def test_a_name_that_no_folder_can_have_is_refused_in_one_line(dataset, tmp_path):
    name = "a" * 300
    with pytest.raises(TrainError, match=rf"/{name}: cannot be written \(File name too long\), expected a writable"):
        train(TrainConfig(dataset=dataset, outdir=tmp_path, **TINY | {"name": name}))
