"""Inception's features of fakes and reals, taken once for all the metrics that want them; those of reals are kept."""

from pathlib import Path

import numpy as np
import torch

from train.metrics.fakes import Fakes
from train.metrics.feature_cache import cached
from train.metrics.inception import InceptionFeatures
from train.metrics.progress import counted
from train.metrics.reals import Reals
from train.state.run_folder import dataset_fingerprint


class InceptionViews:
    """Pass images through Inception when a metric first wants them.

    Args:
        fakes, reals: the streams; reals may be None where no metric wants them.
        weights: of the network; None fetches them once.
        device: where it computes.
        num_images: most images that any metric will want.

    Raises:
        MetricError: no weights, or others.
    """

    def __init__(
        self, fakes: Fakes, reals: Reals | None, weights: Path | None, device: torch.device, num_images: int
    ) -> None:
        self._fakes, self._reals, self._num_images = fakes, reals, num_images
        self._network = InceptionFeatures(weights, device)
        self.sha256 = self._network.sha256
        self._of_fakes: tuple[np.ndarray, np.ndarray] | None = None
        self._of_reals: np.ndarray | None = None

    def of_fakes(self, num_images: int) -> tuple[np.ndarray, np.ndarray]:
        """Return pool3 (N, 2048) and logits (N, 1008), float32, of the generator's first num_images images."""
        if self._of_fakes is None:
            self._of_fakes = self._look(self._fakes, self._num_images, "Inception of the fakes")
        features, logits = self._of_fakes
        return features[:num_images], logits[:num_images]

    def of_reals(self, num_images: int) -> np.ndarray:
        """Return pool3 (N, 2048) of the first num_images reals, or of all when there are fewer; computed once ever."""
        if self._of_reals is None:
            reals = self._reals
            assert reals is not None, "a metric that compares has a dataset"
            count = min(self._num_images, len(reals))
            facts = {name: value for name, value in dataset_fingerprint(reals.dataset).items() if name != "file"}
            key = {"dataset": facts, "resolution": reals.resolution, "mirror": reals.mirror, "seed": reals.seed}
            key |= {"count": count, "inception": self.sha256}

            def look() -> dict[str, np.ndarray]:
                return {"features": self._look(reals, count, "Inception of the reals")[0]}

            self._of_reals = cached("inception", key, look)["features"]
        return self._of_reals[:num_images]

    def _look(self, images: Fakes | Reals, count: int, what: str) -> tuple[np.ndarray, np.ndarray]:
        return self._network.of(counted(images.batches(count), count, what))
