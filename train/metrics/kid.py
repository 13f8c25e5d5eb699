"""Kernel Inception distance (Binkowski et al., 2018): unbiased squared MMD of a cubic kernel, over random subsets."""

import numpy as np
import torch

from train.metrics.errors import MetricError


def kid(
    reals: np.ndarray,
    fakes: np.ndarray,
    *,
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> tuple[float, float]:
    """Return the mean over the subsets and their standard deviation; not multiplied by anything. Around 0 is equal.

    Args:
        reals: (N, D) features; fakes: (M, D). Each subset draws subset_size of both without repeats.
        seed: of numpy.random.RandomState, for the draws.

    Raises:
        MetricError: a set has fewer than subset_size images.
    """
    for name, features in (("reals", reals), ("fakes", fakes)):
        if len(features) < subset_size:
            raise MetricError(f"{name}: got {len(features)} images, expected at least {subset_size} for KID")
    random = np.random.RandomState(seed)
    x, y = (torch.as_tensor(each, dtype=torch.float32, device=device) for each in (reals, fakes))
    values = np.empty(subsets)
    for i in range(subsets):
        rows = [torch.from_numpy(random.choice(len(each), subset_size, replace=False)).to(device) for each in (x, y)]
        values[i] = squared_mmd(x.index_select(0, rows[0]), y.index_select(0, rows[1]))  # x[rows]: five times as long
    return float(values.mean()), float(values.std())


def squared_mmd(x: torch.Tensor, y: torch.Tensor) -> float:
    """Return the unbiased estimate of MMD^2 between x (n, D) and y (m, D) with k(a, b) = (a.b / D + 1)^3, eq. (4).

    Kernels are computed in the dtype of x and y and summed in float64: in float32 the estimate of 1,000 and 1,000
    Inception features is within 1e-7 of that in float64.
    """

    def kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        # On a CPU by numpy, whose product of a matrix with its own transpose is half the work. Not divided by D: the
        # estimate is, by its cube.
        table = a @ b.T if a.is_cuda else torch.from_numpy(a.numpy() @ b.numpy().T)
        table += x.shape[1]
        return (table * table).mul_(table)

    def mean_of_pairs(a: torch.Tensor) -> torch.Tensor:
        table = kernel(a, a)  # a point is no pair with itself: that is what makes the estimate unbiased
        both = table.sum(dtype=torch.float64) - table.diagonal().sum(dtype=torch.float64)
        return both / (len(a) * (len(a) - 1))

    within = mean_of_pairs(x) + mean_of_pairs(y)
    return float(within - 2 * kernel(x, y).mean(dtype=torch.float64)) / x.shape[1] ** 3
