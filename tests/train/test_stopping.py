"""How a run ends before its time: signals, divergence, no memory; each leaves what it had, and a way on."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import zoo
from train import capture
from train.config import TrainConfig, TrainError
from train.data import RealFaces
from train.loop import train
from train.state.checkpoint import checkpoints, load_checkpoint

sys.path.insert(0, str(Path(__file__).parent))
from launch import ROOT, wait_until

TINY = {
    "stable_kimg": 0.064, "fade_kimg": 0.064, "minibatch": 8, "fmap_base": 32, "fmap_max": 8, "latent_size": 8,
    "tick_kimg": 0.016, "checkpoint_ticks": 1, "ema_kimg": 0.1, "image_ticks": 0, "device": "cpu", "preset": "tiny",
}  # fmt: skip


def config(dataset: Path, folder: Path, **options) -> TrainConfig:
    return TrainConfig(dataset=dataset, outdir=folder, name="run", **{**TINY, **options})


def newest(folder: Path) -> dict:
    return load_checkpoint(checkpoints(folder / "run" / "checkpoints")[-1])


def assert_same_networks(a: Path, b: Path) -> None:
    for name in ("generator", "discriminator", "g_ema"):
        for key, value in newest(a)[name].items():
            assert torch.equal(value, newest(b)[name][key]), f"{name}.{key}"


WAITING = """
import sys, time
from train.stop_signals import StopSignals
with StopSignals(lambda line: print(line, flush=True)) as stopped:
    print("ready", flush=True)
    while not (stopped and sys.argv[1] == "leaves"):
        time.sleep(0.01)
print("saved", flush=True)
"""


def waiting(how: str, before=None) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, how], cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=before
    )
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_first_signal_is_answered_and_lets_the_loop_save(which):
    process = waiting("leaves")
    process.send_signal(which)
    assert process.stdout.readline().startswith("stopping after this iteration, saving; once more ends at once")
    assert process.stdout.read() == "saved\n" and process.wait() == 0


def test_second_signal_ends_at_once_without_saving():
    process = waiting("stays")
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline().startswith("stopping")
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM and process.stdout.read() == ""


def test_a_run_under_nohup_outlives_its_terminal():
    process = waiting("leaves", before=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)  # the first that is answered
    assert process.stdout.readline().startswith("stopping")
    assert process.stdout.read() == "saved\n" and process.wait() == 0


@pytest.mark.slow
def test_closed_terminal_saves_and_the_same_command_resumes(dataset, tmp_path):
    options = [f"--{k.replace('_', '-')}={v}" for k, v in TINY.items() if k != "preset"]
    command = [sys.executable, "-m", "train", f"--dataset={dataset}", f"--outdir={tmp_path}", "--name=run", *options]
    command += ["--preset=smoke", "--resolution=8", "--total-kimg=1000", "--checkpoint-ticks=1000000"]
    with (tmp_path / "errors").open("w") as errors:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True)
    while "D " not in (line := process.stdout.readline()):
        assert line, (tmp_path / "errors").read_text()
    process.stdout.close()  # as the terminal is when it is closed
    process.send_signal(signal.SIGHUP)
    wait_until(lambda: process.poll() is not None)
    assert process.returncode == 130, (tmp_path / "errors").read_text()
    state = newest(tmp_path)
    assert state["nimg"] >= 16 and zoo.load(tmp_path / "run").config.latent_size == 8


def test_diverged_run_stops_keeps_its_last_healthy_checkpoint_and_goes_on_with_a_lower_rate(dataset, tmp_path):
    train(config(dataset, tmp_path, total_kimg=0.032))
    model = (tmp_path / "run" / "model" / "model.safetensors").read_bytes()
    with pytest.raises(TrainError, match=r"has diverged .* checkpoint-000000\.032\.pt is kept, the same command with "
                                         r"--learning-rate \S+ goes on from it") as error:  # fmt: skip
        train(config(dataset, tmp_path, total_kimg=0.096, learning_rate=1e30))
    assert newest(tmp_path)["nimg"] == 32
    assert (tmp_path / "run" / "model" / "model.safetensors").read_bytes() == model
    assert float(re.search(r"--learning-rate (\S+)", str(error.value))[1]) == 5e29
    assert train(config(dataset, tmp_path, total_kimg=0.096, learning_rate=0.0005))
    state = newest(tmp_path)
    assert all(torch.isfinite(x).all() for x in state["generator"].values())
    assert state["history"] == [{"kimg": 0.032, "changed": {"learning_rate": [0.001, 0.0005]}}]


def test_divergence_before_any_checkpoint_says_so(dataset, tmp_path):
    with pytest.raises(TrainError, match=r"the same command with --learning-rate-at 4 5e\+29 8 1 begins again"):
        train(config(dataset, tmp_path, learning_rate_at=((4, 1e30), (8, 1.0))))
    assert not checkpoints(tmp_path / "run" / "checkpoints") and not (tmp_path / "run" / "model").exists()


def test_weights_that_are_not_finite_are_never_saved_even_by_ctrl_c_within_a_tick(dataset, tmp_path, monkeypatch):
    step = capture.train_step

    def broken(nets, *rest):
        step(nets, *rest)
        nets.ema_flat.vector[0] = float("nan")

    monkeypatch.setattr(capture, "train_step", broken)
    monkeypatch.setattr("train.stop_signals.StopSignals.__bool__", lambda self: True)
    with pytest.raises(TrainError, match="has diverged"):
        train(config(dataset, tmp_path, tick_kimg=1))
    assert not checkpoints(tmp_path / "run" / "checkpoints")


def out_of_memory_when(monkeypatch, is_short) -> list[int]:
    """Let the iteration run out of memory after D's update whenever is_short(number of the call) says so."""
    monkeypatch.setattr("train.start.time_first_levels", lambda *arguments: None)  # its iterations are not the run's
    step, calls = capture.train_step, []

    def short(nets, *rest):
        calls.append(len(calls))
        if is_short(calls[-1]):
            nets.d_flat.vector.add_(1)
            nets.discriminator.requires_grad_(False)
            raise torch.OutOfMemoryError("CUDA out of memory")
        step(nets, *rest)

    monkeypatch.setattr(capture, "train_step", short)
    return calls


def test_memory_that_runs_out_at_a_new_shape_drops_the_resident_level_and_changes_nothing(
    dataset, tmp_path, monkeypatch
):
    train(config(dataset, tmp_path / "plain"))
    released, release = [], RealFaces.release_resident
    monkeypatch.setattr(RealFaces, "release_resident", lambda self: released.append(release(self)) or released[-1])
    out_of_memory_when(monkeypatch, lambda call: call == 9)  # the first iteration at 8x8
    assert train(config(dataset, tmp_path / "short"))
    assert released == [True]
    assert_same_networks(tmp_path / "plain", tmp_path / "short")


def test_memory_that_stays_short_ends_with_a_checkpoint_and_what_needs_less(dataset, tmp_path, monkeypatch):
    train(config(dataset, tmp_path / "plain"))
    with monkeypatch.context() as patch:
        out_of_memory_when(patch, lambda call: call >= 9)
        wanted = r"8x8: got no memory for minibatches of 8, saved at 0.072 kimg; .*--minibatch-at 8 4 --resident-gib 0 "
        with pytest.raises(TrainError, match=wanted):
            train(config(dataset, tmp_path / "short", checkpoint_ticks=1000))
    assert newest(tmp_path / "short")["nimg"] == 72
    assert train(config(dataset, tmp_path / "short"))
    assert_same_networks(tmp_path / "plain", tmp_path / "short")


def test_memory_that_runs_out_between_the_two_updates_saves_no_half_iteration(dataset, tmp_path, monkeypatch):
    out_of_memory_when(monkeypatch, lambda call: call >= 6)
    with pytest.raises(TrainError, match=r"got no memory for minibatches of 8; the same command with"):
        train(config(dataset, tmp_path, checkpoint_ticks=1))
    assert newest(tmp_path)["nimg"] == 48  # of the tick before


def test_grids_are_painted_in_smaller_batches_where_memory_is_short_and_left_out_where_it_is_not_enough(
    dataset, tmp_path, monkeypatch
):
    from train.report import tick_outputs

    generate, asked = tick_outputs.generate, []

    def short(g_ema, latents, labels, resolution, alpha, batch):
        asked.append(batch)
        if batch > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return generate(g_ema, latents, labels, resolution, alpha, batch)

    monkeypatch.setattr(tick_outputs, "generate", short)
    for limit, grids in ((8, 1), (0, 0)):
        folder = tmp_path / str(limit)
        assert train(config(dataset, folder, total_kimg=0.016, image_ticks=1))
        assert len(list((folder / "run").glob("fakes-*.png"))) == grids
    assert asked == [32, 32, 8, 32, 32, 8, 1]
