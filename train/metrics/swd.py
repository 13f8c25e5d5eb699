"""Sliced Wasserstein distance between two sets of images, level by level (paper, Section 5 and Table 1)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from celebahq.device import choose_device
from celebahq.progress import Progress, progress
from train.distributed import ALONE, Ranks
from train.metrics.image_batches import Images, adjacent_pairs, image_batches
from train.metrics.patch_descriptors import DIRECTIONS, PATCHES, REPEATS, SwdDescriptors, unit_directions
from train.metrics.shares import is_mine, sum_in_order
from train.metrics.wasserstein import wasserstein_rows

PROJECTION_BYTES = 1 << 30
"""Most that the projections of one set take at once: 128 directions of 16384 images."""


def swd(
    reals: Images, fakes: Images, seed: int = 0, device: torch.device | str | None = None
) -> dict[int | str, float]:
    """Return how far fakes are from reals at each level of the Laplacian pyramid.

    Args:
        reals, fakes: uint8 (N, 3, R, R), as many of the one as of the other, R a power of two from 16; an array, or
            batches. The published values take 16384 of each.
        seed: of the patches and directions; see patch_positions and unit_directions.
        device: where; by default a GPU if there is one.

    Returns:
        {R: ..., R / 2: ..., 16: ..., "average": ...}, times 1000.

    Raises:
        ValueError: images of the wrong kind, none, or more of the one than of the other.
    """
    return descriptor_swd(collect(reals, seed, 0, device), collect(fakes, seed, 1, device))


def collect(images: Images, seed: int = 0, stream: int = 0, device: torch.device | str | None = None) -> SwdDescriptors:
    """Return the patches of a whole set. stream: 0 for reals, 1 for fakes.

    Raises:
        ValueError: images of the wrong kind, or none.
    """
    descriptors = None
    for batch in image_batches(images):
        descriptors = descriptors or SwdDescriptors(batch.shape[-1], seed, stream, choose_device(device))
        descriptors.add(batch)
    if descriptors is None:
        raise ValueError("images: got none, expected at least one")
    return descriptors


def noise_floor(
    reals: Images,
    seed: int = 0,
    device: torch.device | str | None = None,
    between: Literal["halves", "patches"] = "halves",
) -> dict[int | str, float]:
    """Return the SWD of reals against reals: what a perfect generator would score.

    Args:
        reals: as of swd().
        between: halves, every other image against the ones between them: two samples of the data, as the GAN zoo
            document's internal noise; half as many images as there are, so compare it with a score of that many.
            patches, all images against themselves with other patches: as the released program, which feeds the reals
            twice. Lower, as it leaves out that two samples show different people.

    Raises:
        ValueError: as of swd().
    """
    sets: list[SwdDescriptors] = []
    for first, second in adjacent_pairs(reals) if between == "halves" else ((b, b) for b in image_batches(reals)):
        sets = sets or [SwdDescriptors(first.shape[-1], seed, stream, choose_device(device)) for stream in (0, 1)]
        sets[0].add(first)
        sets[1].add(second)
    if not sets:
        raise ValueError("reals: got fewer than 2 images, expected two sets")
    first_set, second_set = sets
    return descriptor_swd(first_set, second_set)


@torch.no_grad()
def descriptor_swd(reals: SwdDescriptors, fakes: SwdDescriptors, ranks: Ranks = ALONE) -> dict[int | str, float]:
    """Return the same as swd(), of patches that were collected before, perhaps by several processes.

    Args:
        reals, fakes: the patches of all images.
        ranks: that share the directions; called by all of them, each is told the same.

    Raises:
        ValueError: of different resolutions or sizes, or drawn from different seeds.
    """
    for name in ("resolution", "seed", "num_images"):
        mine, theirs = getattr(fakes, name), getattr(reals, name)
        if mine != theirs:
            raise ValueError(f"fakes: got {name} {mine}, expected {theirs} as of the reals")
    distances: dict[int | str, float] = {}
    with progress("SWD", len(reals.resolutions) * REPEATS * DIRECTIONS, "directions") as bar:
        for number, resolution in enumerate(reals.resolutions):
            distances[resolution] = _distance(reals, fakes, resolution, bar, ranks, number)
    distances["average"] = float(np.mean(list(distances.values())))
    return distances


def _distance(
    reals: SwdDescriptors, fakes: SwdDescriptors, resolution: int, bar: Progress, ranks: Ranks, number: int
) -> float:
    """Return the mean distance over all directions of one level, the number-th, times 1000."""
    directions = torch.from_numpy(unit_directions(reals.seed, resolution)).to(reals.device)
    at_once = max(1, min(PROJECTION_BYTES // (4 * PATCHES * reals.num_images), len(directions) // 4))
    projections = [torch.empty(at_once, PATCHES * reals.num_images, device=reals.device) for _ in range(2)]
    parts = directions.split(at_once)
    found: dict[int, float] = {}
    for index, some in enumerate(parts):
        if is_mine(number * len(parts) + index, ranks):  # of all levels, lest some ranks have none of a few parts
            for descriptors, projected in zip((reals, fakes), projections, strict=True):
                _project(descriptors, resolution, some, projected)
            found[index] = wasserstein_rows(projections[0][: len(some)], projections[1][: len(some)])
        bar.advance(len(some))
    return sum_in_order(ranks, found, len(parts)) / len(directions) * 1e3


def _project(descriptors: SwdDescriptors, resolution: int, directions: Tensor, out: Tensor) -> None:
    """Write the normalised patches' components along each direction (k, 147) into the first k rows of out."""
    scaled = directions * descriptors.scale(resolution)
    start = 0
    with _float32_products():
        for patches in descriptors.patches(resolution):
            part = out[: len(scaled), start : start + len(patches)]
            torch.mm(scaled, patches.T, out=part)
            start += len(patches)


@contextmanager
def _float32_products() -> Iterator[None]:
    """Training may let a GPU round products to TF32, which is as coarse as the distances of a good generator."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
