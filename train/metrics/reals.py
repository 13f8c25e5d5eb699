"""Images of the dataset in a seeded order, mirrored where the generator has learnt from mirrored ones."""

from collections.abc import Iterator

import numpy as np

from celebahq_builder.hdf5 import Dataset
from train.distributed import ALONE, Ranks
from train.metrics.errors import MetricError
from train.metrics.shares import Share, is_mine


class Reals:
    """One stream of distinct images: every row once, in random order, then again the other way round if mirrored.

    Args:
        dataset: the open file.
        resolution: which of its levels.
        mirror: turn each row left to right with probability one half, as training did.
        seed: of the order and of the mirroring.
    """

    def __init__(self, dataset: Dataset, resolution: int, *, mirror: bool, seed: int = 0) -> None:
        self.dataset = dataset
        self.resolution = resolution
        self.mirror = mirror
        self.seed = seed
        random = np.random.RandomState(seed)
        self.rows = random.permutation(len(dataset))
        self.mirrored = random.rand(len(dataset)) < 0.5 if mirror else np.zeros(len(dataset), bool)
        self.batch = max(4, min(64, 2**20 // resolution**2))

    def __len__(self) -> int:
        """Distinct images that there are."""
        return len(self.rows) * (2 if self.mirror else 1)

    def require(self, num_images: int) -> None:
        """Raise MetricError unless there are that many."""
        if num_images > len(self):
            rows = f"{len(self.rows)} faces" + (f", {len(self)} with their mirror images" if self.mirror else "")
            raise MetricError(
                f"{self.dataset.path}: got {rows}, expected {num_images}; give --num-images {len(self)} or fewer"
            )

    def batches(self, num_images: int, start: int = 0) -> Iterator[np.ndarray]:
        """Yield images start .. start + num_images - 1 of the stream, (n, 3, R, R) uint8.

        Raises:
            MetricError: the dataset has not that many.
        """
        return (images for _, images in self.share(num_images, start=start))

    def share(self, num_images: int, ranks: Ranks = ALONE, start: int = 0) -> Share:
        """Yield this rank's batches of the same images, numbered from 0.

        Raises:
            MetricError: the dataset has not that many.
        """
        self.require(start + num_images)
        for batch, first in enumerate(range(start, start + num_images, self.batch)):
            if not is_mine(batch, ranks):
                continue
            positions = np.arange(first, min(first + self.batch, start + num_images))
            again, index = np.divmod(positions, len(self.rows))
            images = self.dataset.read(self.resolution, self.rows[index])
            flip = self.mirrored[index] ^ (again > 0)
            images[flip] = images[flip][..., ::-1]
            yield first - start, images

    @property
    def labels(self) -> np.ndarray | None:
        """(N, L) float32 in the order of the stream's first pass; None where there are none."""
        return None if self.dataset.labels is None else self.dataset.labels[self.rows]
