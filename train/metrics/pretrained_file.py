"""Files of published weights: where they lie, fetching one with its hash checked, reading one without running it."""

import contextlib
import os
import pickle
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from celebahq.files import sha256_of
from celebahq.progress import progress
from train.metrics.errors import MetricError
from zoo.download import offline
from zoo.folder import ModelError
from zoo.remote.cache import only_process
from zoo.remote.fetch import FetchError, fetch, open_client


@dataclass(frozen=True)
class PretrainedFile:
    """A published file: its usual name, the first digits of its sha256, its public address."""

    name: str
    sha256_prefix: str
    url: str


def cache_folder() -> Path:
    """Return where fetched weights and computed features are kept: $XDG_CACHE_HOME/celebahq, or ~/.cache/celebahq."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "celebahq"


def find(file: PretrainedFile, flag: str) -> Path:
    """Return the file in the cache folder, fetched into it if it is missing; it appears there only whole.

    A transfer that breaks off is continued the next time.

    Args:
        flag: the option that takes such a file, for the message.

    Raises:
        MetricError: it cannot be fetched (no network), or what came is not it.
    """
    path = cache_folder() / "weights" / file.name
    if path.is_file():
        return path
    remedy = f"download {file.url} elsewhere and put it there, or give {flag} FILE"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()  # a folder that takes no file: OSError
        with only_process(path):
            if not path.is_file():  # or another process was faster
                _fetch(file, path)
    except OSError as error:
        why = error.strerror or error
        raise MetricError(
            f"{path}: cannot be written ({why}), expected XDG_CACHE_HOME with a writable, roomy folder or {flag} FILE"
        ) from None
    except (FetchError, ModelError) as error:
        raise MetricError(f"{path}: not there, and cannot be fetched ({error}); {remedy}") from None
    return path


def _fetch(file: PretrainedFile, path: Path) -> None:
    """Download a file to its place. Raises FetchError, ModelError (a proxy of an unknown kind), OSError."""
    if offline():
        raise FetchError("HF_HUB_OFFLINE is set")
    partial = path.with_name(f"{path.name}.part")
    note = partial.with_name(f"{partial.name}.json")
    while True:
        began = partial.exists()
        with contextlib.closing(open_client()) as client, progress(file.name, unit="B") as bar:
            fetch(client, file.url, partial, bar.update, verified=True)
        found = sha256_of(partial)
        if found.startswith(file.sha256_prefix):
            break
        partial.unlink()
        note.unlink(missing_ok=True)
        if not began:  # or what was continued did not fit together: once more from the start
            raise FetchError(f"got sha256 {found[:8]}, expected {file.sha256_prefix}")
    partial.replace(path)
    note.unlink(missing_ok=True)


def read_tensors(path: Path, known: list[PretrainedFile]) -> tuple[dict[str, torch.Tensor], str]:
    """Return the tensors of a file and its sha256; nothing in the file is executed.

    A .safetensors is read whatever its hash (nobody publishes one): the caller checks names and shapes, and reports
    name the hash. Any other file must be one of `known`.

    Raises:
        MetricError: it is missing, another file, damaged, or holds more than tensors.
    """
    names = " or ".join(f"{file.name} (sha256 {file.sha256_prefix}...)" for file in known)
    try:
        sha256 = sha256_of(path)
        if path.suffix == ".safetensors":
            return load_file(path), sha256
        if not any(sha256.startswith(file.sha256_prefix) for file in known):
            raise MetricError(f"{path}: got sha256 {sha256[:8]}, expected {names}")
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise MetricError(f"{path}: {(error.strerror or str(error)).lower()}, expected {names}") from None
    except SafetensorError as error:
        raise MetricError(f"{path}: cannot be read as safetensors ({error}); damaged or incomplete?") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError):
        raise MetricError(f"{path}: got no file of tensors alone, expected {names}; nothing of it was run") from None
    if not isinstance(tensors, dict) or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise MetricError(f"{path}: got no table of tensors, expected {names}")
    return tensors, sha256
