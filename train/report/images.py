"""Grids of faces: what the reals look like, and what the averaged generator generates at a moment of training."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from celebahq.files import write_atomic
from zoo.progan import Generator

PIXELS_WIDE, PIXELS_HIGH = 1920, 1080


def grid_shape(resolution: int) -> tuple[int, int]:
    """Return (columns, rows) of a grid of about 1920x1080 pixels; at most 16 x 9, at least 3 x 2."""
    return min(max(PIXELS_WIDE // resolution, 3), 16), min(max(PIXELS_HIGH // resolution, 2), 9)


def to_uint8(images: torch.Tensor) -> np.ndarray:
    """Return (N, C, R, R) uint8 of images in [-1, 1]: round(127.5 x + 127.5), saturated."""
    return (images.float() * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8).cpu().numpy()


def save_grid(path: str | Path, images: np.ndarray, columns: int, resolution: int) -> None:
    """Write a PNG, faces enlarged to `resolution` pixels by repetition.

    Args:
        images: (N, C, r, r) uint8, r <= resolution; N is a multiple of columns. C is 3 or 1.
    """
    factor = resolution // images.shape[-1]
    images = images.repeat(factor, axis=2).repeat(factor, axis=3)
    n, channels, height, width = images.shape
    grid = images.reshape(n // columns, columns, channels, height, width).transpose(0, 3, 1, 4, 2)
    grid = grid.reshape(n // columns * height, columns * width, channels)
    with write_atomic(path) as file:
        Image.fromarray(grid if channels == 3 else grid[..., 0]).save(file, format="PNG")


@torch.no_grad()
def generate(
    g_ema: Generator, latents: torch.Tensor, labels: torch.Tensor | None, resolution: int, alpha: float, batch: int = 32
) -> np.ndarray:
    """Return (N, C, R, R) uint8 faces of the latents (N, latent_size), a few at a time."""
    parts = []
    for start in range(0, len(latents), batch):
        label = None if labels is None else labels[start : start + batch]
        parts.append(to_uint8(g_ema(latents[start : start + batch], label, resolution=resolution, alpha=alpha)))
    return np.concatenate(parts)
