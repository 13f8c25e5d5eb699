"""Several processes of torchrun train as one: the same gradients, schedule and samples; how they end, and go on."""

import os
import re
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from celebahq_builder.hdf5 import DatasetWriter
from train import capture
from train.config import TrainConfig, TrainError
from train.distributed import Ranks, Split, share
from train.minibatch import split_of
from train.presets import preset_config, preset_values
from train.report.run_log import read_rows
from train.setup import architecture_of
from train.state.checkpoint import checkpoints, load_checkpoint

sys.path.insert(0, str(Path(__file__).parent))
import ranks as one_rank
from launch import finish, ranks_of, start, wait_for
from training_runs import TINY, differ, rows, start_training, trained


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_gradients_of_several_processes_are_those_of_one_with_the_whole_minibatch(tmp_path, count):
    process = start(count, Path(__file__).parent / "ranks.py", tmp_path)
    _, errors = finish(process)
    assert process.returncode == 0, errors
    found = torch.load(tmp_path / "found.pt")
    assert found.keys() == one_rank.CASES.keys()
    for name, parts in found.items():
        whole = one_rank.step(name)
        for part in ("g", "d", "statistics"):
            scale = float(whole[part].abs().max())
            error = float((whole[part] - parts[part]).abs().max())
            assert scale > 1e-3 and error <= 1e-10 * max(scale, 1), f"{name}: {part}: {error} of {scale}"


@pytest.mark.parametrize("name", ["released", "released, r3gan"])
def test_gradients_added_up_over_parts_are_those_of_the_whole_minibatch(name):
    whole = one_rank.step(name)
    for parts in (2, 4):
        divided = one_rank.step(name, parts=parts)
        assert all(
            float((whole[k] - divided[k]).abs().max()) <= 1e-10 * max(1, float(whole[k].abs().max())) for k in whole
        )


def test_shares_are_whole_strided_groups_and_parts_of_shares_too():
    images = torch.arange(32)
    groups = {tuple(images[g::8].tolist()) for g in range(8)}  # of 4: sample n is of group n mod 8
    found = set()
    for rank in range(2):
        for part in range(2):
            mine = share(share(images, rank, 2), part, 2)
            found |= {tuple(mine[g::2].tolist()) for g in range(2)}
    assert found == groups
    assert share(images, 1, 4, contiguous=True).tolist() == list(range(8, 16))


@pytest.mark.slow
def test_several_processes_train_as_one_and_a_run_goes_on_with_another_number(dataset, tmp_path):
    """1 -> 2 -> 4 -> 1 processes against 1 alone: the same schedule, networks equal but for rounding."""
    alone = trained(1, dataset, tmp_path / "alone", total_kimg=0.192)
    moved = tmp_path / "moved"
    for count, total in ((1, 0.032), (2, 0.096), (4, 0.128), (1, 0.192)):
        state = trained(count, dataset, moved, total_kimg=total)
    assert rows(moved) == rows(tmp_path / "alone") and len(rows(moved)) == 6
    assert state["nimg"] == alone["nimg"] and state["stage"] == alone["stage"]
    assert 0 < differ(state, alone) < 1e-3


@pytest.mark.slow
def test_metrics_while_training_are_measured_by_all_and_written_once(tmp_path):
    path, random = tmp_path / "faces.h5", np.random.default_rng(0)
    with DatasetWriter(path, 16, 20) as writer:
        for _ in range(20):
            writer.write({r: random.integers(0, 256, (3, r, r), dtype=np.uint8) for r in (16, 8, 4, 2, 1)})
    options = {
        **TINY,
        "stable_kimg": 0.008,
        "fade_kimg": 0.008,
        "total_kimg": 0.064,
        "metrics_images": 16,
        "resolution": 16,
    }
    words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    command = ("-m", "train", "--preset=smoke", f"--dataset={path}", "--name=run", *words, "--metrics", "swd", "msssim")
    found = []
    for count in (1, 2):
        process = start(count, *command, f"--outdir={tmp_path / str(count)}")
        _, errors = finish(process)
        assert process.returncode == 0, errors
        found.append(read_rows(tmp_path / str(count) / "run" / "metrics.jsonl"))
    assert [row["metric"] for row in found[1]] == ["swd", "msssim"]
    for one, two in zip(*found, strict=True):
        assert two["distance"] == pytest.approx(one["distance"], rel=1e-2) and two["kimg"] == one["kimg"] == 0.064
        compared = "noise_floor" if "noise_floor" in one else "reals"
        assert two[compared] == one[compared] and two["best"]
    assert (tmp_path / "2" / "run" / "model-best-swd" / "metrics.json").is_file()


@pytest.mark.slow
def test_a_run_of_two_processes_resumes_bit_for_bit(dataset, tmp_path):
    whole = trained(2, dataset, tmp_path / "whole", total_kimg=0.16)
    trained(2, dataset, tmp_path / "parts", total_kimg=0.08)
    parts = trained(2, dataset, tmp_path / "parts", total_kimg=0.16)
    assert differ(whole, parts) == 0
    for name in ("g_adam", "d_adam"):
        assert all(torch.equal(whole[name][key], parts[name][key]) for key in whole[name])
    assert torch.equal(whole["ada"], parts["ada"]) and torch.equal(whole["statistics"], parts["statistics"])


@pytest.mark.slow
def test_a_signal_to_one_rank_stops_all_after_a_checkpoint(dataset, tmp_path):
    process = start_training(2, dataset, tmp_path, total_kimg=1000, checkpoint_ticks=100000)
    wait_for(tmp_path / "run" / "log.jsonl", process)
    os.kill(ranks_of(process)[1], signal.SIGTERM)
    said, errors = finish(process)
    assert "stopped at" in said, said + errors
    assert said.count("run the same command again") == 1
    assert load_checkpoint(checkpoints(tmp_path / "run" / "checkpoints")[-1])["nimg"] > 0


@pytest.mark.slow
def test_a_rank_that_dies_ends_the_others_with_one_line_that_names_it(dataset, tmp_path):
    process = start_training(4, dataset, tmp_path, total_kimg=1000)
    wait_for(tmp_path / "run" / "log.jsonl", process)
    killed = ranks_of(process)[2]
    os.kill(killed, signal.SIGKILL)
    _, errors = finish(process)
    assert process.returncode != 0, errors
    ours = [line for line in errors.splitlines() if line.startswith("celebahq-train: ")]
    assert len(ours) == 1 and f"rank 2 (process {killed} on " in ours[0] and "goes on from the last" in ours[0], errors
    assert "Connection closed" not in errors


@pytest.mark.slow
def test_torchrun_starts_again_from_the_last_checkpoint(dataset, tmp_path):
    process = start_training(2, dataset, tmp_path, restarts=1, total_kimg=0.64)
    wait_for(tmp_path / "run" / "checkpoints", process, lambda folder: len(list(folder.glob("*.pt"))) >= 2)
    os.kill(ranks_of(process)[0], signal.SIGKILL)
    said, errors = finish(process)
    assert process.returncode == 0, errors
    assert said.count("starts at 0 kimg") == 1 and re.search(r"resumes at 0\.\d+ kimg", said) and "done: " in said


@pytest.mark.slow
def test_divergence_is_told_once(dataset, tmp_path):
    process = start_training(2, dataset, tmp_path, total_kimg=1, learning_rate=1e30)
    _, errors = finish(process)
    assert process.returncode != 0, errors
    assert len([line for line in errors.splitlines() if "has diverged" in line]) == 1, errors


def test_a_wrong_option_is_told_once_by_all_ranks(dataset, tmp_path):
    process = start_training(2, dataset, tmp_path, minibatch_at="3 8")
    _, errors = finish(process)
    assert errors.count("╭─") == 1 and "--minibatch-at" in errors, errors


def config_of(**options: object) -> TrainConfig:
    return TrainConfig(dataset=Path("faces.h5"), **options)


@pytest.mark.parametrize(
    ("count", "options", "message"),
    [
        (2, {"variant": "released", "minibatch": 4}, r"4x4: got 4 images, expected a multiple of 8 .*at 4 8$"),
        (4, {"minibatch": 3}, r"4x4: got 3 images, expected one or more for each of 4 ranks; start fewer"),
        (1, {"max_batch_per_gpu": 8}, r"--max-batch-per-gpu at 4x4: got 8, expected 16: .* over the whole minibatch"),
        (2, {"max_batch_per_gpu": 2, "variant": "released"}, r"at 4x4: got 2, expected 4: .* by whole groups of 4"),
    ],
)  # fmt: skip
def test_a_minibatch_that_cannot_be_divided_is_refused(count, options, message):
    config = config_of(**options)
    with pytest.raises(TrainError, match=message):
        split_of(config, architecture_of(config), 4, Ranks(0, count))


def test_parts_are_as_few_as_the_limit_allows():
    config = config_of(variant="released", minibatch=48, max_batch_per_gpu=12)
    assert split_of(config, architecture_of(config), 4, Ranks(1, 2)) == Split(48, Ranks(1, 2), 2)
    assert split_of(config, architecture_of(config), 4).parts == 4


def test_a_run_shown_in_parts_is_the_run_but_for_rounding(dataset, tmp_path):
    options = {"variant": "released", "total_kimg": 0.096}
    whole = trained(1, dataset, tmp_path / "whole", **options)
    parts = trained(1, dataset, tmp_path / "parts", max_batch_per_gpu=4, **options)
    assert 0 < differ(whole, parts) < 1e-4
    assert rows(tmp_path / "whole") == rows(tmp_path / "parts")


def test_a_minibatch_for_which_memory_is_too_small_is_shown_in_parts_from_then_on(dataset, tmp_path, monkeypatch):
    options = {"variant": "released", "total_kimg": 0.032, "minibatch": 16}
    asked = trained(1, dataset, tmp_path / "asked", max_batch_per_gpu=4, **options)
    monkeypatch.setattr("train.start.time_first_levels", lambda *arguments: None)
    step, tried = capture.train_step, []

    def short(nets, optimizers, batch, noise, alpha, statistics, settings, ada, split, *others):
        tried.append(split.parts)
        if split.total // split.parts > 4:
            nets.d_flat.vector.add_(1)  # as where memory runs out between the two updates
            raise torch.OutOfMemoryError("CUDA out of memory")
        step(nets, optimizers, batch, noise, alpha, statistics, settings, ada, split, *others)

    monkeypatch.setattr(capture, "train_step", short)
    found = trained(1, dataset, tmp_path / "found", **options)
    assert tried == [1, 1, 2, 4, 4] and differ(asked, found) == 0


def test_released_is_that_of_as_many_gpus_at_the_first_launch_and_stays_it(dataset, tmp_path, monkeypatch):
    assert preset_values("released", 1)["minibatch"] == 4 and preset_values("released", 2)["minibatch"] == 8
    assert preset_values("released", 7) == preset_values("released", 4)
    assert dict(preset_values("released", 8)["learning_rate_at"]) == {128: 0.0015, 256: 0.002, 512: 0.003, 1024: 0.003}
    for gpus in (1, 2, 4, 8):  # each shows whole groups at every resolution
        values = preset_values("released", gpus)
        config = config_of(**values)
        for resolution in (4 << i for i in range(9)):
            assert split_of(config, architecture_of(config), resolution, Ranks(0, gpus)).parts == 1
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert dict(preset_config("released", dataset=dataset).minibatch_at)[4] == 512
