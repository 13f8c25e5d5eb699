"""What a restoration run keeps on disk: everything to continue, and the averaged weights that are published."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from celebahq.files import atomic_path
from train.restoration.adversarial_step import AdversarialStep
from train.restoration.config import RestorationConfig
from train.restoration.errors import RestorationError
from train.restoration.step import Step
from train.state.checkpoint import why_not_written
from zoo.restoration.networks import ArtifactRemover, SuperResolver, build
from zoo.restoration.weights import load_restoration

# What another run must share with this one to continue it; the rest says where, how long and how fast.
IDENTITY = ("net", "size", "kind", "batch", "patch", "learning_rate", "ema", "texture_weight", "faces_share", "seed")


def check_config(config: RestorationConfig, folder: Path) -> None:
    """Write the run's config.json, or compare with it.

    Raises:
        ValueError: the folder holds a run with other settings; the message names the first, and both values.
    """
    path = folder / "config.json"
    ours = {key: str(value) for key, value in dataclasses.asdict(config).items()}
    if path.exists():
        theirs = json.loads(path.read_text())
        for key in IDENTITY:
            if theirs.get(key, ours[key]) != ours[key]:  # a run of an earlier version lacks what came since
                raise RestorationError(
                    f"--{key.replace('_', '-')}: got {ours[key]}, expected {theirs[key]} as of {folder}; "
                    "use that, or another --outdir"
                )
    path.write_text(json.dumps(ours, indent=2) + "\n")


def save_checkpoint(path: Path, step: Step, done: int, seconds: float) -> None:
    """Write all that training needs to continue; the old file stays until the new one is whole."""
    state = {
        "network": step.network.state_dict(),
        "ema": step.ema.state_dict(),
        "optimizer": step.optimizer.state_dict(),
    }
    if isinstance(step, AdversarialStep):
        state |= {"discriminator": step.discriminator.state_dict(), "optimizer_d": step.optimizer_d.state_dict()}
    with _complete(path) as partial:
        torch.save(state | {"usual_length": step.grad_norm_ema, "step": done, "seconds": seconds}, partial)


@contextlib.contextmanager
def _complete(path: Path) -> Iterator[Path]:
    """Give the name to write to; what torch and safetensors make of a full disk becomes one line.

    Raises:
        RestorationError: it cannot be written; what was there before still is.
    """
    try:
        with atomic_path(path, durable=True) as partial:
            yield partial
    except (OSError, RuntimeError, SafetensorError) as error:
        raise RestorationError(
            f"{path}: cannot be written ({why_not_written(error)}); make room, and the same command resumes"
        ) from None


def load_checkpoint(path: Path, step: Step) -> tuple[int, float]:
    """Restore a run. Returns the batches and seconds that it has been trained for.

    Raises:
        RestorationError: the file is damaged, or of another run.
    """
    try:
        return _load_checkpoint(path, step)
    except Exception as error:  # torch raises half a dozen types; each means that the file cannot be used
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise RestorationError(f"{path}: cannot be read ({reason}); delete it to begin the run again") from None


def _load_checkpoint(path: Path, step: Step) -> tuple[int, float]:
    state = torch.load(path, map_location=step.device, weights_only=True)
    step.network.load_state_dict(state["network"])
    step.ema.load_state_dict(state["ema"])
    step.optimizer.load_state_dict(state["optimizer"])
    if isinstance(step, AdversarialStep):
        step.discriminator.load_state_dict(state["discriminator"])
        step.optimizer_d.load_state_dict(state["optimizer_d"])
    step.grad_norm_ema.copy_(state["usual_length"])
    step.bind_learning_rate()
    return state["step"], state["seconds"]


def save_weights(path: Path, network: nn.Module, net: str, size: str, dtype: torch.dtype = torch.float16) -> None:
    """Write a network as safetensors, half precision unless told otherwise; net and size travel in its metadata."""
    tensors = {key: value.detach().to("cpu", dtype).contiguous() for key, value in network.state_dict().items()}
    with _complete(path) as partial:
        save_file(tensors, partial, metadata={"format": "pt", "net": net, "size": size})


def load_weights(path: Path) -> ArtifactRemover | SuperResolver:
    """The network of a safetensors file, or of a model folder, float32, on the CPU, in evaluation mode.

    Raises:
        ValueError: the file was not written by save_weights, or for a network of another shape.
        zoo.folder.ModelError: the folder is no model folder of a restoration network.
    """
    if path.is_dir():
        return load_restoration(path).requires_grad_(True)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 (not a mapping)
    except (OSError, SafetensorError) as error:
        raise RestorationError(f"{path}: cannot be read as safetensors ({str(error).splitlines()[0][:120]})") from None
    if not {"net", "size"} <= set(metadata):
        raise RestorationError(
            f"{path}: got no net and size in its metadata, expected weights of python -m train.restoration"
        )
    network = build(metadata["net"], metadata["size"])
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise RestorationError(
            f"{path}: got weights of another architecture ({str(error).splitlines()[-1].strip()})"
        ) from None
    return network.eval()
