"""The images of a metric divided over the processes of torchrun: batch i is that of rank i mod M, whatever M is."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from celebahq.progress import progress
from train.distributed import Ranks

Share = Iterator[tuple[int, np.ndarray]]
"""This rank's batches, each (n, C, R, R) uint8 with the number of its first image."""


def is_mine(index: int, ranks: Ranks) -> bool:
    """Whether batch number `index` is this rank's."""
    return index % ranks.count == ranks.rank


def batch_sizes(num_images: int, batch: int) -> list[int]:
    """Return the images of every batch, over all ranks: all but the last have `batch`."""
    return [min(batch, num_images - first) for first in range(0, num_images, batch)]


def counted_share(share: Share, num_images: int, what: str, ranks: Ranks) -> Share:
    """Yield a share as it comes, and show how many of all images have passed, as the others are as fast."""
    with progress(what, num_images, "images") as bar:
        for first, images in share:
            yield first, images
            bar.update(min(first + len(images) * ranks.count, num_images))


def exchanged(ranks: Ranks, mine: Sequence[Tensor], sizes: Sequence[int], empty: Tensor) -> list[Tensor]:
    """Return what all ranks made of all batches, in the order of the batches; called by all of them.

    Args:
        mine: (n, ...) of each batch of this rank, in order.
        sizes: n of every batch.
        empty: (0, ...) with the shape, dtype and device of all.
    """
    if ranks.count == 1:
        return list(mine)
    found: list[Tensor] = []
    for first in range(0, len(sizes), ranks.count):
        of_turn = sizes[first : first + ranks.count]
        own = empty.new_zeros(max(sizes), *empty.shape[1:])
        if ranks.rank < len(of_turn):
            own[: of_turn[ranks.rank]] = mine[first // ranks.count]
        found += [x[:n] for x, n in zip(ranks.gather(own), of_turn, strict=False)]
    return found


def sum_in_order(ranks: Ranks, mine: dict[int, float], count: int) -> float:
    """Return the sum of `count` numbers, each known to one rank by its index: the same bits whatever that rank."""
    numbers = torch.zeros(count, dtype=torch.float64)
    for index, number in mine.items():
        numbers[index] = number
    return sum(ranks.add_up(numbers).tolist())
