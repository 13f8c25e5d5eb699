"""How a minibatch is divided over ranks and parts, by whole groups of minibatch stddev, and what cannot be divided."""

from train.config import TrainConfig, TrainError
from train.distributed import ALONE, Ranks, Split
from train.schedule import at_resolution
from zoo.architecture import ProGANConfig


def minibatch_size(config: TrainConfig, resolution: int) -> int:
    """Return the images of a minibatch, over all ranks."""
    return int(at_resolution(config.minibatch_at, resolution, config.minibatch))


def split_of(
    config: TrainConfig, architecture: ProGANConfig, resolution: int, ranks: Ranks = ALONE, more_parts_than: int = 0
) -> Split:
    """Return how a minibatch is divided, in as few parts as --max-batch-per-gpu allows.

    Args:
        config, architecture, resolution, ranks: of the run.
        more_parts_than: parts that are too few.

    Raises:
        TrainError: it cannot be.
    """
    total, r = minibatch_size(config, resolution), f"{resolution}x{resolution}"
    group, kind = architecture.stddev_group_size, architecture.stddev_kind
    if group and ranks.count > 1 and total % (group * ranks.count):
        whole = group * ranks.count
        raise TrainError(
            f"minibatch at {r}: got {total} images, expected a multiple of {whole} (on each of {ranks.count} ranks "
            f"whole groups of {group}, this network's minibatch stddev); give "
            f"{config.minibatch_flag(resolution, -(-total // whole) * whole)}"
        )
    if total < ranks.count:
        raise TrainError(
            f"minibatch at {r}: got {total} images, expected one or more for each of {ranks.count} ranks; start fewer, "
            f"or give {config.minibatch_flag(resolution, ranks.count)}"
        )
    if config.n_critic > 1 and total % ranks.count:
        raise TrainError(
            f"minibatch at {r}: got {total} images, expected a multiple of the {ranks.count} ranks with --n-critic "
            f"{config.n_critic}; give {config.minibatch_flag(resolution, total - total % ranks.count)}"
        )
    if (at_once := architecture.whole_batch) and ranks.count > 1:
        raise TrainError(
            f"torchrun: got {ranks.count} ranks, expected one process: this network's {at_once} is over the whole "
            "minibatch and is not shared between them"
        )
    if at_once and total < 2:
        raise TrainError(f"minibatch at {r}: got 1 image, expected 2 or more for this network's {at_once}")
    share, limit = -(-total // ranks.count), config.max_batch_per_gpu or total
    for parts in range(more_parts_than + 1, share + 1):
        divisible = not at_once and kind != "batch" and (not group or share % (group * parts) == 0)
        if (parts == 1 or divisible) and -(-share // parts) <= limit:
            return Split(total, ranks, parts, kind == "contiguous")
    if at_once:
        why = f"this network's {at_once} is over the whole minibatch, which cannot be shown in parts"
    elif kind == "batch":
        why = (
            "this network's minibatch stddev is over the whole minibatch, which cannot be shown in parts; start more "
            f"ranks, or give {config.minibatch_flag(resolution, limit * ranks.count)} or a new run --variant released"
        )
    else:
        why = f"a share of {share} images is divided by whole groups of {group}, this network's minibatch stddev"
    wanted = group if group and not at_once else share
    raise TrainError(f"--max-batch-per-gpu at {r}: got {limit}, expected {wanted}: {why}")


def check_minibatches(
    config: TrainConfig, resolutions: list[int], architecture: ProGANConfig, ranks: Ranks = ALONE
) -> None:
    """Raise TrainError if a minibatch does not fill whole groups of the network's minibatch stddev, or no rank."""
    group = architecture.stddev_group_size if architecture.stddev_remainder == "refused" else None
    for resolution in resolutions:
        size = minibatch_size(config, resolution)
        if group and size > group and size % group:
            raise TrainError(
                f"minibatch at {resolution}x{resolution}: got {size} images, expected a multiple of {group} (whole "
                f"groups of this network's minibatch stddev); give "
                f"{config.minibatch_flag(resolution, size - size % group)}"
            )
        split_of(config, architecture, resolution, ranks)
