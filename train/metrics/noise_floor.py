"""The noise floor of SWD: what two samples of the reals themselves show."""

from collections.abc import Callable

import torch

from train.distributed import ALONE, Ranks
from train.metrics.by_ranks import patches_of
from train.metrics.patch_descriptors import SwdDescriptors
from train.metrics.reals import Reals
from train.metrics.swd import descriptor_swd

Distance = Callable[[SwdDescriptors, SwdDescriptors, Ranks], dict[int | str, float]]


def swd_noise_floor(
    of_reals: SwdDescriptors,
    reals: Reals,
    seed: int,
    device: torch.device,
    distance: Distance = descriptor_swd,
    ranks: Ranks = ALONE,
) -> tuple[dict[str, float], str]:
    """Return the distance of reals to as many others, or, where there are too few, to other patches of the same.

    Args:
        of_reals: patches of the stream's first images.
        reals: the stream.
        ranks: that share the work; called by all of them.
    """
    count = of_reals.num_images
    others = len(reals) >= 2 * count
    second = patches_of(reals, count, seed, 1, device, ranks, start=count if others else 0)
    values = {str(level): value for level, value in distance(of_reals, second, ranks).items()}
    return values, "other reals" if others else "the same reals, other patches"
