"""Which order ten numbers a face are in: other programs' orders look like numbers, too, and make crops of nonsense."""

from pathlib import Path

import numpy as np

# A face seen from the front, as CelebA's mean: left eye, right eye, nose, left mouth, right mouth.
_FACE = np.array([(-20, -20.4), (20, -20.4), (0, 1.6), (-17, 20.6), (17, 20.6)])

EXPECTED = "x and y of left eye, right eye, nose, left mouth, right mouth in turn (left in the image)"
_OTHERS = {
    "the order x1 ... x5 y1 ... y5, as MTCNN writes it": [0, 5, 1, 6, 2, 7, 3, 8, 4, 9],
    "y before x in every point": [1, 0, 3, 2, 5, 4, 7, 6, 9, 8],
    "left and right as the person sees them": [2, 3, 0, 1, 4, 5, 8, 9, 6, 7],
    "the nose first, then eyes and mouth": [2, 3, 4, 5, 0, 1, 6, 7, 8, 9],
}
"""What it is called -> for each expected number, its place in the list."""

# misfit() of 104 photographs by hand: 0.09 in the median, 0.28 at most; in the order of MTCNN 0.48 at least.
_MUST_FIT, _TIMES_BETTER = 0.3, 2.0
_MOST_TURNED = np.pi / 3  # x and y exchanged, and left and right exchanged, are told apart by which way is up


def refuse_other_orders(path: Path, found: dict[str, np.ndarray]) -> None:
    """Raise ValueError, by name, where the numbers make faces in another order than the one that is expected.

    Args:
        found: (5, 2) float by photo name.
    """
    if not found:
        return
    numbers = np.stack(list(found.values())).reshape(-1, 10).astype(np.float64)
    numbers = numbers[np.isfinite(numbers).all(axis=1)]
    if not len(numbers):
        return
    if np.abs(numbers).max() <= 1.5:
        raise ValueError(
            f"{path}: got numbers up to {np.abs(numbers).max():.3g}, expected pixels, not shares of the side"
        )
    now = np.median(misfit(numbers.reshape(-1, 5, 2)))
    others = {name: np.median(misfit(numbers[:, order].reshape(-1, 5, 2))) for name, order in _OTHERS.items()}
    name = min(others, key=lambda name: others[name])
    if others[name] < _MUST_FIT and others[name] * _TIMES_BETTER < now:
        raise ValueError(f"{path}: got {name}, expected {EXPECTED}")


def misfit(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how far five points are from those of a face, wherever it is and however large and turned, and its turn.

    Args:
        points: (N, 5, 2) float, x right and y down.

    Returns:
        (N,) float: 0 for the mean face, 1 for points without any likeness to it.
        (N,) float: by how much it is turned from upright, either way, in radians.
    """
    # The plane as complex numbers: turning and resizing is one multiplication, and the least squares are one product.
    face = _FACE[:, 0] + 1j * _FACE[:, 1]
    face = (face - face.mean()) / np.linalg.norm(face - face.mean())
    z = points[..., 0] + 1j * points[..., 1]
    z = z - z.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(z, axis=1)
    product = z @ face.conj()
    likeness = np.abs(product) / np.maximum(norm, 1e-9)
    return np.sqrt(np.maximum(1 - likeness**2, 0)), np.abs(np.angle(product))
