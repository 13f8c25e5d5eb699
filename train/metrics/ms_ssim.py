"""MS-SSIM of pairs of images, and its mean over a set's adjacent ones: how alike they are (paper, Section 5).

Multi-scale structural similarity (Wang, Simoncelli & Bovik 2003) as the released program computes it: each of R, G, B
for itself and all averaged, windows that lie wholly within the image, 2x2 means between the scales.
"""

import numpy as np
import torch
from torch import Tensor

from celebahq.device import choose_device
from train.metrics.image_batches import BATCH, Images, adjacent_pairs, image_batches

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales, finest first; they sum to 1.0001, as published."""
WINDOW, SIGMA = 11, 1.5
"""Side and deviation of the Gaussian window in pixels; both shrink where a scale is smaller than the window."""
CPU_PAIRS = 4
"""Pairs at once on a CPU, whose caches they should fit; on a GPU, BATCH."""
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


@torch.no_grad()
def ms_ssim(a: np.ndarray | Tensor, b: np.ndarray | Tensor, device: torch.device | str | None = None) -> np.ndarray:
    """Return the similarity (N,) float64 of a[i] and b[i]: 1 for the same image, 0 or more for others.

    Args:
        a, b: (N, 3, R, R) uint8, R a multiple of 16.
        device: where; by default a GPU if there is one. The arithmetic is float64 everywhere.

    Raises:
        ValueError: images of the wrong kind, or a and b of different shapes.
    """
    if len(a) != len(b) or a.shape[1:] != b.shape[1:]:
        raise ValueError(f"pairs: got {tuple(a.shape)} and {tuple(b.shape)}, expected the same shape")
    if a.shape[-1] % 16:
        raise ValueError(f"images: got {a.shape[-1]}x{a.shape[-1]}, expected a multiple of 16 for five scales")
    device = choose_device(device)
    at_once = CPU_PAIRS if device.type == "cpu" else BATCH
    parts = [
        _ms_ssim(few_a.to(device), few_b.to(device)).cpu().numpy()
        for some_a, some_b in zip(image_batches(a), image_batches(b), strict=True)
        for few_a, few_b in zip(some_a.split(at_once), some_b.split(at_once), strict=True)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def ms_ssim_of(images: Images, pairs: int = 10_000, device: torch.device | str | None = None) -> float:
    """Return the mean MS-SSIM of images 0 and 1, 2 and 3, ... of a set: the more it varies, the lower.

    Args:
        images: uint8 (N, 3, R, R), an array or batches; what follows the first 2 * pairs is not read.

    Raises:
        ValueError: images of the wrong kind, or fewer than that many pairs.
    """
    scores: list[float] = []
    for a, b in adjacent_pairs(images):
        scores += ms_ssim(a[: pairs - len(scores)], b[: pairs - len(scores)], device).tolist()
        if len(scores) >= pairs:
            return float(np.mean(scores))
    raise ValueError(f"images: got {len(scores)} pairs, expected {pairs}")


def _ms_ssim(a: Tensor, b: Tensor) -> Tensor:
    a, b = a.double(), b.double()
    product = torch.ones(len(a), dtype=torch.float64, device=a.device)
    for scale, weight in enumerate(WEIGHTS):
        structure, similarity = _ssim(a, b)
        # Luminance counts at the coarsest scale only. Below 0 the power is not defined.
        product *= (similarity if scale == len(WEIGHTS) - 1 else structure).clamp(min=0) ** weight
        a, b = _halve(a), _halve(b)
    return product


def _ssim(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean contrast and structure, and the mean similarity, (N,) each, of (N, 3, r, r) in 0..255."""
    window = _window_matrix(a.shape[-1], a.device)
    mean_a, mean_b, squares, product = (window @ x @ window.T for x in (a, b, a * a + b * b, a * b))
    mean_squares, mean_product = mean_a**2 + mean_b**2, mean_a * mean_b
    structure = (2 * (product - mean_product) + C2) / (squares - mean_squares + C2)
    luminance = (2 * mean_product + C1) / (mean_squares + C1)
    return structure.mean((1, 2, 3)), (luminance * structure).mean((1, 2, 3))


def _window_matrix(resolution: int, device: torch.device) -> Tensor:
    """Return (r - w + 1, r): row i weighs pixels i .. i + w - 1 with the Gaussian, w = min(11, r), sigma 1.5 w / 11."""
    size = min(WINDOW, resolution)
    offsets = torch.arange(size, dtype=torch.float64, device=device) - (size - 1) / 2
    weights = torch.exp(-0.5 * (offsets / (SIGMA * size / WINDOW)) ** 2)
    matrix = torch.zeros(resolution - size + 1, resolution, dtype=torch.float64, device=device)
    for i, row in enumerate(matrix):
        row[i : i + size] = weights / weights.sum()
    return matrix


def _halve(x: Tensor) -> Tensor:
    return (x[..., 0::2, 0::2] + x[..., 1::2, 0::2] + x[..., 0::2, 1::2] + x[..., 1::2, 1::2]) / 4
