"""Save and load a network: a folder with model.safetensors and config.json, strict both ways, no pickle."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from zoo.folder import CONFIG_NAME, WEIGHTS_NAMES, ModelError, read_config
from zoo.progan import Discriminator, Generator, ProGANConfig


def save(network: nn.Module, folder: Path, **card: Any) -> Path:
    """Write a network into a model folder; each file appears whole or not at all.

    Args:
        network: a Generator (model.safetensors and config.json) or, beside its generator, a Discriminator
            (discriminator.safetensors; config.json belongs to the generator and is left alone).
        folder: made if it is missing.
        card: further fields of config.json: training summary, dataset, licence. Plain JSON types.

    Returns:
        The safetensors file.

    Raises:
        ModelError: the disk is full; a model already there is left alone.
    """
    kind = type(network).__name__
    config = {"class": kind, "architecture": network.config.to_dict(), **card}
    config_text = json.dumps(config, indent=2) + "\n"  # first: a card that is no JSON must not leave half a model
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        key: value.detach().to("cpu", torch.float32).contiguous().clone() for key, value in network.state_dict().items()
    }
    path = folder / WEIGHTS_NAMES[kind]
    partial = path.with_name(path.name + ".partial")
    try:
        save_file(tensors, partial, metadata={"format": "pt"})
        partial.chmod(0o644)  # safetensors leaves it closed to everybody else
    except SafetensorError as error:  # what it makes of a full disk
        partial.unlink(missing_ok=True)
        raise ModelError(f"{path}: cannot be written ({error}), room on the disk is wanted") from None
    partial.replace(path)
    if kind == "Generator":
        partial = folder / (CONFIG_NAME + ".partial")
        partial.write_text(config_text, encoding="utf-8")
        partial.replace(folder / CONFIG_NAME)
    return path


def load(folder: Path, network: str = "generator") -> Generator | Discriminator:
    """Build the network of a model folder and fill it; every name and shape must match.

    Args:
        folder: holds config.json and the safetensors file.
        network: "generator" or "discriminator".

    Returns:
        The network in float32 on the CPU, in evaluation mode, gradients off.

    Raises:
        ModelError: a file is missing, damaged, or of another architecture.
    """
    config = read_config(folder)
    cls = {"generator": Generator, "discriminator": Discriminator}[network]
    try:
        architecture = ProGANConfig.from_dict(config["architecture"])
    except (TypeError, ValueError) as error:
        raise ModelError(f"{folder / CONFIG_NAME}: {error}") from None
    with torch.device("meta"):  # no random initialisation that is thrown away at once
        result = cls(architecture)
    return fill(result, folder / WEIGHTS_NAMES[cls.__name__])


def fill(network: nn.Module, path: Path) -> nn.Module:
    """Fill a network, which may still be on the meta device, from a safetensors file; every name and shape must match.

    Returns:
        The same network in float32 on the CPU, in evaluation mode, gradients off.

    Raises:
        ModelError: the file is missing, damaged, or of another architecture.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    except FileNotFoundError:
        raise ModelError(f"{path}: not there, the weights that python -m train writes are wanted") from None
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: cannot be read as safetensors ({error}); damaged or incomplete?") from None
    wanted = {key: value.shape for key, value in network.state_dict().items()}
    _check_shapes(path, wanted, {key: value.shape for key, value in tensors.items()})
    network.load_state_dict({key: value.float() for key, value in tensors.items()}, strict=True, assign=True)
    return network.eval().requires_grad_(False)


def _check_shapes(path: Path, wanted: dict[str, torch.Size], found: dict[str, torch.Size]) -> None:
    """Raise ModelError with the first few differences."""
    wrong = [f"{key} is missing" for key in wanted if key not in found]
    wrong += [f"{key} is not part of this architecture" for key in found if key not in wanted]
    wrong += [
        f"{key} is {tuple(found[key])}, {tuple(wanted[key])} is wanted"
        for key in wanted
        if key in found and found[key] != wanted[key]
    ]
    if wrong:
        more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
        raise ModelError(f"{path}: does not fit its {CONFIG_NAME}: {'; '.join(wrong[:3])}{more}")
