"""Save and load a network: a folder with model.safetensors and config.json, strict both ways, no pickle."""

import json
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from celebahq.files import atomic_path, write_atomic
from zoo.architecture import read_architecture
from zoo.folder import CONFIG_NAME, WEIGHTS_NAMES, ModelError
from zoo.progan import Discriminator, Generator

Network = TypeVar("Network", bound=nn.Module)


def save(network: Generator | Discriminator, folder: str | Path, **card: Any) -> Path:
    """Write a network into a model folder; each file appears whole or not at all.

    Args:
        network: a Generator (model.safetensors and config.json) or, beside its generator, a Discriminator
            (discriminator.safetensors; config.json belongs to the generator and is left alone).
        folder: made if it is missing.
        card: further fields of config.json: training summary, dataset, license. Plain JSON types.

    Returns:
        The safetensors file.

    Raises:
        ModelError: the disk is full; a model already there is left alone.
    """
    folder, kind = Path(folder), type(network).__name__
    config = {"class": kind, "architecture": network.config.to_dict(), **card}
    config_text = json.dumps(config, indent=2) + "\n"  # first: a card that is no JSON must not leave half a model
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        key: value.detach().to("cpu", torch.float32).contiguous().clone() for key, value in network.state_dict().items()
    }
    path = save_tensors(tensors, folder / WEIGHTS_NAMES[kind], {"format": "pt"})
    if kind == "Generator":
        with write_atomic(folder / CONFIG_NAME, durable=True) as file:
            file.write(config_text.encode())
    return path


def save_tensors(tensors: dict[str, Tensor], path: str | Path, metadata: dict[str, str]) -> Path:
    """Write a safetensors file, which appears whole or not at all, readable by everybody.

    Raises:
        ModelError: the disk is full; a file already there is left alone.
    """
    path = Path(path)
    try:
        with atomic_path(path, durable=True) as partial:
            save_file(tensors, partial, metadata=metadata)
            partial.chmod(0o644)  # safetensors leaves it closed to everybody else
    except SafetensorError as error:  # what it makes of a full disk
        raise ModelError(f"{path}: cannot be written ({error}), expected room on the disk") from None
    return path


@overload
def load(folder: str | Path, network: Literal["generator"] = "generator") -> Generator: ...


@overload
def load(folder: str | Path, network: Literal["discriminator"]) -> Discriminator: ...


@overload
def load(folder: str | Path, network: str) -> Generator | Discriminator: ...


def load(folder: str | Path, network: str = "generator") -> Generator | Discriminator:
    """Build the network of a model folder and fill it; every name and shape must match.

    Args:
        folder: holds config.json and the safetensors file.
        network: "generator" or "discriminator".

    Returns:
        The network in float32 on the CPU, in evaluation mode, gradients off.

    Raises:
        ModelError: a file is missing, damaged, or of another architecture.
    """
    folder = Path(folder)
    networks: dict[str, type[Generator] | type[Discriminator]] = {
        "generator": Generator,
        "discriminator": Discriminator,
    }
    if network not in networks:
        raise ModelError(f"network: got {network!r}, expected 'generator' or 'discriminator'")
    cls = networks[network]
    architecture = read_architecture(folder)
    with torch.device("meta"):  # no random initialisation that is thrown away at once
        result = cls(architecture)
    return fill(result, folder / WEIGHTS_NAMES[cls.__name__])


def fill(network: Network, path: str | Path) -> Network:
    """Fill a network, which may still be on the meta device, from a safetensors file; every name and shape must match.

    Returns:
        The same network in float32 on the CPU, in evaluation mode, gradients off.

    Raises:
        ModelError: the file is missing, damaged, or of another architecture.
    """
    path = Path(path)
    try:
        tensors = read_tensors(path)[0]
    except FileNotFoundError as error:
        raise ModelError(f"{path}: {error.strerror}, expected the weights that python -m train writes") from None
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: cannot be read as safetensors ({error}); damaged or incomplete?") from None
    wanted = {key: value.shape for key, value in network.state_dict().items()}
    _check_shapes(path, wanted, {key: value.shape for key, value in tensors.items()})
    network.load_state_dict({key: value.float() for key, value in tensors.items()}, strict=True, assign=True)
    return network.eval().requires_grad_(False)


def read_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a safetensors file, on the CPU, and its metadata.

    Raises:
        FileNotFoundError: there is no file; its strerror says what there is instead.
        OSError, SafetensorError: it cannot be read.
    """
    path = Path(path)
    if not path.is_file():  # nothing, a folder, or a pipe that would never end
        raise FileNotFoundError(2, "not a file" if path.exists() else "not there")
    path.open("rb").close()  # of a closed file safetensors says that there is none
    with safe_open(path, framework="pt", device="cpu") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118 - not a dict


def _check_shapes(path: Path, wanted: dict[str, torch.Size], found: dict[str, torch.Size]) -> None:
    """Raise ModelError with the first few differences."""
    wrong = [f"{key} is missing" for key in wanted if key not in found]
    wrong += [f"{key} is not part of this architecture" for key in found if key not in wanted]
    wrong += [
        f"{key} is {tuple(found[key])}, expected {tuple(wanted[key])}"
        for key in wanted
        if key in found and found[key] != wanted[key]
    ]
    if wrong:
        more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
        raise ModelError(f"{path}: does not fit its {CONFIG_NAME}: {'; '.join(wrong[:3])}{more}")
