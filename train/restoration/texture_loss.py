"""A loss for texture: sliced Wasserstein distance of Laplacian patches between restored photos and their originals."""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

PATCH = 7
LEVELS = 2
DIRECTIONS = 32
PLACES = 1024
"""Patches compared a photo and level."""


def texture_loss(restored: Tensor, originals: Tensor) -> Tensor:
    """How far the texture of restored photos is from the originals', by distribution and not by place.

    The distance that train.restoration.texture measures (Karras et al., Section 5), differentiable, photo by photo:
    patches of the two finest Laplacian levels are projected on random directions and sorted, and what has the same rank
    is compared (as a loss for texture: Heitz et al., 2021, "A Sliced Wasserstein Loss for Neural Texture Synthesis").
    A fine grain costs nothing here that lies elsewhere than the original's, unlike with a loss of pixels.

    Args:
        restored, originals: (N, 3, H, W) float in about [0, 1], at least 64 pixels each way.

    Returns:
        0-dim, in units of the standard deviation of the originals' levels.
    """
    total = restored.new_zeros(())
    for ours, theirs in zip(_laplacian(restored), _laplacian(originals), strict=True):
        scale = 1 / (theirs.std(dim=(0, 2, 3), keepdim=True) + 1e-4)
        directions = torch.randn(DIRECTIONS, 3, PATCH, PATCH, device=ours.device)
        directions = directions / directions.flatten(1).norm(dim=1)[:, None, None, None]
        places = torch.rand(ours[0, 0, PATCH - 1 :, PATCH - 1 :].numel(), device=ours.device).argsort()[:PLACES]
        responses = [F.conv2d(level * scale, directions).flatten(2)[..., places] for level in (ours, theirs)]
        ranked = [response.sort(dim=2).values for response in responses]
        total = total + (ranked[0] - ranked[1]).abs().mean()
    return total / LEVELS


def _laplacian(photos: Tensor) -> list[Tensor]:
    """The finest levels of the pyramid as cv2.pyrDown and pyrUp make them, without the border that padding reaches."""
    levels = []
    for _ in range(LEVELS):
        smaller = _blur(photos)[..., ::2, ::2]
        spread = torch.zeros_like(photos)
        spread[..., ::2, ::2] = 4 * smaller
        levels.append((photos - _blur(spread))[..., 4:-4, 4:-4])
        photos = smaller
    return levels


def _blur(maps: Tensor) -> Tensor:
    """Binomial filter of five taps both ways. (N, C, H, W)."""
    kernel = _kernel(maps.device).expand(maps.shape[1], 1, 5, 5)
    return F.conv2d(F.pad(maps, (2, 2, 2, 2), mode="reflect"), kernel, groups=maps.shape[1])


@cache
def _kernel(device: torch.device) -> Tensor:
    # Once: while a CUDA graph is captured nothing may be copied from the host.
    taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], device=device) / 16
    return (taps[:, None] * taps)[None, None]
