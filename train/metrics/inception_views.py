"""Inception's features of fakes and reals, taken once for all the metrics that want them; those of reals are kept."""

from pathlib import Path

import numpy as np
import torch

from train.distributed import ALONE, Ranks
from train.metrics.by_ranks import inception_of
from train.metrics.fakes import Fakes
from train.metrics.feature_cache import keep_cached, read_cached
from train.metrics.inception import NUM_FEATURES, InceptionFeatures
from train.metrics.reals import Reals
from train.state.run_folder import dataset_fingerprint


class InceptionViews:
    """Pass images through Inception when a metric first wants them.

    Args:
        fakes, reals: the streams; reals may be None where no metric wants them.
        weights: of the network; None fetches them once.
        device: where it computes.
        num_images: most images that any metric will want.
        ranks: that share the work; all of them call each method, what it returns is whole on the first.

    Raises:
        MetricError: no weights, or others.
    """

    def __init__(
        self,
        fakes: Fakes,
        reals: Reals | None,
        weights: Path | None,
        device: torch.device,
        num_images: int,
        ranks: Ranks = ALONE,
    ) -> None:
        self._fakes, self._reals, self._num_images, self._ranks = fakes, reals, num_images, ranks
        self._network = ranks.first_then_others(lambda: InceptionFeatures(weights, device))
        self.sha256 = self._network.sha256
        self._of_fakes: tuple[np.ndarray, np.ndarray] | None = None
        self._of_reals: np.ndarray | None = None

    def of_fakes(self, num_images: int) -> tuple[np.ndarray, np.ndarray]:
        """Return pool3 (N, 2048) and logits (N, 1008), float32, of the generator's first num_images images."""
        if self._of_fakes is None:
            self._of_fakes = inception_of(self._network, self._fakes, self._num_images, self._ranks)
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
            there = read_cached("inception", key) if self._ranks.first else None
            if not self._ranks.from_first(lambda: there is not None):
                self._of_reals, _ = inception_of(self._network, reals, count, self._ranks)
                if self._ranks.first:
                    keep_cached("inception", key, {"features": self._of_reals})
            else:
                self._of_reals = there["features"] if there else np.empty((0, NUM_FEATURES), np.float32)
        return self._of_reals[:num_images]
