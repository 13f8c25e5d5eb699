"""The training pair that a network of a name wants, drawn from a photograph."""

from pathlib import Path

import numpy as np

from train.restoration.as_found import as_found_pair, load_cleaner
from train.restoration.degrade import artifact_pair, superres_pair


class PairDrawer:
    """Draw pairs (input, target) for one network.

    The adversarial network is the one that enlarges real photographs: three in five of its pairs are as photographs are
    found, the others ideal reductions. The PSNR network starts it off and is measured on ideal reductions; what a
    small network spends on the rest it lacks there.
    """

    def __init__(self, net: str, kind: str, side: int, cleaner: Path | None = None) -> None:
        self._net, self._kind, self._side = net, kind, side
        self._clean = load_cleaner(cleaner) if cleaner is not None else None

    def __call__(self, rng: np.random.Generator, photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One pair, uint8; photo: (H, W, 3) uint8. See artifact_pair, superres_pair and as_found_pair."""
        if self._net == "artifacts":
            return artifact_pair(rng, photo, self._side)
        if self._kind == "psnr":
            return superres_pair(rng, photo, self._side)
        if rng.random() < 0.4:
            return superres_pair(rng, photo, self._side, ideal=1.0)
        return as_found_pair(rng, photo, self._side, self._clean)
