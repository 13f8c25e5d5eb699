"""Improved precision and recall (Kynkaanniemi et al., 2019): how many images lie within the other set's manifold."""

from dataclasses import dataclass

import numpy as np
import torch

from train.metrics.errors import MetricError

_BLOCK = 2048  # rows of distances at a time: 50,000 x 50,000 of them would fill 20 GB


@dataclass(frozen=True)
class PrecisionRecall:
    """precision: share of fakes among the reals' neighbourhoods; recall: share of reals among the fakes'. In [0, 1]."""

    precision: float
    recall: float


def precision_recall(
    reals: np.ndarray, fakes: np.ndarray, *, neighbours: int = 3, device: torch.device | str = "cpu"
) -> PrecisionRecall:
    """Return precision and recall of features: a set's manifold is a ball around each point, up to its k-th neighbour.

    Args:
        reals: (N, D); fakes: (M, D).
        neighbours: k, of the same set, the point itself not counted; the paper's 3.

    Raises:
        MetricError: a set has too few images to have k neighbours.
    """
    for name, features in (("reals", reals), ("fakes", fakes)):
        if len(features) <= neighbours:
            raise MetricError(f"{name}: got {len(features)} images, expected at least {neighbours + 1}")
    x, y = (torch.as_tensor(each, device=device).double() for each in (reals, fakes))
    center = x.mean(dim=0)
    x, y = x - center, y - center  # distances come from products: small numbers keep their digits
    return PrecisionRecall(precision=_share_inside(y, x, neighbours), recall=_share_inside(x, y, neighbours))


def _share_inside(points: torch.Tensor, manifold: torch.Tensor, neighbours: int) -> float:
    """Return the share of points (N, D) that lie in a ball of the manifold (M, D)."""
    radii = []
    for start in range(0, len(manifold), _BLOCK):
        squared = _squared_distances(manifold[start : start + _BLOCK], manifold)
        rows = torch.arange(len(squared), device=squared.device)
        squared[rows, start + rows] = 0.0  # itself, whatever rounding made of it: the first of k + 1 smallest
        radii.append(squared.kthvalue(neighbours + 1, dim=1).values)
    radius = torch.cat(radii)
    inside = 0
    for start in range(0, len(points), _BLOCK):
        squared = _squared_distances(points[start : start + _BLOCK], manifold)
        inside += int((squared <= radius).any(dim=1).sum())
    return inside / len(points)


def _squared_distances(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T).clamp_(min=0)
