"""A run folder: one configuration and its history, and where it stands."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from celebahq import files
from celebahq_builder.hdf5 import Dataset
from train.config import TrainConfig, TrainError
from train.options import changes, forbidden_change, keep_automatic, typed, with_saved_options
from train.state.checkpoint import DamagedCheckpointError, check_fields, checkpoints, load_checkpoint, set_aside
from train.state.initial import keep_sizes
from train.state.run_state import check_networks


@dataclass
class Resumed:
    """Where a run goes on: its options, its checkpoint (None: it is new), and every change of options so far.

    history: {"kimg": moment, "changed": {option: [before, now]}} each, oldest first.
    """

    config: TrainConfig
    state: dict[str, Any] | None = None
    history: list[dict[str, Any]] = field(default_factory=list)


def dataset_fingerprint(dataset: Dataset) -> dict[str, Any]:
    """Return what identifies a dataset: rows, resolution, sha256 of the whole 4x4 level (its content in small) and of
    the labels."""
    small = dataset.read(4, np.arange(len(dataset)))
    return {
        "file": dataset.path.name,
        "faces": len(dataset),
        "resolution": dataset.resolution,
        "sha256_4x4": hashlib.sha256(small.tobytes()).hexdigest(),
        "sha256_labels": None if dataset.labels is None else hashlib.sha256(dataset.labels.tobytes()).hexdigest(),
    }


def resume(
    folder: Path,
    config: TrainConfig,
    facts: dict[str, Any],
    info: Callable[[str], None],
    given: frozenset[str] | None = None,
) -> Resumed:
    """Return where a run stands.

    Args:
        folder: of the run, locked.
        config: the options as they come from the command line, defaults included.
        facts: of the dataset, as dataset_fingerprint gives them.
        info: prints a line.
        given: the options that were given; the others are as the run has them. None: all of them.

    Raises:
        TrainError: the folder holds a run of other options or of another dataset.
        CheckpointError: no checkpoint of it can be used.
    """
    _, state = newest_checkpoint(folder / "checkpoints", info)
    result = Resumed(config, state)
    if state is not None:
        saved = state["config"]
        result.config = keep_automatic(keep_sizes(with_saved_options(config, saved, given), saved), saved)
        _check_same_run(folder, state, result.config, facts)
        result.history = list(state.get("history", []))
        changed = changes(state["config"], result.config.to_dict())
        if changed:
            result.history.append({"kimg": state["nimg"] / 1000, "changed": changed})
            for name, (before, now) in changed.items():
                info(f"{folder}: {typed(name, now)} from here on ({typed(name, before)} before); see history.json")
    return result


def write_options(folder: Path, config: TrainConfig, history: list[dict[str, Any]]) -> None:
    """Write config.json and history.json of a run, or bring them up to date."""
    _write_json(folder / "config.json", config.to_dict())
    if history:
        _write_json(folder / "history.json", history)
    else:  # of a change after which no checkpoint was written
        (folder / "history.json").unlink(missing_ok=True)


def newest_checkpoint(folder: Path, info: Callable[[str], None]) -> tuple[Path | None, dict[str, Any] | None]:
    """Return the newest checkpoint that can be used; damaged ones after it are set aside, which is said.

    Raises:
        CheckpointError: there are some, and none can be used, or the newest is of another version.
    """
    damaged: list[tuple[Path, DamagedCheckpointError]] = []
    for path in reversed(checkpoints(folder)):
        try:
            state = load_checkpoint(path)
            check_fields(path, state)
            check_networks(path, state)
        except DamagedCheckpointError as error:
            damaged.append((path, error))
            continue
        for other, fault in damaged:
            info(f"{fault}; set aside as {set_aside(other).name}, going on from {path.name}")
        return path, state
    if damaged:
        _, fault = damaged[0]
        raise DamagedCheckpointError(f"{fault}; there is none before it, give --name for a new run")
    return None, None


def run_of_the_same_faces(config: TrainConfig, facts: dict[str, Any]) -> Path | None:
    """Return the run that a renamed file belongs to: of the same preset, trained on the same faces; else None."""
    if config.name or config.run_folder.exists():
        return None
    found = []
    for folder in sorted(config.outdir.glob(f"*-{config.preset}")) if config.outdir.is_dir() else ():
        try:
            saved = json.loads((folder / "model" / "config.json").read_text(encoding="utf-8"))["dataset"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if isinstance(saved, dict) and _content(saved) == _content(facts) and checkpoints(folder / "checkpoints"):
            found.append(folder)
    return found[0] if len(found) == 1 else None


def _check_same_run(folder: Path, state: dict[str, Any], config: TrainConfig, facts: dict[str, Any]) -> None:
    """Raise TrainError where an option that cannot change, or the dataset, is another."""
    saved = dict(state["config"])
    if saved.get("resolution") is None and "resolution" in saved and config.resolution == facts["resolution"]:
        saved["resolution"] = config.resolution  # given now, and what the file's own was
    if change := forbidden_change(saved, config.to_dict()):
        before, now = change
        raise TrainError(
            f"{folder}: got {now}, expected {before}, as it was trained; "
            f"give --name for a run of its own, with --init {folder} one that goes on from this one's networks"
        )
    before = state["dataset"]
    if _content(before) != _content(facts):
        raise TrainError(
            f"{config.dataset}: got {_difference(facts, before)}, expected the data that {folder} was trained on: "
            f"{_in_words(before)}; give that file, "
            f"or --name for a new run, with --init {folder} one that goes on from this one's networks"
        )


def _content(facts: dict[str, Any]) -> dict[str, Any]:
    return {"sha256_labels": None} | {key: value for key, value in facts.items() if key != "file"}


def _difference(facts: dict[str, Any], before: dict[str, Any]) -> str:
    """Return what a file holds as far as it differs from that of before."""
    now = _in_words(facts)
    if now != _in_words(before):
        return now
    return f"other {'labels' if facts['sha256_4x4'] == before['sha256_4x4'] else 'images'}"


def _in_words(facts: dict[str, Any]) -> str:
    labels = "with" if facts.get("sha256_labels") else "without"
    return f"{facts['faces']} faces, {facts['resolution']}x{facts['resolution']}, {labels} labels"


def _write_json(path: Path, content: Any) -> None:
    with files.write_atomic(path) as file:
        file.write((json.dumps(content, indent=2) + "\n").encode())
