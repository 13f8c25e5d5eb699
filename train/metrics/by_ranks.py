"""What metrics take of images, each rank of its share: patches, similarities of pairs, Inception's features."""

import numpy as np
import torch

from train.distributed import ALONE, Ranks
from train.metrics.fakes import Fakes
from train.metrics.image_batches import image_batches
from train.metrics.inception import NUM_CLASSES, NUM_FEATURES, InceptionFeatures
from train.metrics.ms_ssim import ms_ssim
from train.metrics.patch_descriptors import SwdDescriptors
from train.metrics.reals import Reals
from train.metrics.shares import batch_sizes, counted_share, exchanged


def patches_of(
    images: Fakes | Reals,
    num_images: int,
    seed: int,
    stream: int,
    device: torch.device,
    ranks: Ranks = ALONE,
    start: int = 0,
) -> SwdDescriptors:
    """Return the patches of the first images, on every rank those of all.

    Args:
        seed, stream: of SwdDescriptors.
        start: the first of so many reals.
    """
    share = images.share(num_images, ranks, start) if isinstance(images, Reals) else images.share(num_images, ranks)
    descriptors = SwdDescriptors(images.resolution, seed, stream, device)
    what = f"patches of {'reals' if isinstance(images, Reals) else 'fakes'}"
    for first, batch in counted_share(share, num_images, what, ranks):
        for rgb in image_batches([batch]):
            descriptors.add(rgb, first)
    descriptors.exchange(ranks, batch_sizes(num_images, images.batch))
    return descriptors


def mean_ms_ssim(images: Fakes | Reals, pairs: int, device: torch.device, ranks: Ranks = ALONE) -> float:
    """Return the mean MS-SSIM of the first pairs of adjacent images, as ms_ssim_of does; the same on every rank."""
    num_images = 2 * pairs
    what = f"MS-SSIM of {'reals' if isinstance(images, Reals) else 'fakes'}"
    mine = [
        torch.from_numpy(ms_ssim(rgb[0::2], rgb[1::2], device))
        for _, batch in counted_share(images.share(num_images, ranks), num_images, what, ranks)
        for rgb in image_batches([batch])
    ]
    sizes = [size // 2 for size in batch_sizes(num_images, images.batch)]  # a batch is even: a pair lies in one
    found = exchanged(ranks, mine, sizes, torch.empty(0, dtype=torch.float64))
    return float(np.mean(torch.cat(found).numpy()))


def inception_of(
    network: InceptionFeatures, images: Fakes | Reals, num_images: int, ranks: Ranks = ALONE
) -> tuple[np.ndarray, np.ndarray]:
    """Return pool3 (N, 2048) and logits (N, 1008), float32, of the first images, on every rank those of all."""
    what = f"Inception of the {'reals' if isinstance(images, Reals) else 'fakes'}"
    pairs = [network(batch) for _, batch in counted_share(images.share(num_images, ranks), num_images, what, ranks)]
    sizes = batch_sizes(num_images, images.batch)
    features, logits = (
        exchanged(ranks, [torch.from_numpy(pair[i]) for pair in pairs], sizes, torch.empty(0, size))
        for i, size in enumerate((NUM_FEATURES, NUM_CLASSES))
    )
    return torch.cat(features).numpy(), torch.cat(logits).numpy()
