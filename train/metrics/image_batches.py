"""Sets of images as the metrics take them: one array, or anything that yields batches."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

Images = np.ndarray | Tensor | Iterable[np.ndarray | Tensor]
"""uint8 (N, 3, R, R), or gray (N, 1, R, R): one array, or batches of such."""

BATCH = 64
"""Images of one array that are worked on at once."""


def image_batches(images: Images) -> Iterator[Tensor]:
    """Yield uint8 (n, 3, R, R) tensors, wherever they lie; gray images as three equal channels.

    Raises:
        ValueError: not uint8, neither (N, 3, R, R) nor (N, 1, R, R), or batches of different resolutions.
    """
    if isinstance(images, np.ndarray | Tensor):
        whole = images
        images = (whole[start : start + BATCH] for start in range(0, len(whole), BATCH))
    resolution = None
    for batch in images:
        batch = torch.as_tensor(batch)
        found = f"images: got {tuple(batch.shape)} {str(batch.dtype).removeprefix('torch.')}"
        if (
            batch.dtype != torch.uint8
            or batch.ndim != 4
            or batch.shape[1] not in (1, 3)
            or batch.shape[2] != batch.shape[3]
        ):
            raise ValueError(f"{found}, expected (N, 3, R, R) uint8")
        if resolution not in (None, batch.shape[-1]):
            raise ValueError(f"{found}, expected {resolution}x{resolution} as in the batch before")
        resolution = batch.shape[-1]
        yield batch.expand(-1, 3, -1, -1)


def adjacent_pairs(images: Images) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield images 0, 2, 4, ... and 1, 3, 5, ... side by side, however they come; an odd last one is left out."""
    left = None
    for batch in image_batches(images):
        batch = batch if left is None else torch.cat([left.to(batch.device), batch])
        even = len(batch) // 2 * 2
        left = batch[even:]
        if even:
            yield batch[0:even:2], batch[1:even:2]
