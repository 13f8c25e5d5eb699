"""A run folder: one process at a time, one configuration, and where it stands."""

import fcntl
import hashlib
import json
from pathlib import Path
from typing import IO, Any

import numpy as np

from celebahq_builder.hdf5 import Dataset
from train.checkpoint import checkpoints, load_checkpoint
from train.config import TrainConfig, TrainError, difference


def enter(folder: Path) -> IO[str]:
    """Make the folder and lock it; the lock lives as long as the returned file is open.

    Raises:
        TrainError: it cannot be made or written, or another process trains in it.
    """
    try:
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise TrainError(f"{folder}: cannot be written ({error.strerror}), a writable --outdir is wanted") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise TrainError(f"{folder}: another process trains in it, wait for it or give --name") from None
    return lock


def dataset_facts(dataset: Dataset) -> dict[str, Any]:
    """Return what identifies a data set: rows, resolution, sha256 of the whole 4x4 level (its content in small) and of
    the labels."""
    small = dataset.read(4, np.arange(len(dataset)))
    return {
        "file": dataset.path.name,
        "faces": len(dataset),
        "resolution": dataset.resolution,
        "sha256_4x4": hashlib.sha256(small.tobytes()).hexdigest(),
        "sha256_labels": None if dataset.labels is None else hashlib.sha256(dataset.labels.tobytes()).hexdigest(),
    }


def resume_point(folder: Path, config: TrainConfig, facts: dict[str, Any], precision: str) -> dict[str, Any] | None:
    """Return the newest checkpoint, or None for a new run; config.json is written or brought up to date.

    Raises:
        TrainError: the folder holds a run of other options or of another data set.
        CheckpointError: the newest checkpoint is damaged.
    """
    path = folder / "config.json"
    now = config.to_dict()
    saved_runs = checkpoints(folder / "checkpoints")
    state = load_checkpoint(saved_runs[-1]) if saved_runs else None
    if state is not None:
        changed = difference(state["config"], now)
        if changed:
            option, before, after = changed
            raise TrainError(
                f"{folder}: it was trained with {option} {before}, now {option} {after} is given; "
                "give the old value to resume, or --name for a run of its own"
            )
        if state["precision"] != precision:
            raise TrainError(
                f"{folder}: it was trained with --precision {state['precision']}, which is {precision} here; "
                f"give --precision {state['precision']} to resume, or --name for a run of its own"
            )
        saved_facts = {key: value for key, value in state["dataset"].items() if key != "file"}
        if saved_facts != {key: value for key, value in facts.items() if key != "file"}:
            raise TrainError(
                f"{config.dataset}: not the data that {folder} was trained on ({saved_facts['faces']} faces, "
                f"{saved_facts['resolution']}x{saved_facts['resolution']}, "
                f"{'with' if saved_facts.get('sha256_labels') else 'without'} labels); "
                "give that file, or --name for a new run"
            )
    partial = path.with_name("config.json.partial")
    partial.write_text(json.dumps(now, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)
    return state
