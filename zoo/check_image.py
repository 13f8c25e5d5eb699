"""The check image of a model folder: what its network gave for fixed inputs, and whether it still gives it."""

import math
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional as F

from celebahq.files import sha256_of
from zoo import weights
from zoo.folder import WEIGHTS_NAMES, ModelError, read_config
from zoo.progan import Generator

CHECK_NAME = "check.safetensors"
TOLERANCE = 1e-3
"""Largest difference, of the output's range, that float32 on another machine explains: a twentieth of a gray level."""
SIDE = 64


def load_network(folder: Path) -> nn.Module:
    """Load the network of a model folder, a generator or a restoration network, in evaluation mode on the CPU.

    Raises:
        ModelError: a file is missing, damaged, or of another architecture.
    """
    if read_config(folder).get("class", "Generator") == "Generator":
        return weights.load(folder)
    from zoo.restoration.weights import load_restoration

    return load_restoration(folder)


def check_inputs(network: nn.Module) -> list[Tensor]:
    """Return inputs that every machine makes alike: latents of seeds (and the first label), or a photo of waves.

    Seeds 0 and 1, above 256x256 seed 0 alone: there an image takes seconds.
    """
    if isinstance(network, Generator):
        config = network.config
        seeds = (0, 1) if config.resolution <= 256 else (0,)
        z = np.stack([np.random.RandomState(seed).randn(config.latent_size) for seed in seeds]).astype(np.float32)
        label = np.eye(1, config.label_size, dtype=np.float32).repeat(len(seeds), axis=0)
        return [torch.from_numpy(array) for array in ((z, label) if config.label_size else (z,))]
    y, x = np.mgrid[:40, :56] / 8
    photo = np.stack([0.5 + 0.4 * np.sin(x * a) * np.cos(y * b) for a, b in ((1, 2), (3, 1), (5, 4))])
    return [torch.from_numpy(photo[None].astype(np.float32))]


@torch.inference_mode()
def check_outputs(network: nn.Module, inputs: list[Tensor]) -> dict[str, Tensor]:
    """Return what a network makes of inputs, small enough to keep.

    Returns:
        "whole": (N, C, h, w) float32, the images averaged down to at most 64 pixels a side; "crop": (N, C, h, w), their
        middle as it is, at most 64 pixels a side.
    """
    images = network(*inputs).float()
    height, width = images.shape[-2:]
    factor = max(1, math.ceil(max(height, width) / SIDE))
    top, left = max(0, (height - SIDE) // 2), max(0, (width - SIDE) // 2)
    whole = F.avg_pool2d(images, factor)
    return {"whole": whole.contiguous(), "crop": images[..., top : top + SIDE, left : left + SIDE].contiguous()}


def record_check(folder: Path, network: nn.Module) -> Path:
    """Generate the check image of a network and keep it in its model folder, with the hashes of the weights there."""
    inputs = check_inputs(network)
    tensors = {f"input{i}": value for i, value in enumerate(inputs)} | check_outputs(network, inputs)
    path = folder / CHECK_NAME
    return weights.save_tensors(tensors, path, {name: sha256_of(folder / name) for name in weight_files(folder)})


def weight_files(folder: Path) -> list[str]:
    """Return the names of the weight files that a model folder has."""
    return [name for name in WEIGHTS_NAMES.values() if (folder / name).is_file()]


def recorded_hashes(folder: Path) -> dict[str, str] | None:
    """Return the sha256 of each weight file as it was when the check image was recorded; None where there is none.

    Raises:
        ModelError: the check image is damaged.
    """
    found = _read(folder)
    return found and found[0]


def check_difference(folder: Path, network: nn.Module) -> float | None:
    """Return how far a network is from its check image, as a part of the image's range (2 of a generator's usual).

    Returns:
        The largest difference; at most TOLERANCE is what another machine explains. None where no check image is
        recorded.

    Raises:
        ModelError: the check image is damaged, or of a network of another shape.
    """
    found = _read(folder)
    if found is None:
        return None
    tensors = found[1]
    inputs = [tensors[key] for key in sorted(tensors) if key.startswith("input")]
    if [value.shape for value in inputs] != [value.shape for value in check_inputs(network)]:
        raise ModelError(f"{folder / CHECK_NAME}: got inputs of another network; zoo verify --record writes a new one")
    differences = []
    for key, generated in check_outputs(network, inputs).items():
        wanted = tensors.get(key)
        if wanted is None or wanted.shape != generated.shape:
            raise ModelError(f"{folder / CHECK_NAME}: no {key} {tuple(generated.shape)}, zoo verify --record writes it")
        span = max((wanted.max() - wanted.min()).item(), 1e-6)
        differences.append((generated - wanted).abs().max().item() / span)
    return max(differences) if all(map(math.isfinite, differences)) else math.inf


def _read(folder: Path) -> tuple[dict[str, str], dict[str, Tensor]] | None:
    """Return hashes and tensors of a check image, None where there is none."""
    path = folder / CHECK_NAME
    if not path.exists():
        return None
    try:
        tensors, metadata = weights.read_tensors(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: cannot be read ({error}), zoo verify --record writes a new one") from None
    return metadata, tensors
