"""A loss for texture: sliced Wasserstein distance of Laplacian patches between restored photos and their originals."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from train.metrics.laplacian import pyramid_down, pyramid_up

PATCH = 7
LEVELS = 2
DIRECTIONS = 32
"""Projections of a patch, a level."""
PLACES = 1024
"""Patches compared, a photo and level."""


def draw_projections(seed: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """What the loss compares this time, a function of the seed alone; on the CPU, float32.

    Returns:
        Unit vectors (LEVELS, DIRECTIONS, 3, PATCH, PATCH), and places (LEVELS, PLACES) as shares, in [0, 1), of a
        level's patches.
    """
    rng = np.random.default_rng(seed)
    directions = rng.standard_normal((LEVELS, DIRECTIONS, 3 * PATCH**2), dtype=np.float32)
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    places = rng.random((LEVELS, PLACES), dtype=np.float32)
    return torch.from_numpy(directions.reshape(LEVELS, DIRECTIONS, 3, PATCH, PATCH)), torch.from_numpy(places)


def texture_loss(
    restored: Tensor,
    originals: Tensor,
    directions: Tensor,
    places: Tensor,
    mean_over_all: Callable[[Tensor], Tensor] = lambda mean: mean,
) -> Tensor:
    """How far the texture of restored photos is from the originals', by distribution and not by place.

    The sliced Wasserstein distance of Laplacian patches (Karras et al., Section 5), differentiable, photo by photo:
    patches of the two finest levels are projected on random directions and sorted, and what has the same rank is
    compared (as a loss for texture: Heitz et al., 2021, "A Sliced Wasserstein Loss for Neural Texture Synthesis").
    A fine grain costs nothing here that lies elsewhere than the original's, unlike with a loss of pixels. The measure
    in train.restoration.texture scales each set by itself; this one scales both alike, so the strength counts too.

    Args:
        restored, originals: (N, 3, H, W) float in about [0, 1], at least 32 pixels each way.
        directions, places: of draw_projections.
        mean_over_all: from a mean over these photos to that over a whole batch, of which they are a part.

    Returns:
        0-dim, in units of the standard deviation of the originals' levels.
    """
    total = restored.new_zeros(())
    levels = zip(_laplacian(restored), _laplacian(originals), directions, places, strict=True)
    for ours, theirs, projections, shares in levels:
        mean = mean_over_all(theirs.mean(dim=(0, 2, 3), keepdim=True))
        deviation = mean_over_all((theirs - mean).square().mean(dim=(0, 2, 3), keepdim=True)).sqrt()
        scale = 1 / (deviation + 1e-4)
        responses = [F.conv2d(level * scale, projections).flatten(2) for level in (ours, theirs)]
        chosen = (shares * responses[0].shape[2]).long()
        ranked = [response[..., chosen].sort(dim=2).values for response in responses]
        total = total + (ranked[0] - ranked[1]).abs().mean()
    return total / LEVELS


def _laplacian(photos: Tensor) -> list[Tensor]:
    """The finest levels of the pyramid, without the border that is made of mirrored pixels."""
    levels = []
    for _ in range(LEVELS):
        smaller = pyramid_down(photos)
        levels.append((photos - pyramid_up(smaller))[..., 4:-4, 4:-4])
        photos = smaller
    return levels
