"""Train one restoration network, top to bottom."""

import copy
import json
import logging
import math
import time
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from celebahq.device import channels_last
from train.device import use_device
from train.distributed import ALONE, Ranks
from train.restoration.adversarial_step import AdversarialStep
from train.restoration.batches import DrawnBatches, PooledBatches
from train.restoration.checkpoint import check_config, load_checkpoint, load_weights, save_checkpoint, save_weights
from train.restoration.config import RestorationConfig
from train.restoration.discriminator import PatchDiscriminator
from train.restoration.errors import RestorationError
from train.restoration.faces import read_faces
from train.restoration.photos import PhotoStore, held_out_names, middle, read_photos, read_testset
from train.restoration.protocol import Restore, artifacts_psnr, restorer, superres_psnr
from train.restoration.step import PsnrStep, Step, learning_rate_at, rms_share_at
from train.restoration.strip import save_strip
from train.restoration.worker import input_side
from train.stop_signals import StopSignals
from zoo.restoration.networks import build

_log = logging.getLogger("celebahq.train")

Module = TypeVar("Module", bound=nn.Module)
REPORT_SECONDS = 20.0
HELD_OUT_SIDE = 320
"""Of a photo that is held out, the middle is validated on: at most so many pixels a side."""


def open_photos(config: RestorationConfig) -> tuple[Path, dict[str, list[np.ndarray]]]:
    """The folder of the store to train on, and the photos to validate on, by the name of their set."""
    folder = config.outdir / "photos"
    held_out = {}
    if config.testsets is not None:
        sets = ("Classic5",) if config.net == "artifacts" else ("Set5", "Set14")
        held_out = {name: list(read_testset(config.testsets, name).values()) for name in sets}
    # The index is written last: where it is, the store is whole.
    if config.testsets is None or config.faces is not None or not (folder / "photos.json").exists():
        photos = read_photos(config.photos, "photos/")
        if config.testsets is None:
            names = held_out_names(config.held_out, list(photos))
            held_out = {"held-out": [middle(photos[name], HELD_OUT_SIDE) for name in names]}
            photos = {name: photo for name, photo in photos.items() if name not in names} or photos
        faces = read_faces(config.faces) if config.faces else {}
        boxes = [(i, box) for i, name in enumerate(photos) for box in faces.get(name.removeprefix("photos/"), ())]
        if config.faces and not boxes:
            raise RestorationError(f"--faces: got no face of the photos in {config.faces}, expected one or more")
        PhotoStore.write(folder, list(photos.values()), boxes, config.faces_share)
    return folder, held_out


def validate(restore: Restore, net: str, photos: dict[str, list[np.ndarray]]) -> dict[str, float]:
    """PSNR in dB by name of measurement: Classic5 Q10, Q20, Q40 for artifacts; a value a set for superres."""
    if net == "superres":
        return {name: superres_psnr(restore, images) for name, images in photos.items()}
    return {f"{name} Q{q}": artifacts_psnr(restore, images, q) for name, images in photos.items() for q in (10, 20, 40)}


def make_step(config: RestorationConfig, device: torch.device, ranks: Ranks = ALONE) -> Step:
    """Networks and optimizers of a new run on its device, the same on every rank."""
    torch.manual_seed(config.seed)
    network = load_weights(config.init).train() if config.init else build(config.net, config.size)
    discriminator = PatchDiscriminator() if config.kind == "gan" else None  # drawn after the network
    network = _on(network, device)
    ema = _on(copy.deepcopy(network).requires_grad_(False), device)
    small, side = input_side(config.net, config.patch_side), config.patch_side
    share = len(range(ranks.rank, config.batch, ranks.count))
    shapes = ((share, small, small, 3), (share, side, side, 3))
    shared: dict[str, Any] = {"ranks": ranks, "total": config.batch}
    bf16 = config.precision == "bf16" or (config.precision == "auto" and device.type == "cuda")
    if discriminator is None:
        return PsnrStep(network, ema, shapes=shapes, ema_decay=config.ema, bf16=bf16, **shared)
    return AdversarialStep(
        network,
        ema,
        _on(discriminator, device),
        texture_weight=config.texture_weight,
        seed=config.seed,
        shapes=shapes,
        ema_decay=config.ema,
        bf16=bf16,
        **shared,
    )


def _on(network: Module, device: torch.device) -> Module:
    return channels_last(network.to(device))


def _opened(config: RestorationConfig, folder: Path, ranks: Ranks) -> tuple[Path, dict[str, list[np.ndarray]]]:
    """Return what open_photos does, the run's config checked; the first rank alone touches files, and validates."""
    if config.batch < ranks.count:
        raise RestorationError(
            f"--batch: got {config.batch}, expected {ranks.count} or more, one for each rank; start fewer, or give "
            f"--batch {ranks.count}"
        )
    store, held_out = config.outdir / "photos", dict[str, list[np.ndarray]]()
    if ranks.first:
        folder.mkdir(parents=True, exist_ok=True)
        check_config(config, folder)
        store, held_out = open_photos(config)
    if ranks.from_first(lambda: config.seed) != config.seed or not (store / "photos.json").exists():
        raise RestorationError(
            f"{store}: got no photos of rank 0 on rank {ranks.rank}, expected an --outdir that all machines share"
        )
    return store, held_out


def _refuse_divergence(folder: Path, step: Step, loss: float, config: RestorationConfig) -> None:
    if math.isfinite(loss) and all(bool(torch.isfinite(x).all()) for x in step.network.parameters()):
        return
    raise RestorationError(
        f"{folder}: training has diverged (its loss or weights are no longer finite); what was saved before is kept, "
        f"begin again with --learning-rate {config.peak_learning_rate / 2:g} and another --outdir"
    )


def train(
    config: RestorationConfig, stop_at: float = float("inf"), keep_state: bool = True, ranks: Ranks = ALONE
) -> bool:
    """Train, or continue, until the run is whole or the clock reaches stop_at.

    Args:
        stop_at: time.monotonic() at which to save and return.
        keep_state: keep the checkpoint of a finished run.
        ranks: that share every batch; the first alone writes and validates, and all go by its clock.

    Returns:
        Whether the run is whole. Weights, log and images are in OUTDIR/NAME either way.

    Raises:
        RestorationError: one line for the user.
        KeyboardInterrupt: a signal asked to stop, and the checkpoint is written.
    """
    folder = config.outdir / config.name
    store, held_out = _opened(config, folder, ranks)
    device = use_device(config.device, ranks)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
    what = (store, config.net, config.kind, config.patch_side, config.batch, config.seed)

    # Networks; state, if this run was begun before.
    step = make_step(config, device, ranks)
    done, seconds = 0, 0.0
    if (folder / "checkpoint.pt").exists():
        done, seconds = load_checkpoint(folder / "checkpoint.pt", step)
    ranks.check_equal([*step.shared_tensors(), torch.tensor([done], device=device)])
    total = f"{config.steps} steps" if config.steps else f"{config.minutes:.2f} min"
    on = f"{ranks.count} ranks, {device.type}" if ranks.count > 1 else device
    _log.info(f"{config.name}: from step {done}, {seconds:.0f} s of {total} done, on {on}")
    shared: dict[str, Any] = {"cleaner": config.cleaner, "ranks": ranks}
    batches: PooledBatches | DrawnBatches = (
        PooledBatches(*what, step=done, workers=config.workers, pool=config.pool, device=device, **shared)
        if config.workers
        else DrawnBatches(*what, **shared)
    )

    def progress() -> float:
        if config.steps:
            return done / config.steps
        assert config.minutes is not None, "checked by RestorationConfig"
        return seconds / (60 * config.minutes)

    def report(part: torch.Tensor, validated: bool) -> None:
        loss = ranks.add_up(part.clone()).item()
        _refuse_divergence(folder, step, loss, config)
        if validated:
            ranks.check_equal(step.shared_tensors())
        if not ranks.first:
            return
        metrics = save() if validated else {}
        line = {"step": done, "seconds": round(seconds, 1), "loss": round(loss, 6)}
        line |= {name: round(value, 3) for name, value in metrics.items()}
        if isinstance(batches, PooledBatches):
            line["pairs"] = batches.received
        with (folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
        _log.info(f"{config.name} {100 * progress():5.1f} % {line}")

    def save_state() -> None:
        save_checkpoint(folder / "checkpoint.pt", step, done, seconds)
        save_weights(folder / f"{config.name}.safetensors", step.ema, config.net, config.size)

    def save() -> dict[str, float]:
        save_state()
        restore = restorer(step.ema)
        first = next(iter(held_out.values()))
        save_strip(folder / "strip.png", restore, first[:5], config.net)
        return validate(restore, config.net, held_out)

    # Train.
    reported = validated = seconds
    loss = torch.zeros(())
    since, before = time.monotonic(), seconds
    try:
        with StopSignals(_log.info) as asked:
            stopped = ranks.agreement(lambda: bool(asked))
            while progress() < 1 and (stop_at == math.inf or ranks.number_of_first(time.monotonic() < stop_at)):
                pair = batches.draw(done)
                now = progress()
                rms_share = rms_share_at(now) if config.kind == "psnr" else 0.0
                loss = step(*pair, learning_rate_at(now, config.peak_learning_rate), rms_share, done)
                done += 1
                if device.type == "cuda" and done % 16 == 0:
                    torch.cuda.synchronize()  # else the host runs far ahead and the clock means nothing
                seconds = ranks.number_of_first(before + time.monotonic() - since)
                if stopped(False):
                    _refuse_divergence(folder, step, ranks.add_up(loss.clone()).item(), config)
                    ranks.from_first(save_state)  # nobody leaves before it is written
                    raise KeyboardInterrupt
                if seconds - validated >= config.validate_seconds:
                    report(loss, True)
                    reported = validated = seconds
                    since, before = time.monotonic(), seconds  # validation is no training time
                elif seconds - reported >= REPORT_SECONDS:
                    report(loss, False)
                    reported = seconds
            report(loss, True)
    finally:
        batches.close()
    if progress() >= 1 and not keep_state and ranks.first:
        (folder / "checkpoint.pt").unlink()
        (folder / "done").touch()
    return progress() >= 1
