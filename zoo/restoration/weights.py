"""The restoration networks as model folders, and the trained ones that ship with the package (zoo/pretrained/)."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch

from celebahq.files import sha256_of, write_atomic
from zoo.folder import CONFIG_NAME, ModelError, read_config
from zoo.restoration.networks import ArtifactRemover, ArtifactRemoverConfig, SuperResolver, SuperResolverConfig
from zoo.weights import fill, save_tensors

PRETRAINED = Path(__file__).parent.with_name("pretrained")
WEIGHTS_NAME = "model.safetensors"
_CLASSES = {
    "ArtifactRemover": (ArtifactRemover, ArtifactRemoverConfig),
    "SuperResolver": (SuperResolver, SuperResolverConfig),
}


def save_restoration(network: ArtifactRemover | SuperResolver, folder: str | Path, **card: Any) -> None:
    """Write a restoration network into a model folder: model.safetensors in half precision, and config.json.

    Args:
        folder: made if it is missing; each file appears whole or not at all.
        card: further fields of config.json: training summary, data, license, metrics. Plain JSON types.

    Raises:
        ModelError: the disk is full; a network already there is left alone.
    """
    architecture = dataclasses.asdict(network.config)
    config = json.dumps({"class": type(network).__name__, "architecture": architecture, **card}, indent=2) + "\n"
    # Half the bytes of float32, for less than 0.001 dB: docs/restoration.md.
    tensors = {key: value.detach().to("cpu", torch.float16).contiguous() for key, value in network.state_dict().items()}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(tensors, folder / WEIGHTS_NAME, {"format": "pt"})
    with write_atomic(folder / CONFIG_NAME, durable=True) as file:
        file.write(config.encode())


def load_restoration(folder: str | Path) -> ArtifactRemover | SuperResolver:
    """Build the restoration network of a model folder and fill it; every name and shape must match.

    Returns:
        The network in float32 on the CPU, in evaluation mode, gradients off.

    Raises:
        ModelError: a file is missing, damaged, of another architecture, or of another kind of network.
    """
    folder = Path(folder)
    config = read_config(folder)
    if config.get("class") not in _CLASSES:
        kinds = " or ".join(_CLASSES)
        raise ModelError(f"{folder / CONFIG_NAME}: got class {config.get('class')!r}, expected {kinds}")
    network, options = _CLASSES[config["class"]]
    architecture = {
        key: tuple(value) if isinstance(value, list) else value for key, value in config["architecture"].items()
    }
    try:
        with torch.device("meta"):  # no random initialisation that is thrown away at once
            result = network(options(**architecture))
    except (TypeError, ValueError) as error:
        raise ModelError(f"{folder / CONFIG_NAME}: 'architecture' cannot be built ({error})") from None
    return fill(result, folder / WEIGHTS_NAME)


def shipped_folder(name: str) -> Path:
    """The model folder of a network that ships with the package, such as "artifacts-full" or "superres-fast-gan".

    Raises:
        ModelError: none of that name ships.
    """
    shipped = {path.parent.name: path.parent for path in PRETRAINED.glob(f"*/{WEIGHTS_NAME}")}
    networks = sorted(found for found in shipped if found.startswith(("artifacts-", "superres-")))
    if name not in networks:
        wanted = f"expected one of those that ship: {', '.join(networks) or 'none'}"
        raise ModelError(f"{PRETRAINED / name}: no {WEIGHTS_NAME} of a restoration network in it, {wanted}")
    return shipped[name]


def weights_sha256(folder: str | Path) -> str:
    """Hex digest of a model folder's weights."""
    return sha256_of(Path(folder) / WEIGHTS_NAME)
