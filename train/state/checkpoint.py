"""Checkpoints: all that a run needs to go on bit for bit, as tensors and plain types, each file complete or absent."""

import errno
import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from celebahq.errors import CelebAHQError
from celebahq.files import atomic_path
from zoo.architecture import current_names

FORMAT_VERSION = 2
"""2: the optimizers' state in channels_last order on every device."""

FIELDS: dict[str, type | tuple[type, ...]] = {
    "nimg": int, "config": dict, "precision": str, "dataset": dict, "stage": int, "tick": int, "tick_start": int,
    "seconds": (int, float), "statistics": torch.Tensor, "generator": dict, "discriminator": dict, "g_ema": dict,
    "g_adam": dict, "d_adam": dict,
}  # fmt: skip
"""What a checkpoint of a run has, and of which type."""


class CheckpointError(CelebAHQError, ValueError):
    """A checkpoint that cannot be used; the message is one line that names the file and the remedy."""


class DamagedCheckpointError(CheckpointError):
    """One whose content is not what was written: the one before it can take its place."""


def save_checkpoint(folder: str | Path, nimg: int, state: dict[str, Any], keep: int) -> Path:
    """Write checkpoint-<kimg>.pt and remove all but the newest few.

    The file is on the disk, name and bytes, before an older one goes: a power cut leaves one that is complete.

    Args:
        folder: <run>/checkpoints, made if it is missing.
        nimg: real images shown so far.
        state: tensors and plain types only, so that it loads with weights_only=True.
        keep: newest checkpoints to leave.

    Raises:
        CheckpointError: the disk is full; the checkpoints already there are left alone.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"checkpoint-{nimg / 1000:010.3f}.pt"
    try:
        with atomic_path(path, durable=True) as partial:
            torch.save({"format_version": FORMAT_VERSION, "nimg": nimg, **state}, partial)
    except (OSError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: cannot be written ({why_not_written(error)}); make room and run the same command again to resume"
        ) from None
    for old in checkpoints(folder)[:-keep]:
        old.unlink()
    return path


def why_not_written(error: Exception) -> str:
    """Return in a few words what torch, safetensors or the system say where a file cannot be written."""
    full = re.search("file write failed|unexpected pos", str(error)) or getattr(error, "errno", None) == errno.ENOSPC
    return "no space left on the disk?" if full else (str(error) or type(error).__name__).splitlines()[0][:120]


def checkpoints(folder: str | Path) -> list[Path]:
    """Return the checkpoints of a run, oldest first."""
    return sorted(Path(folder).glob("checkpoint-*.pt"))


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint without executing anything in it.

    Raises:
        DamagedCheckpointError: its bytes are not those that were written, or no checkpoint of this program.
        CheckpointError: it cannot be opened, or is of another version.
    """
    path = Path(path)
    try:
        if path.is_file():  # torch checks no checksum of what it maps or copies
            _check_sums(path)
        with warnings.catch_warnings(action="ignore"):  # of foreign pickles, which are refused below in one line
            state = torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from None
    except pickle.UnpicklingError:
        raise DamagedCheckpointError(
            f"{path}: cannot be read as a checkpoint (not plain tensors, and nothing else is loaded)"
        ) from None
    except Exception as error:  # torch and zipfile raise half a dozen types; each means the file cannot be used
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise DamagedCheckpointError(f"{path}: cannot be read as a checkpoint ({reason})") from None
    if not isinstance(state, dict) or "nimg" not in state or not isinstance(state.get("config"), dict):
        raise DamagedCheckpointError(f"{path}: got something else, expected a checkpoint that python -m train wrote")
    if state.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: got format version {state.get('format_version')!r}, expected {FORMAT_VERSION}; "
            "resume with the version that wrote it, or give --name for a new run"
        )
    return state | {"config": current_names(state["config"])}


def check_fields(path: Path, state: dict[str, Any]) -> None:
    """Raise DamagedCheckpointError unless a checkpoint has all that a run needs to go on, in its type."""
    for name, kind in FIELDS.items():
        if name not in state:
            raise DamagedCheckpointError(f"{path}: got no {name!r} in it, expected a complete checkpoint")
        value = state[name]
        if not isinstance(value, kind) or isinstance(value, bool) or (isinstance(value, int | float) and value < -1):
            raise DamagedCheckpointError(f"{path}: got {name} of type {type(value).__name__}, expected {_named(kind)}")
    for name in ("faces", "resolution"):
        if not isinstance(state["dataset"].get(name), int):
            raise DamagedCheckpointError(f"{path}: got no {name!r} of its dataset, expected a complete checkpoint")


def set_aside(path: Path) -> Path:
    """Rename a damaged checkpoint, so that it is neither taken for the newest nor counted among those to keep."""
    return path.rename(path.with_name(path.name + ".damaged"))


def _check_sums(path: Path) -> None:
    """Raise BadZipFile unless every entry of the zip has the checksum that was written with it."""
    if path.stat().st_size == 0:
        raise zipfile.BadZipFile("an empty file")
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"wrong checksum of {damaged}")


def _named(kind: type | tuple[type, ...]) -> str:
    return kind.__name__ if isinstance(kind, type) else " or ".join(k.__name__ for k in kind)
