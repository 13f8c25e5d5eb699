"""Does the .onnx generate what PyTorch generates? The check without which no file is published."""

from collections.abc import Callable, Iterator

import numpy as np

from celebahq.errors import CelebAHQError

TOLERANCE = {"fp32": 1e-4, "fp16": 1 / 127.5}
"""Precision of the stored weights -> largest difference allowed, absolute on images within [-1, 1], in units of the
largest value on larger ones. 1 / 127.5 is one gray level of 255."""

KINDS = ("random", "zero", "tiny", "huge", "repeated")
"""zero and tiny latents are where an exporter that drops PixelNorm's epsilon shows: NaN, or faces that are wrong."""

SCALES = {"random": 1.0, "zero": 0.0, "tiny": 1e-4, "huge": 1e15}

BATCHES = (
    *((kind,) for kind in SCALES),
    ("random", "zero", "tiny"),
    ("huge", "random", "zero"),
    ("random", "repeated", "tiny", "huge", "repeated"),
)
"""The kinds of latents in each batch; repeated is the one before once more. Sizes 1, 3 and 5, none of which was traced;
kinds are mixed, so that anything shared between the images of a batch shows too."""


class ParityError(CelebAHQError, RuntimeError):
    """The exported file generates other images than PyTorch: the input is fine, the export is not."""

    exit_code = 1


def parity(
    generator: Callable[..., np.ndarray], reference: Callable[..., np.ndarray], latent_size: int, label_size: int
) -> dict[str, float]:
    """Compare two generators on random, zero, tiny (1e-4), huge (1e15) and repeated latents.

    Args:
        generate: z (N, latent_size) float32[, label (N, label_size) float32] -> images (N, C, R, R) float, or images
            (N, R, R, C) uint8, of which only what rounding cannot explain counts.
        reference: the same as images, the one that is right.
        latent_size: components of z.
        label_size: components of the label; 0 calls both without one.

    Returns:
        kind of latent -> max |difference| / max(1, max |reference|), NaN where the first generates one.

    Raises:
        ParityError: other shapes, or the reference generates NaN.
    """
    worst = dict.fromkeys(KINDS, 0.0)
    for kinds, z, label in _batches(latent_size, label_size):
        inputs = (z,) if label is None else (z, label)
        ours, theirs = generator(*inputs), reference(*inputs)
        if np.isnan(theirs).any():
            raise ParityError(
                f"--model: got NaN from PyTorch itself, of {', '.join(kinds)} latents, expected numbers: damaged?"
            )
        is_uint8 = ours.dtype == np.uint8
        found = ours.transpose(0, 3, 1, 2) if is_uint8 else ours
        if found.shape != theirs.shape:
            raise ParityError(
                f"images: got {found.shape} for a batch of {len(z)}, expected {theirs.shape} as of PyTorch"
            )
        for kind, a, b in zip(kinds, found, theirs, strict=True):
            scale = max(1.0, np.abs(b).max())
            if is_uint8:
                difference = np.maximum(np.abs(a - np.clip(b * 127.5 + 127.5, 0, 255)).max() - 0.5, 0) / 127.5
            else:
                difference = np.abs(a - b).max()
            worst[kind] = float(np.maximum(worst[kind], difference / scale))  # keeps a NaN, which max() may lose
    return worst


def check(worst: dict[str, float], name: str, precision: str = "fp32") -> None:
    """Raise ParityError if a difference is above TOLERANCE; name is the file that the message speaks of."""
    allowed = TOLERANCE[precision]
    bad = [f"{kind} latents by {error:.1e}" for kind, error in worst.items() if not error <= allowed]
    if bad:
        raise ParityError(f"{name}: differs from PyTorch on {', '.join(bad)}, expected at most {allowed:.0e}")


def _batches(latent_size: int, label_size: int) -> Iterator[tuple[tuple[str, ...], np.ndarray, np.ndarray | None]]:
    random = np.random.RandomState(0)
    for kinds in BATCHES:
        z = random.randn(len(kinds), latent_size)
        label = (
            np.eye(label_size, dtype=np.float32)[random.randint(label_size, size=len(kinds))] if label_size else None
        )
        for i, kind in enumerate(kinds):
            z[i] = z[i - 1] if kind == "repeated" else z[i] * SCALES[kind]
            if kind == "repeated" and label is not None:
                label[i] = label[i - 1]
        z = z.astype(np.float32)
        yield kinds, z, label
