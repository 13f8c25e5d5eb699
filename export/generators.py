"""The generator that a MODEL means, of PyTorch or of onnxruntime, called alike; its weights, the time it takes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from celebahq.files import sha256_of
from celebahq.progress import Progress
from export.sample import UsageError, load_onnx


class AnyGenerator(Protocol):
    """What export.sample.OnnxGenerator and export.torch_generator.TorchGenerator have in common."""

    latent_size: int
    """Components of z."""
    label_size: int
    """Components of the label; 0 is unconditional."""
    label_names: list[str]
    """Names of the classes; [] where nobody named them."""
    resolution: int
    """Side of the images."""
    runs_on: str
    """What computes, in words."""
    note: str
    """A sentence where the machine has a GPU and the CPU generates, else empty."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """What is known of the weights: source_sha256, precision ..."""

    def __call__(self, z: np.ndarray, label: np.ndarray | None = None) -> np.ndarray:
        """z: (N, latent_size) float32, label: (N, label_size) float32. Returns images as the model gives them."""

    def uint8_images(self, z: np.ndarray, label: np.ndarray | None = None) -> np.ndarray:
        """Return the images as (N, R, R, C) uint8."""


def load_generator(model: str, device: str) -> AnyGenerator:
    """Return an OnnxGenerator for an .onnx file, without importing torch, or a TorchGenerator for a model folder.

    Args:
        model: an .onnx file, a model folder, a run folder or the name of a published model.
        device: "auto", "cpu" or "cuda".

    Raises:
        UsageError: the model cannot be used.
        celebahq.errors.DeviceError: CUDA was asked for and is not there.
    """
    path = Path(model)
    if path.suffix == ".onnx" and not path.is_dir() and "//" not in model:  # an address is a model of the Hub
        return load_onnx(path, device)
    if path.is_file():
        raise UsageError(f"--model: got the file {path}, expected a model folder or an .onnx file")
    from export.torch_generator import TorchGenerator

    return TorchGenerator(model, device)


def model_sha256(generator: AnyGenerator, model: str) -> str:
    """Return the sha256 of the weights; of a foreign .onnx, which says nothing of where it is from, of the file."""
    return generator.metadata.get("source_sha256") or sha256_of(model)


class Clock:
    """Time spent generating, without writing files; each batch also advances a bar of progress."""

    def __init__(self, bar: Progress) -> None:
        self.seconds = 0.0
        self._bar = bar

    def add(self, images: int, seconds: float) -> None:
        """Count a batch."""
        self.seconds += seconds
        self._bar.advance(images)
