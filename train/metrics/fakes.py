"""Images of a generator from one stream of seeded latents, in batches."""

from collections.abc import Iterator

import numpy as np
import torch

from train.distributed import ALONE, Ranks
from train.metrics.shares import Share, is_mine
from train.report.images import to_uint8
from zoo.progan import Generator


class Fakes:
    """Generate the images of a generator, as many as are asked for; each time from the first.

    Image i depends on the seed and on i only: more images extend the stream. The first few gigabytes are kept, so
    that the next metric need not generate them again.

    Args:
        generator: on its device, in evaluation mode; or any callable of (z, label, resolution=, alpha=).
        seed: of numpy.random.RandomState, whose stream numpy never changes.
        labels: (M, label_size) float32 for a conditional generator: image i gets row i mod M.
        resolution: side of the images; by default the generator's.
        alpha: weight of the newest block.
        keep_bytes: generated images up to this size are kept.
    """

    def __init__(
        self,
        generator: Generator,
        *,
        seed: int = 0,
        labels: np.ndarray | None = None,
        resolution: int | None = None,
        alpha: float = 1.0,
        keep_bytes: int = 0,
    ) -> None:
        self.generator = generator
        self.seed = seed
        self.labels = labels
        self.resolution = resolution or generator.config.resolution
        self.alpha = alpha
        self.channels = generator.config.image_channels
        self.batch = max(4, min(64, 2**20 // self.resolution**2))
        self._keep = keep_bytes // (self.batch * self.channels * self.resolution**2)
        self._kept: dict[int, np.ndarray] = {}

    def batches(self, num_images: int) -> Iterator[np.ndarray]:
        """Yield the first num_images images, (n, C, R, R) uint8, round(127.5 x + 127.5) saturated."""
        return (images for _, images in self.share(num_images))

    def share(self, num_images: int, ranks: Ranks = ALONE) -> Share:
        """Yield this rank's batches of the first num_images images, with their numbers."""
        device = next(self.generator.parameters()).device
        random = np.random.RandomState(self.seed)
        for index, start in enumerate(range(0, num_images, self.batch)):
            wanted = min(self.batch, num_images - start)
            latents = random.randn(self.batch, self.generator.config.latent_size).astype(np.float32)
            if not is_mine(index, ranks):
                continue
            if index in self._kept:
                yield start, self._kept[index][:wanted]
                continue
            images = self._generate(torch.from_numpy(latents).to(device), start)
            if len(self._kept) < self._keep:
                self._kept[index] = images
            yield start, images[:wanted]

    @torch.no_grad()
    def _generate(self, latents: torch.Tensor, start: int) -> np.ndarray:
        label = None
        if self.labels is not None:
            rows = np.arange(start, start + len(latents)) % len(self.labels)
            label = torch.from_numpy(np.ascontiguousarray(self.labels[rows])).to(latents.device)
        return to_uint8(self.generator(latents, label, resolution=self.resolution, alpha=self.alpha))
