"""The directions of latent space along which faces change most: what the sliders of the page move along."""

from collections.abc import Callable

import numpy as np

IMAGES = 512
"""At least so many are measured on, and twice as many as a latent has components."""

SIDE_PX = 32
"""Images are compared at this size: what a slider changes should be seen, and hair or light are large."""


def principal_directions(
    generator: Callable[[np.ndarray], np.ndarray],
    latent_size: int,
    count: int,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """Return the directions that explain most of the variety of the images, best first.

    Images are regressed on their latents; the singular vectors of the regression are the latent directions whose
    images differ most in the mean square. GANSpace (Härkönen et al. 2020) does so from the principal components of a
    layer, SeFa (Shen and Zhou 2021) with the weights of the first layer alone.

    Args:
        generate: z (N, latent_size) float32 -> images (N, C, R, R) float.
        latent_size: components of z.
        count: how many directions, at most latent_size.
        on_progress: called with the images generated and all of them.

    Returns:
        (count, latent_size) float32, orthonormal, the one that explains most first, each with the sign that makes
        images brighter. Along each, the latents of seeds are spread ~ N(0, 1).
    """
    # Regress images, made small, on latents.
    images_wanted, batch = max(IMAGES, 2 * latent_size), 4
    z = np.random.RandomState(0).randn(images_wanted, latent_size).astype(np.float32)
    images = []
    for first in range(0, images_wanted, batch):
        images.append(_small(generator(z[first : first + batch])))
        on_progress(min(first + batch, images_wanted), images_wanted)
    pixels = np.concatenate(images).reshape(images_wanted, -1)
    pixels = pixels - pixels.mean(0)
    effects = np.linalg.lstsq(z - z.mean(0), pixels, rcond=None)[0]  # (latent_size, pixels)

    # The directions that explain most.
    directions = np.linalg.svd(effects, full_matrices=False)[0].T[:count]
    directions = directions * np.where((directions @ effects).sum(1, keepdims=True) < 0, -1, 1)
    return directions.astype(np.float32)


def _small(images: np.ndarray) -> np.ndarray:
    """Return images (N, C, R, R) as means of squares, (N, C, S, S) float32, S = min(R, SIDE_PX)."""
    count, channels, resolution, _ = images.shape
    factor = max(resolution // SIDE_PX, 1)
    side = resolution // factor
    blocks = np.clip(images, -1, 1).reshape(count, channels, side, factor, side, factor)
    return blocks.mean((3, 5), dtype=np.float32)
