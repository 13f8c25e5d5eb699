"""Checkpoints: all that a run needs to go on bit for bit, as tensors and plain types, each file whole or absent."""

import errno
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import torch

FORMAT_VERSION = 2
"""2: the optimizers' state in channels_last order on every device."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message is one line that names the file and the remedy."""


def save_checkpoint(folder: Path, nimg: int, state: dict[str, Any], keep: int) -> Path:
    """Write checkpoint-<kimg>.pt and remove all but the newest few.

    Args:
        folder: <run>/checkpoints, made if it is missing.
        nimg: real images shown so far.
        state: tensors and plain types only, so that it loads with weights_only=True.
        keep: newest checkpoints to leave.

    Raises:
        CheckpointError: the disk is full; the checkpoints already there are left alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"checkpoint-{nimg / 1000:010.3f}.pt"
    partial = path.with_name(path.name + ".partial")
    try:
        torch.save({"format_version": FORMAT_VERSION, "nimg": nimg, **state}, partial)
    except (OSError, RuntimeError) as error:
        partial.unlink(missing_ok=True)
        torchs_way = re.search("file write failed|unexpected pos", str(error))
        full = torchs_way or getattr(error, "errno", None) == errno.ENOSPC
        reason = "no space left on the disk?" if full else str(error).splitlines()[0]
        raise CheckpointError(
            f"{path}: cannot be written ({reason}); make room and run the same command again to resume"
        ) from None
    partial.replace(path)
    for old in checkpoints(folder)[:-keep]:
        old.unlink()
    return path


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints of a run, oldest first."""
    return sorted(folder.glob("checkpoint-*.pt"))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint without executing anything in it.

    Raises:
        CheckpointError: it is damaged, not one of ours, or of a newer version.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # of foreign pickles, which are refused below in one line
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"{path}: cannot be read as a checkpoint (not plain tensors, and nothing else is loaded); "
            "delete it to resume from the one before"
        ) from None
    except Exception as error:  # torch raises half a dozen types here; each means the file cannot be used
        raise CheckpointError(
            f"{path}: cannot be read as a checkpoint ({str(error).splitlines()[0][:120]}); "
            "delete it to resume from the one before"
        ) from None
    if not isinstance(state, dict) or "nimg" not in state or "config" not in state:
        raise CheckpointError(f"{path}: not a checkpoint of this program, one that python -m train wrote is wanted")
    if state.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: format version {state.get('format_version')}, this program reads {FORMAT_VERSION}; "
            "resume with the version that wrote it, or give --name for a new run"
        )
    return state
