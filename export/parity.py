"""Does the .onnx paint what PyTorch paints? The check without which no file is published."""

from collections.abc import Callable, Iterator

import numpy as np

TOLERANCE = 1e-4
"""Largest difference allowed, absolute on images within [-1, 1], in units of the largest value on larger ones."""

KINDS = ("random", "zero", "tiny", "large")
"""zero and tiny latents are where an exporter that drops PixelNorm's epsilon shows: NaN, or faces that are wrong."""

SCALES = {"random": 1.0, "zero": 0.0, "tiny": 1e-4, "large": 1e4}

BATCHES = (
    *((kind,) for kind in KINDS),
    ("random", "zero", "tiny"),
    ("large", "random", "zero"),
    ("random", "zero", "tiny", "large", "random"),
)
"""The kinds of latents in each batch. Sizes 1, 3 and 5, none of which was traced; kinds are mixed, so that anything
shared between the images of a batch shows too."""


class ParityError(RuntimeError):
    """The exported file paints other images than PyTorch."""


def parity(
    paint: Callable[..., np.ndarray], reference: Callable[..., np.ndarray], latent_size: int, label_size: int
) -> dict[str, float]:
    """Compare two generators on random, zero, tiny (1e-4) and large (1e4) latents.

    Args:
        paint: z (N, latent_size) float32[, label (N, label_size) float32] -> images (N, C, R, R) float.
        reference: the same, the one that is right.
        latent_size: components of z.
        label_size: components of the label; 0 calls both without one.

    Returns:
        kind of latent -> max |difference| / max(1, max |reference|), NaN where either has one.
    """
    worst = dict.fromkeys(KINDS, 0.0)
    for kinds, z, label in _batches(latent_size, label_size):
        inputs = (z,) if label is None else (z, label)
        ours, theirs = paint(*inputs), reference(*inputs)
        if ours.shape != theirs.shape:
            raise ParityError(f"images of shape {ours.shape} for a batch of {len(z)}, PyTorch gives {theirs.shape}")
        for kind, a, b in zip(kinds, ours, theirs, strict=True):
            # np.maximum keeps a NaN, which max() may lose
            worst[kind] = float(np.maximum(worst[kind], np.abs(a - b).max() / max(1.0, np.abs(b).max())))
    return worst


def check(worst: dict[str, float], name: str) -> None:
    """Raise ParityError if a difference is above TOLERANCE; name is the file that the message speaks of."""
    bad = [f"{kind} latents by {error:.1e}" for kind, error in worst.items() if not error <= TOLERANCE]
    if bad:
        raise ParityError(f"{name}: differs from PyTorch on {', '.join(bad)}, at most {TOLERANCE:.0e} is wanted")


def _batches(latent_size: int, label_size: int) -> Iterator[tuple[tuple[str, ...], np.ndarray, np.ndarray | None]]:
    random = np.random.RandomState(0)
    for kinds in BATCHES:
        scales = np.asarray([[SCALES[kind]] for kind in kinds])
        z = (random.randn(len(kinds), latent_size) * scales).astype(np.float32)
        label = (
            np.eye(label_size, dtype=np.float32)[random.randint(label_size, size=len(kinds))] if label_size else None
        )
        yield kinds, z, label
