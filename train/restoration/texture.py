"""How close texture is to the originals': sliced Wasserstein distance of Laplacian patches (paper, Section 5)."""

import cv2
import numpy as np

PATCH = 7
LEVELS = 2
DIRECTIONS = 256


def laplacian_levels(photo: np.ndarray, levels: int = LEVELS) -> list[np.ndarray]:
    """The finest levels of the Laplacian pyramid. photo: (H, W, 3) uint8. Returns (H/2^i, W/2^i, 3) float32 each."""
    current: np.ndarray = photo.astype(np.float32)
    result: list[np.ndarray] = []
    for _ in range(levels):
        smaller = cv2.pyrDown(current)
        result.append(current - cv2.pyrUp(smaller, dstsize=current.shape[1::-1]))
        current = smaller
    return result


def _patches(levels: list[np.ndarray], per_photo: int, rng: np.random.Generator) -> np.ndarray:
    """(photos * per_photo, 7, 7, 3) float32 drawn at random from one level of every photo."""
    drawn = []
    for level in levels:
        ys, xs = (rng.integers(0, n - PATCH + 1, per_photo) for n in level.shape[:2])
        drawn += [level[y : y + PATCH, x : x + PATCH] for y, x in zip(ys, xs, strict=True)]
    return np.stack(drawn)


def texture_distance(
    originals: list[np.ndarray], restored: list[np.ndarray], *, per_photo: int = 1024, seed: int = 0
) -> float:
    """Mean over the finest two levels of the sliced Wasserstein distance, x 1e3; 0 for identical photos.

    Patches of 7x7 pixels at the same places of both, each set brought to zero mean and unit deviation a channel,
    projected on 256 random directions and sorted, as in the paper's Section 5.

    Args:
        originals, restored: pairs of (H, W, 3) uint8, at least 32 pixels each way.
    """
    distances = []
    pyramids = [[laplacian_levels(photo) for photo in photos] for photos in (originals, restored)]
    for level in range(LEVELS):
        sorted_projections = []
        for pyramid in pyramids:
            rng = np.random.default_rng(seed)
            patches = _patches([levels[level] for levels in pyramid], per_photo, rng)
            patches = (patches - patches.mean((0, 1, 2))) / (patches.std((0, 1, 2)) + 1e-6)
            directions = rng.standard_normal((PATCH * PATCH * 3, DIRECTIONS)).astype(np.float32)
            directions /= np.linalg.norm(directions, axis=0)
            sorted_projections.append(np.sort((patches.reshape(len(patches), -1) @ directions).T, axis=1))
        distances.append(np.abs(sorted_projections[0] - sorted_projections[1]).mean())
    return float(1e3 * np.mean(distances))
