"""The whole loop on a small file: growth, files, exact resume, every refusal a user can meet."""

import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import zoo
from train import capture
from train.config import TrainConfig
from train.data import RealFaces
from train.loop import Stopwatch, train
from train.state.checkpoint import checkpoints, load_checkpoint
from train.state.run_lock import lock_run_folder

sys.path.insert(0, str(Path(__file__).parent))
from launch import ROOT, finish, wait_until

TINY = {
    "stable_kimg": 0.064, "fade_kimg": 0.064, "minibatch": 8, "fmap_base": 32, "fmap_max": 8, "latent_size": 8,
    "tick_kimg": 0.04, "checkpoint_ticks": 1, "ema_kimg": 0.1, "image_ticks": 3, "device": "cpu", "preset": "tiny",
}  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, write_noise) -> Path:
    return write_noise(tmp_path_factory.mktemp("data") / "faces.h5", 16)


def config(dataset: Path, folder: Path, **options) -> TrainConfig:
    return TrainConfig(dataset=dataset, outdir=folder, name="run", **{**TINY, **options})


def final_state(folder: Path) -> dict:
    state = load_checkpoint(checkpoints(folder / "run" / "checkpoints")[-1])
    return {k: v for k, v in state.items() if k not in ("config", "seconds")}


def assert_same(a, b, where="state"):
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    else:
        assert a == b, where


def test_a_run_grows_to_the_top_and_leaves_what_the_design_names(dataset, tmp_path, drawn_curves):
    assert train(config(dataset, tmp_path))
    run = tmp_path / "run"
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [r["resolution"] for r in rows] == sorted(r["resolution"] for r in rows)
    assert {r["resolution"] for r in rows} == {4, 8, 16}
    assert any(0 < r["alpha"] < 1 for r in rows)
    assert all(np.isfinite(r["d_loss"]) and r["d_overflow"] == 0 for r in rows)
    # growth of 2 x (64 + 64) images and two more stable phases
    assert rows[-1]["kimg"] == pytest.approx(0.384)
    assert (run / "reals.png").exists()
    assert list(run.glob("fakes-*.png"))
    assert list(run.glob("events.out.tfevents.*"))
    assert "0.384 kimg, 16x16" in (run / "index.html").read_text() and "<path" in (run / "index.html").read_text()
    assert json.loads((run / "config.json").read_text())["fmap_base"] == 32
    generator = zoo.load(run)
    assert generator(torch.randn(2, 8)).shape == (2, 3, 16, 16)
    state = load_checkpoint(checkpoints(run / "checkpoints")[-1])
    for key, value in generator.state_dict().items():
        assert torch.equal(value, state["g_ema"][key]), key


@pytest.mark.parametrize("stops", [[0.096, 0.224], pytest.param([0.288], marks=pytest.mark.slow)])
def test_stopped_and_resumed_equals_uninterrupted_bit_for_bit(dataset, tmp_path, stops):
    """Ticks fall on the same images, so that every file but the clock is equal."""
    options = {"tick_kimg": 0.032}
    train(config(dataset, tmp_path / "whole", **options))
    for stop in (*stops, 0.384):
        train(config(dataset, tmp_path / "parts", total_kimg=stop, **options))
    assert_same(final_state(tmp_path / "whole"), final_state(tmp_path / "parts"))


def start(dataset: Path, folder: Path) -> subprocess.Popen:
    options = [f"--{k.replace('_', '-')}={v}" for k, v in TINY.items() if k != "preset"]
    command = [sys.executable, "-m", "train", f"--dataset={dataset}", f"--outdir={folder}", "--name=run", *options]
    command += ["--preset=smoke", "--tick-kimg=0.008", "--resolution=16", "--total-kimg=0.8"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ticks(folder: Path) -> int:
    log = folder / "run" / "log.jsonl"
    return log.read_text().count("\n") if log.exists() else 0


@pytest.mark.slow
def test_killed_and_interrupted_then_resumed_equals_uninterrupted(dataset, tmp_path):
    whole = start(dataset, tmp_path / "whole")
    said, errors = finish(whole)
    assert whole.returncode == 0, said + errors

    killed = start(dataset, tmp_path / "parts")
    wait_until(lambda: ticks(tmp_path / "parts") >= 5, killed)
    killed.kill()
    killed.wait()
    before = ticks(tmp_path / "parts")  # maybe more than 5: the next one has to be at work, too
    interrupted = start(dataset, tmp_path / "parts")
    wait_until(lambda: ticks(tmp_path / "parts") >= before + 10, interrupted)
    interrupted.send_signal(signal.SIGINT)
    said, errors = finish(interrupted)
    assert interrupted.returncode == 130, said + errors
    assert "run the same command again to resume" in said
    last = start(dataset, tmp_path / "parts")
    said, errors = finish(last)
    assert last.returncode == 0, said + errors

    assert_same(final_state(tmp_path / "whole"), final_state(tmp_path / "parts"))
    kimg = [json.loads(x)["kimg"] for x in (tmp_path / "parts/run/log.jsonl").read_text().splitlines()]
    assert kimg == [json.loads(x)["kimg"] for x in (tmp_path / "whole/run/log.jsonl").read_text().splitlines()]


def test_a_run_that_fails_to_publish_does_not_count_as_done(dataset, tmp_path, monkeypatch):
    def disk_full(*arguments, **options):
        raise OSError("no space")

    with monkeypatch.context() as patch:
        patch.setattr("train.state.saving.save_model_folder", disk_full)
        with pytest.raises(OSError, match="no space"):
            train(config(dataset, tmp_path, total_kimg=0.04))
    train(config(dataset, tmp_path, total_kimg=0.04))
    assert zoo.load(tmp_path / "run").config.resolution == 4


def test_finished_run_is_left_alone(dataset, tmp_path):
    train(config(dataset, tmp_path, total_kimg=0.064))
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "run" / "checkpoints").iterdir()}
    assert train(config(dataset, tmp_path, total_kimg=0.064))
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "run" / "checkpoints").iterdir()} == before


def test_model_published_while_fading_ends_at_the_last_full_resolution(dataset, tmp_path):
    train(config(dataset, tmp_path, total_kimg=0.096))  # half-way through the fade to 8x8
    generator = zoo.load(tmp_path / "run")
    assert generator.config.resolution == 4
    assert generator(torch.randn(1, 8)).shape == (1, 3, 4, 4)


def test_dataset_behind_a_url_is_trained_on_and_gone_on_with(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("CELEBAHQ_DATASET_CACHE", str(tmp_path / "cache"))
    url = Path(f"file://{dataset}")
    train(config(url, tmp_path, total_kimg=0.04))
    train(config(url, tmp_path, total_kimg=0.08))
    train(config(dataset, tmp_path / "here", total_kimg=0.08))
    assert_same(final_state(tmp_path), final_state(tmp_path / "here"))


def test_conditional_data_trains_a_conditional_generator(write_noise, tmp_path):
    write_noise(tmp_path / "labelled.h5", 16, labels=np.eye(2, dtype=np.float32)[np.arange(20) % 2])
    train(config(tmp_path / "labelled.h5", tmp_path, total_kimg=0.2))
    assert zoo.load(tmp_path / "run").config.label_size == 2


def test_checkpoint_is_also_written_when_the_last_is_old(dataset, tmp_path):
    options = {"tick_kimg": 0.016, "checkpoint_ticks": 1000, "keep_checkpoints": 100, "total_kimg": 0.064}
    train(config(dataset, tmp_path / "seldom", **options))
    train(config(dataset, tmp_path / "often", checkpoint_minutes=1e-9, **options))
    counts = [len(checkpoints(tmp_path / name / "run" / "checkpoints")) for name in ("seldom", "often")]
    assert counts == [1, 4]


def test_tensorboard_shows_each_tick_of_a_resumed_run_once(dataset, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for total in (0.08, 0.16):
        train(config(dataset, tmp_path, total_kimg=total))
    events = EventAccumulator(str(tmp_path / "run")).Reload()
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [e.step for e in events.Scalars("train/d_loss")] == [round(row["kimg"] * 1000) for row in rows]


def test_two_processes_cannot_train_in_one_folder(dataset, tmp_path):
    with lock_run_folder(tmp_path / "run", print):  # the first process, at whatever it does
        second = start(dataset, tmp_path)
        _, errors = finish(second)
        assert second.returncode == 2 and "another process trains in it" in errors, errors
    assert not (tmp_path / "run" / "log.jsonl").exists()


def test_stopwatch_rates_the_images_since_its_start_and_adds_up_over_a_resume(monkeypatch):
    times = iter([10.0, 14.0, 100.0, 101.0])
    monkeypatch.setattr("train.loop.time", SimpleNamespace(monotonic=lambda: next(times)))  # no thread's but its own
    watch = Stopwatch()
    watch.start(1000)
    assert watch.stop(3000) == pytest.approx(2.0)  # 4 s for 2 kimg
    watch.start(3000)  # after images and a checkpoint, which do not count
    assert watch.stop(3500) == pytest.approx(2.0)
    assert watch.seconds == pytest.approx(5.0)


def test_a_fade_takes_alpha_as_a_tensor_and_what_follows_as_the_number_1(dataset, tmp_path, monkeypatch):
    seen, held = [], []
    monkeypatch.setattr(RealFaces, "hold", lambda data, room: held.append(data._resolution))
    real = capture.train_step
    monkeypatch.setattr(capture, "train_step", lambda *args: seen.append(args[4]) or real(*args))
    train(config(dataset, tmp_path, total_kimg=0.27))
    kinds = [kind for kind, _ in itertools.groupby(map(type, seen))]
    assert kinds[-5:] == [float, torch.Tensor] * 2 + [float]  # those before are timed ahead of the run
    assert held == [4, 8, 8, 16, 16]  # data comes into what memory the first step of each shape has left
