"""The model folder: what lies in it, finding it at a path, reading its config.json. No torch."""

import json
from pathlib import Path
from typing import Any

from celebahq.errors import CelebAHQError
from celebahq.files import printable

CONFIG_NAME = "config.json"
WEIGHTS_NAMES = {"Generator": "model.safetensors", "Discriminator": "discriminator.safetensors"}


FILE_SUFFIXES = frozenset((
    ".bin", ".ckpt", ".gz", ".h5", ".htm", ".html", ".json", ".md", ".mp4", ".npz", ".onnx", ".pkl", ".png", ".pt",
    ".pth", ".safetensors", ".tar", ".tgz", ".txt", ".zip",
))  # fmt: skip
"""Endings of files, which nobody means as the name of a folder."""


class ModelError(CelebAHQError, ValueError):
    """A model folder that cannot be used or found; the message is one line that names it and the remedy.

    What a file says of itself is in it as it stands, so it is spelled out here: a terminal obeys none of it.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def check_folder_name(folder: str | Path, flag: str) -> None:
    """Raise ModelError where a folder that is to be made was meant as a file, or as standard output."""
    path = Path(folder)
    if not path.is_dir() and (str(path) == "-" or path.suffix.lower() in FILE_SUFFIXES):
        raise ModelError(f"{flag}: got {path}, expected the name of a folder")


def label_names(config: dict[str, Any], label_size: int) -> list[str]:
    """Return the names of the classes that config.json gives as "label_names"; [] where it names none, or others."""
    names = config.get("label_names")
    if isinstance(names, list) and len(names) == label_size and all(isinstance(name, str) for name in names):
        return names
    return []


def folder_at(path: str | Path) -> Path:
    """Return the model folder that an existing path means: the folder itself, or model/ of a run folder.

    Raises:
        ModelError: it is neither.
    """
    path = Path(path)
    if (path / "model" / CONFIG_NAME).is_file():
        return path / "model"
    if (path / CONFIG_NAME).is_file() and not (path / "checkpoints").is_dir():
        return path
    if (path / "checkpoints").is_dir():
        raise ModelError(f"{path}: a run that has not published a model yet, let python -m train reach its first tick")
    raise ModelError(f"{path}: no {CONFIG_NAME} in it, expected a model folder or a run folder")


def read_config(folder: str | Path) -> dict[str, Any]:
    """Return config.json of a model folder.

    Raises:
        ModelError: there is none, or it is not one of ours.
    """
    path = Path(folder) / CONFIG_NAME
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"{folder}: no {CONFIG_NAME} in it, expected a model folder (made by python -m train)"
        ) from None
    except (OSError, ValueError, RecursionError) as error:  # no text, no JSON, numbers or nesting without end
        raise ModelError(f"{path}: cannot be read ({error}), expected the JSON that python -m train writes") from None
    if not isinstance(config, dict) or not isinstance(config.get("architecture"), dict):
        raise ModelError(f"{path}: no 'architecture' in it, expected the JSON that python -m train writes")
    if not isinstance(config.get("class", ""), str):
        raise ModelError(f"{path}: got class {config['class']!r}, expected the name of a network")
    return config
