"""The classifier of digits that the mode count needs: trained here from MNIST, kept in a cache, never shipped."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from celebahq.device import channels_last
from celebahq.files import write_atomic
from train.metrics.errors import MetricError
from train.metrics.mnist import read_mnist
from train.metrics.pretrained_file import cache_folder

MAX_ERROR = 0.005
"""Share of the 10,000 test digits that the classifier may get wrong: the counts stand on it."""
SIDE, CROP = 32, 28
FILE_NAME = "mnist-classifier-1.safetensors"
"""The number counts changes of the network or of its training."""


class DigitClassifier(nn.Module):
    """Digits to class scores: five convolutions with batch normalization, 0.18M parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_convolution(1, 24, 5, padding=2),  # 28x28
            nn.MaxPool2d(2),
            *_convolution(24, 48, 3, padding=1),  # 14x14
            *_convolution(48, 48, 3, padding=1),
            nn.MaxPool2d(2),
            *_convolution(48, 96, 3, padding=1),  # 7x7
            *_convolution(96, 96, 3, padding=0),  # 5x5
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(96, 10),
        )

    def forward(self, digits: Tensor) -> Tensor:
        """digits: (N, 1, 28, 28) float32 in [0, 1], the ink bright. Returns (N, 10) logits."""
        return self.layers(digits)

    @torch.no_grad()
    def classes(self, digits: Tensor) -> Tensor:
        """Return the classes (N,) int64 of digits (N, 32, 32) uint8; only the central 28x28 is looked at."""
        self.eval()
        margin = (SIDE - CROP) // 2
        inside = digits[:, None, margin : margin + CROP, margin : margin + CROP]
        # A few hundred at a time: their activations then stay in the processor's cache.
        return torch.cat([self(part.float() / 255).argmax(1) for part in inside.split(256)])


def _convolution(in_channels: int, out_channels: int, kernel: int, padding: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(in_channels, out_channels, kernel, padding=padding, bias=False)
    return convolution, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)


def train_classifier(
    digits: np.ndarray,
    labels: np.ndarray,
    *,
    epochs: int = 8,
    batch: int = 128,
    learning_rate: float = 4e-3,
    seed: int = 0,
    device: torch.device | str = "cpu",
    info: Callable[[str], None] = lambda line: None,
) -> DigitClassifier:
    """Train a classifier: AdamW, one cycle of the learning rate, digits turned, scaled, sheared and shifted.

    Args:
        digits: (N, 32, 32) uint8.
        labels: (N,) integers 0..9.
        epochs: times that each digit is shown.
        batch: digits a step.
        learning_rate: its peak, a fifth of the way in.
        seed: of the initialisation, the order and the distortions.
        device: where to train.
        info: is told the loss after each epoch.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = channels_last(DigitClassifier().to(device))
    random = torch.Generator().manual_seed(seed + 1)
    images = torch.from_numpy(digits).to(device)
    targets = torch.from_numpy(np.asarray(labels, np.int64)).to(device)
    steps = epochs * (len(images) // batch)
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, steps, pct_start=0.2)
    network.train()
    for epoch in range(epochs):
        order = torch.randperm(len(images), generator=random)
        total = 0.0
        for start in range(0, len(images) - batch + 1, batch):
            rows = order[start : start + batch].to(device)
            loss = F.cross_entropy(network(_distorted(images[rows], random)), targets[rows], label_smoothing=0.02)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        info(f"MNIST classifier: epoch {epoch + 1}/{epochs}, loss {total / (len(images) // batch):.4f}")
    return network.eval().requires_grad_(False)


def _distorted(digits: Tensor, random: torch.Generator) -> Tensor:
    """Return (N, 1, 28, 28) float crops of (N, 32, 32) uint8, each moved by an affine map of its own."""
    n = len(digits)
    turn, stretch_x, stretch_y, shear, shift_x, shift_y = torch.rand(6, n, generator=random) * 2 - 1
    cos, sin = torch.cos(turn * math.radians(12)), torch.sin(turn * math.radians(12))
    crop_x, crop_y = CROP / SIDE * (1 + 0.1 * stretch_x), CROP / SIDE * (1 + 0.1 * stretch_y)
    two_pixels = 2 / (SIDE / 2)
    rows = torch.stack(
        [
            torch.stack([crop_x * cos, crop_y * (0.1 * shear - sin), shift_x * two_pixels], 1),
            torch.stack([crop_x * sin, crop_y * cos, shift_y * two_pixels], 1),
        ],
        1,
    ).to(digits.device)
    grid = F.affine_grid(rows, [n, 1, CROP, CROP], align_corners=False)
    crops = F.grid_sample(digits[:, None].float() / 255, grid, align_corners=False)
    return crops.contiguous(memory_format=torch.channels_last)


def error_rate(network: DigitClassifier, digits: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of digits (N, 32, 32) uint8 whose class is not their label."""
    device = next(network.parameters()).device
    found = network.classes(torch.from_numpy(digits).to(device)).cpu().numpy()
    return float((found != labels).mean())


def load_or_train(
    mnist: Path | None,
    device: torch.device | str = "cpu",
    info: Callable[[str], None] = lambda line: None,
    cache: Path | None = None,
) -> tuple[DigitClassifier, float]:
    """Return the classifier and its error on the 10,000 test digits; the first time it is trained, and kept.

    Args:
        mnist: folder of the four MNIST files; may be None once the classifier is in the cache.
        device: where it is to be.
        info: is told what takes long.
        cache: folder, by default weights/ in cache_folder().

    Raises:
        MetricError: neither a classifier nor MNIST is there, or training ended above MAX_ERROR.
    """
    path = (cache or cache_folder() / "weights") / FILE_NAME
    if path.is_file():
        return _load(path, device)
    if mnist is None:
        raise MetricError(f"{path}: got no classifier of digits yet, expected --mnist DIR with the four MNIST files")
    info(f"MNIST classifier: none in {path.parent}, training one (minutes on a CPU)")
    network = train_classifier(*read_mnist(mnist, "train"), device=device, info=info)
    error = error_rate(network, *read_mnist(mnist, "t10k"))
    info(f"MNIST classifier: {error:.2%} error on the 10,000 test digits")
    if error > MAX_ERROR:
        raise MetricError(f"{mnist}: got {error:.2%} errors on the test digits, expected {MAX_ERROR:.1%} at most")
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {key: value.cpu().contiguous() for key, value in network.state_dict().items()}
    with write_atomic(path, shared=True) as file:
        file.write(save(tensors, metadata={"test_error": json.dumps(error)}))
    return network, error


def _load(path: Path, device: torch.device | str) -> tuple[DigitClassifier, float]:
    network = DigitClassifier()
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            network.load_state_dict({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118 - not a dict
            error = float(json.loads(file.metadata()["test_error"]))
    except (OSError, SafetensorError, RuntimeError, KeyError, TypeError) as problem:
        reason = str(problem).splitlines()[0]
        raise MetricError(f"{path}: cannot be read ({reason}); delete it, and it is trained again") from None
    network = channels_last(network.to(device))
    return network.eval().requires_grad_(False), error
