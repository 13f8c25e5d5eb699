"""Iterative SWD: move one cloud of points onto the other, down the gradient of their sliced distance.

Rabin, Peyre, Delon & Bernot 2011, "Wasserstein Barycenter and its Application to Texture Mixing"; Algorithm 1 of the
GAN zoo's report "Reproducing Progressive GAN". SWD says how far apart the clouds look from single directions; this says
how far their points must really move until they look alike from all of them.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from train.metrics.patch_descriptors import PATCHES, SwdDescriptors, unit_directions

DESCRIPTORS = 4096
"""Descriptors a set and level that are moved: every move projects and sorts them all again."""


@dataclass(frozen=True)
class SlicedTransport:
    """Where a cloud ended. moved: (N, D). distance: mean length of the points' moves. settled: no order changed."""

    moved: Tensor
    distance: float
    iterations: int
    settled: bool


def iterative_swd(
    reals: SwdDescriptors, fakes: SwdDescriptors, descriptors: int = DESCRIPTORS, max_iterations: int = 200
) -> dict[int | str, float]:
    """Return the mean way that the fakes' descriptors go to the reals', a level, times 1000, and their average.

    Far larger than SWD, as 147 components move and not one; two samples of the same data keep a distance that falls
    slowly with `descriptors`, so compare only values with as many.

    Args:
        descriptors: at most so many a set and level, evenly taken from all.

    Raises:
        ValueError: sets of different resolution, seed or size.
    """
    for name in ("resolution", "seed", "num_images"):
        if getattr(reals, name) != getattr(fakes, name):
            raise ValueError(
                f"fakes: got {name} {getattr(fakes, name)}, expected {getattr(reals, name)} as of the reals"
            )
    distances: dict[int | str, float] = {}
    for resolution in reals.resolutions:
        directions = torch.from_numpy(unit_directions(reals.seed, resolution)).to(reals.device)
        moved, fixed = (_some_descriptors(d, resolution, descriptors) for d in (fakes, reals))
        distances[resolution] = sliced_transport(moved, fixed, directions, max_iterations).distance * 1e3
    distances["average"] = float(np.mean(list(distances.values())))
    return distances


@torch.no_grad()
def sliced_transport(a: Tensor, b: Tensor, directions: Tensor, max_iterations: int = 200) -> SlicedTransport:
    """Move a towards b until the order of its points along every direction stays as it is.

    Along each direction the i-th smallest of a is to go where the i-th smallest of b is. With these partners fixed the
    sum of squares is quadratic and one Newton step finds its minimum; then the partners are found anew. The sum never
    grows and there are finitely many orders, so it ends.

    Args:
        a, b: (N, D) float. directions: (M, D) unit vectors that span the space, M >= D.

    Raises:
        ValueError: clouds of different shapes, or directions that do not span.
    """
    if a.shape != b.shape:
        raise ValueError(f"clouds: got {tuple(a.shape)} and {tuple(b.shape)}, expected the same shape")
    theta = directions.double()
    hessian = theta.T @ theta
    if torch.linalg.matrix_rank(hessian) < a.shape[1]:
        raise ValueError(
            f"directions: got {len(theta)} that do not span {a.shape[1]} dimensions, expected at least as many"
        )
    to_step = torch.linalg.solve(hessian, theta.T).T  # (M, D)
    start, x = a.double(), a.double()
    targets = (b.double() @ theta.T).sort(dim=0).values
    order, settled, iteration = None, False, 0
    while not settled and iteration < max_iterations:
        projected = x @ theta.T
        new_order = projected.argsort(dim=0)
        settled = order is not None and torch.equal(order, new_order)
        if not settled:
            wanted = torch.empty_like(projected).scatter_(0, new_order, targets)
            x = x + (wanted - projected) @ to_step
            order, iteration = new_order, iteration + 1
    return SlicedTransport(x, float((x - start).norm(dim=1).mean()), iteration, settled)


def _some_descriptors(descriptors: SwdDescriptors, resolution: int, count: int) -> Tensor:
    step = max(1, descriptors.num_images * PATCHES // count)
    kept, seen = [], 0
    for patches in descriptors.patches(resolution):
        kept.append(patches[-seen % step :: step])
        seen += len(patches)
    return torch.cat(kept)[:count] * descriptors.scale(resolution)
