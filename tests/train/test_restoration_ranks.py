"""Several processes of torchrun train a restoration network as one: gradients, resuming, one writer, how they end."""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from train.distributed import Ranks
from train.restoration.batches import DrawnBatches
from train.restoration.checkpoint import save_weights
from train.restoration.config import RestorationConfig
from train.restoration.errors import RestorationError
from train.restoration.loop import make_step, train
from train.restoration.photos import PhotoStore
from zoo.restoration.networks import build

sys.path.insert(0, str(Path(__file__).parent))
from launch import finish, ranks_of, start, wait_for


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    root, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for i in range(3):
        small = random.integers(0, 256, (12, 14, 3), dtype=np.uint8)
        Image.fromarray(small).resize((140, 120), Image.Resampling.BICUBIC).save(root / f"{i}.png")
    return root


def options(photos: Path, folder: Path, kind: str = "psnr", **changes) -> dict:
    """Tiny options; a batch of 3, of which two ranks have 2 and 1."""
    init = folder / "init.safetensors"
    if kind == "gan" and not init.exists():
        torch.manual_seed(1)
        save_weights(init, build("superres", "fast"), "superres", "fast")
    net = {"net": "superres", "kind": "gan", "init": init} if kind == "gan" else {"net": "artifacts"}
    base = {"photos": photos, "size": "fast", "batch": 3, "patch": 32, "steps": 1, "device": "cpu"}
    return {**base, **net, **changes}


def shared(count: int, outdir: Path, chosen: dict):
    words = [f"--{name.replace('_', '-')}={value}" for name, value in (chosen | {"outdir": outdir}).items()]
    return start(count, "-m", "train.restoration", *words)


def state_of(outdir: Path) -> tuple[dict, list[dict]]:
    """Return the checkpoint of the run in a folder, and the rows of its log."""
    (path,) = outdir.glob("*/checkpoint.pt")
    rows = [json.loads(line) for line in (path.parent / "log.jsonl").read_text().splitlines()]
    return torch.load(path, weights_only=True), rows


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["psnr", "gan"])
def test_gradients_and_loss_of_two_processes_are_those_of_one(photos, tmp_path, kind):
    """Adam's mean is a tenth of the clipped gradient. Sums in float32 in another order: 1e-5 of the largest."""
    chosen = options(photos, tmp_path, kind)
    process = shared(2, tmp_path / "shared", chosen)
    train(RestorationConfig(**chosen, outdir=tmp_path / "alone"))
    said, errors = finish(process)
    assert process.returncode == 0, errors
    assert said.count("from step 0") == 1, said  # one speaks
    (found, rows), (expected, alone) = (state_of(tmp_path / name) for name in ("shared", "alone"))
    assert len(rows) == 1 and rows[0]["loss"] == pytest.approx(alone[0]["loss"], rel=1e-4)
    for name in ("optimizer", "optimizer_d") if kind == "gan" else ("optimizer",):
        means = [[x["exp_avg"] for x in state[name]["state"].values()] for state in (found, expected)]
        largest = max(float(x.abs().max()) for x in means[1])
        assert largest > 1e-6 and len(means[0]) == len(means[1]) > 4
        for mine, theirs in zip(*means, strict=True):
            assert float((mine - theirs).abs().max()) <= 1e-5 * largest, name


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["psnr", "gan"])
def test_a_run_begun_by_one_process_goes_on_by_two_and_ends_as_by_one(photos, tmp_path, kind):
    chosen = options(photos, tmp_path, kind, steps=6)
    train(RestorationConfig(**chosen, outdir=tmp_path / "alone"))
    config = RestorationConfig(**chosen, outdir=tmp_path / "moved")
    stop = iter([True, True, False])
    late = type("Late", (float,), {"__gt__": lambda self, now: next(stop)})  # after two steps
    assert not train(config, stop_at=late(0.0))
    process = shared(2, tmp_path / "moved", chosen)
    said, errors = finish(process)
    assert process.returncode == 0 and "from step 2" in said, errors
    (found, rows), (expected, _) = (state_of(tmp_path / name) for name in ("moved", "alone"))
    assert [row["step"] for row in rows] == [2, 6] and found["step"] == expected["step"] == 6
    for key, x in expected["ema"].items():
        assert float((x - found["ema"][key]).abs().mean()) < 1e-4 * max(1e-2, float(x.abs().mean())), key


@pytest.mark.slow
def test_a_signal_to_one_rank_stops_all_after_a_checkpoint_and_one_that_dies_is_named(photos, tmp_path):
    chosen = options(photos, tmp_path, steps=1_000_000, validate_seconds=1)
    process = shared(2, tmp_path / "runs", chosen)
    log = tmp_path / "runs" / "artifacts-fast" / "log.jsonl"
    wait_for(log, process)
    before = torch.load(log.with_name("checkpoint.pt"), weights_only=True)["step"]
    os.kill(ranks_of(process)[1], signal.SIGTERM)
    _, errors = finish(process)
    assert errors.count("train.restoration: stopped; the same command resumes") == 1, errors
    assert torch.load(log.with_name("checkpoint.pt"), weights_only=True)["step"] > before
    log.unlink()
    process = shared(2, tmp_path / "runs", chosen)
    wait_for(log, process)
    killed = ranks_of(process)[1]
    os.kill(killed, signal.SIGKILL)
    _, errors = finish(process)
    ours = [line for line in errors.splitlines() if line.startswith("train.restoration: ")]
    assert len(ours) == 1 and f"rank 1 (process {killed} on " in ours[0], errors


@pytest.mark.parametrize("which", ["network", "ema", "discriminator", "optimizer_d"])
def test_ranks_compare_every_network_and_the_moments_of_adam(photos, tmp_path, which):
    step = make_step(RestorationConfig(**options(photos, tmp_path, "gan"), outdir=tmp_path), torch.device("cpu"))
    batch = [torch.zeros(shape, dtype=torch.uint8) + 90 for shape in ((3, 8, 8, 3), (3, 32, 32, 3))]
    step(*batch, 1e-4, 0.0, 0)
    before = [tensor.clone() for tensor in step.shared_tensors()]
    part = getattr(step, which)
    changed = [state["exp_avg"] for state in part.state.values()] if which == "optimizer_d" else [*part.parameters()]
    with torch.no_grad():
        changed[0].add_(1)
    same = [torch.equal(a, b) for a, b in zip(before, step.shared_tensors(), strict=True)]
    assert same.count(False) == 1


def test_a_batch_too_small_for_the_ranks_is_refused(photos, tmp_path):
    config = RestorationConfig(**options(photos, tmp_path, batch=2), outdir=tmp_path)
    with pytest.raises(RestorationError, match="--batch: got 2, expected 4 or more, one for each rank"):
        train(config, ranks=Ranks(0, 4))


def test_a_run_that_diverges_says_so_and_keeps_what_was_saved(photos, tmp_path):
    train(RestorationConfig(**options(photos, tmp_path, steps=1), outdir=tmp_path))
    before = (tmp_path / "artifacts-fast" / "checkpoint.pt").read_bytes()
    state = torch.load(tmp_path / "artifacts-fast" / "checkpoint.pt", weights_only=True)
    for x in state["network"].values():
        x.fill_(float("nan"))
    torch.save(state | {"step": 0}, tmp_path / "artifacts-fast" / "checkpoint.pt")
    with pytest.raises(RestorationError, match=r"has diverged .* begin again with --learning-rate 0.0004 and another"):
        train(RestorationConfig(**options(photos, tmp_path, steps=2), outdir=tmp_path))
    assert before and torch.load(tmp_path / "artifacts-fast" / "checkpoint.pt", weights_only=True)["step"] == 0


def test_shares_of_a_batch_are_its_pairs(photos, tmp_path):
    PhotoStore.write(tmp_path, [np.asarray(Image.open(path)) for path in sorted(photos.iterdir())])
    whole, _ = DrawnBatches(tmp_path, "artifacts", "psnr", 32, 5, 0).draw(3)
    for rank in range(2):
        part, _ = DrawnBatches(tmp_path, "artifacts", "psnr", 32, 5, 0, ranks=Ranks(rank, 2)).draw(3)
        assert torch.equal(part, whole[rank::2])
