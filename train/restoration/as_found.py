"""Small photographs as they are found: soft, grainy, compressed and cleaned again, for the adversarial network."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from train.restoration.degrade import draw_patch, jpeg, resize

MARGIN = 32
"""Target pixels around a patch: the widest blur and reduction together reach no further."""

Clean = Callable[[np.ndarray], np.ndarray]


def as_found_pair(
    rng: np.random.Generator, photo: np.ndarray, side: int, clean: Clean | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """A small patch as photographs are found, and what to make of it: (side/4, side/4, 3) and (side, side, 3) uint8.

    Three in five are soft, with a blur of 1 to 5 target pixels, and their target keeps half of it: whoever asks for
    the sharp one teaches a network to crack smooth skin into lines. Half are grainy, with clean targets: grain is no
    feature either. Seven in ten are compressed.

    Args:
        clean: artifact removal, (H, W, 3) uint8 to the same; what was compressed passes it, as in the builder.
    """
    target = source = draw_patch(rng, photo, side + 2 * MARGIN)
    if rng.random() < 0.6:
        blur = rng.uniform(1.0, 5.0)
        source, target = (cv2.GaussianBlur(target, (0, 0), sigma) for sigma in (blur, blur / 2))
    small = (side + 2 * MARGIN) // 4
    reduced = resize(source, small, small, ("bicubic", "lanczos", "bilinear", "box")[rng.integers(4)])
    if rng.random() < 0.5:
        reduced = np.clip(np.rint(reduced + _grain(rng, small)), 0, 255).astype(np.uint8)
    if rng.random() < 0.7:
        reduced = jpeg(reduced, int(rng.integers(40, 96)), "4:2:0" if rng.random() < 0.5 else "4:4:4")
        if clean is not None:
            reduced = clean(reduced)
    inner, outer = slice(MARGIN // 4, -(MARGIN // 4)), slice(MARGIN, -MARGIN)
    return reduced[inner, inner], target[outer, outer]


def _grain(rng: np.random.Generator, side: int) -> np.ndarray:
    """Noise of 1 to 6 gray levels, (side, side, 3) float: half of it gray, half of it in blotches."""
    noise: np.ndarray = rng.normal(0.0, 1.0, (side, side, 3))
    if rng.random() < 0.5:
        noise[...] = noise[..., :1]
    if rng.random() < 0.5:
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), rng.uniform(0.5, 1.0)))
    return noise * (rng.uniform(1.0, 6.0) / noise.std())


def load_cleaner(path: Path) -> Clean:
    """The artifact removal of some weights, on the CPU."""
    from train.restoration.checkpoint import load_weights
    from train.restoration.protocol import restorer

    return restorer(load_weights(path))
