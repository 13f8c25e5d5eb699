"""Read MNIST's four files, and stack its digits into the images of MNIST-1K."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from train.metrics.errors import MetricError

MODES = 1000
PADDING = 2
"""Black pixels around a digit: 28x28 becomes 32x32, as the released program trains on them."""


def read_mnist(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the digits (N, 32, 32) uint8, padded, and their labels (N,) uint8.

    Args:
        folder: holds {part}-images-idx3-ubyte and {part}-labels-idx1-ubyte, with .gz or without.
        part: "train" (60,000) or "t10k" (10,000).

    Raises:
        MetricError: a file is missing, damaged, or not of that shape.
    """
    digits = _read_idx(folder, f"{part}-images-idx3-ubyte", dimensions=3)
    labels = _read_idx(folder, f"{part}-labels-idx1-ubyte", dimensions=1)
    if digits.shape != (len(labels), 28, 28) or not len(labels) or labels.max() > 9:
        raise MetricError(
            f"{folder}: {part}: got digits {digits.shape} and labels {labels.shape}, "
            "expected (N, 28, 28) and (N,) from 0 to 9"
        )
    return np.pad(digits, ((0, 0), (PADDING, PADDING), (PADDING, PADDING))), labels


def _read_idx(folder: Path, name: str, dimensions: int) -> np.ndarray:
    """Return the array of an idx file of unsigned bytes."""
    path = next((p for p in (folder / f"{name}.gz", folder / name) if p.is_file()), None)
    if path is None:
        raise MetricError(f"{folder / name}.gz: not there, expected a folder with the four MNIST files")
    try:
        raw = path.read_bytes()
        data = gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise MetricError(f"{path}: cannot be read ({error})") from None
    header = 4 + 4 * dimensions
    shape = [int.from_bytes(data[k : k + 4]) for k in range(4, header, 4)]
    if data[:4] != bytes([0, 0, 8, dimensions]) or len(data) != header + math.prod(shape):
        raise MetricError(f"{path}: got another or a truncated file, expected idx bytes in {dimensions} dimensions")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def stacked_triples(
    digits: np.ndarray, labels: np.ndarray, num_images: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return images of three digits each, as red, green and blue, and their modes (paper, Appendix E).

    Args:
        digits: (N, 32, 32) uint8.
        labels: (N,) 0..9.
        num_images: how many; the digits are drawn with replacement.
        seed: of the draws.

    Returns:
        (num_images, 3, 32, 32) uint8, and (num_images,) int64 modes 0..999: the labels read as a number.
    """
    rows = np.random.RandomState(seed).randint(len(digits), size=(num_images, 3))
    return digits[rows], labels[rows].astype(np.int64) @ np.array([100, 10, 1])
