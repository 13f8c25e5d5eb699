"""A small dataset and small untrained generators, for every test of the metrics."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from celebahq_builder.hdf5 import DatasetWriter
from zoo import weights
from zoo.progan import Generator, ProGANConfig

ROWS = 40


def _write_dataset(path: Path, labels: np.ndarray | None = None) -> Path:
    """Write ROWS images of 32x32: row i is brighter than row i - 1, and each is brighter on its left."""
    random = np.random.default_rng(0)
    with DatasetWriter(path, 32, ROWS, labels=labels) as writer:
        for i in range(ROWS):
            level = random.integers(0, 40, (3, 32, 32)) + 4 * i + np.linspace(50, 0, 32)
            levels = {r: level.reshape(3, r, 32 // r, r, 32 // r).mean((2, 4)) for r in (32, 16, 8, 4, 2, 1)}
            writer.write({r: image.astype(np.uint8) for r, image in levels.items()})
    return path


def _save_model(folder: Path, seed: int = 0, **architecture: int) -> Path:
    torch.manual_seed(seed)
    options = {"resolution": 32, "latent_size": 8, "fmap_base": 64, "fmap_max": 8, **architecture}
    weights.save(Generator(ProGANConfig(**options)), folder, training={"kimg": 1, "mirror": True})
    return folder


@pytest.fixture(scope="session")
def write_dataset() -> Callable[..., Path]:
    """write_dataset(path, labels=None) -> path."""
    return _write_dataset


@pytest.fixture(scope="session")
def save_model() -> Callable[..., Path]:
    """save_model(folder, seed=0, **architecture) -> folder: an untrained generator, by default 32x32."""
    return _save_model


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory) -> Path:
    return _write_dataset(tmp_path_factory.mktemp("data") / "faces.h5")


@pytest.fixture(scope="session")
def small_model(tmp_path_factory) -> Path:
    return _save_model(tmp_path_factory.mktemp("model") / "faces")
