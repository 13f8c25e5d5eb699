"""The Wasserstein-1 distance of two samples on a line: the mean difference of their sorted values.

On a GPU both are sorted. On a CPU sorting is what SWD would spend its time on, and most of it is not needed: the
distance is the area between the two distribution functions. Cut the line into many bins. Where the functions do not
cross within a bin its area follows from how many values of each sample it holds and their sum; only the values of the
other bins are sorted. The result is the same, with sums in float64.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

_VALUES_A_BIN = 16
_FEW = 1 << 14  # values a sample below which sorting is as fast


def wasserstein_rows(a: Tensor, b: Tensor) -> float:
    """Return the sum over rows of the Wasserstein-1 distance between a's row and b's row.

    Args:
        a, b: (K, N) float32 on one device, their rows in any order.
    """
    if a.device.type != "cpu":
        return sorted_rows(a, b)
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        return sum(threads.map(wasserstein_1d, a.numpy(), b.numpy()))


def sorted_rows(a: Tensor, b: Tensor) -> float:
    """Return the same as wasserstein_rows() by sorting every value, on any device."""
    return float((a.sort(dim=1).values - b.sort(dim=1).values).abs().mean(1, dtype=torch.float64).sum())


def wasserstein_1d(a: np.ndarray, b: np.ndarray) -> float:
    """Return mean |sort(a) - sort(b)| of two (N,) float32 samples."""
    sample = np.concatenate([x[:: max(1, len(x) // 2048)] for x in (a, b)])
    center = np.median(sample)
    spread = np.median(np.abs(sample - center))
    if len(a) < _FEW or spread == 0:
        return _by_sorting(a, b)

    # Bins, narrow where the values are dense.
    n = len(a) // _VALUES_A_BIN
    bins = [_bins(x, center, spread, n) for x in (a, b)]
    of_a, of_b = (np.bincount(i, minlength=n) for i in bins)
    before = np.cumsum(of_a - of_b) - (of_a - of_b)  # how many more of a than of b lie left of the bin
    crossing = (before - of_b < 0) & (before + of_a > 0)
    held = (of_a + of_b)[crossing]
    if held.sum() > len(a):  # sets that hardly differ, or values that repeat
        return _by_sorting(a, b)

    # No crossing: the area is before * width + sum(right - a) - sum(right - b), up to its sign.
    sum_a, sum_b = (np.bincount(i, x, minlength=n) for i, x in zip(bins, (a, b), strict=True))
    left, right = _edges(center, spread, n)
    area = np.abs(before * (right - left) + (right * of_a - sum_a) - (right * of_b - sum_b))[~crossing].sum()

    # A crossing: step through the sorted values of those bins.
    values_a, values_b = (x[crossing[i]] for i, x in zip(bins, (a, b), strict=True))
    area += _stepwise_area(values_a, values_b, held, before[crossing], left[crossing], right[crossing])
    return float(area / len(a))


def _by_sorting(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(np.sort(a) - np.sort(b)).mean(dtype=np.float64))


def _bins(x: np.ndarray, center: np.float32, spread: np.float32, n: int) -> np.ndarray:
    """Return the bin 0 .. n - 1 of each value: equal steps of y / (1 + |y|), y = (x - center) / spread."""
    y = x - center
    size = np.abs(y)
    size += spread
    y /= size
    y += np.float32(1)
    y *= np.float32(n / 2)
    return np.minimum(y, np.float32(n - 1), out=y).astype(np.int32).astype(np.intp)


def _edges(center: np.float32, spread: np.float32, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the left and right ends (n,) of the bins. Any finite outer ends will do: the surplus there is 0."""
    y = np.linspace(-1, 1, n + 1)
    y[[0, -1]] *= 1 - 1 / n
    edges = float(center) + float(spread) * y / (1 - np.abs(y))
    return edges[:-1], edges[1:]


def _stepwise_area(
    a: np.ndarray, b: np.ndarray, held: np.ndarray, before: np.ndarray, left: np.ndarray, right: np.ndarray
) -> float:
    """Return the area between the distribution functions, in values, over some bins.

    Args:
        a, b: all values in those bins. held, before, left, right: (M,) of each bin, how many of both it holds, a's
            surplus left of it, and its ends.
    """
    # Sorted together; a float32 leaves the lowest bit of a float64 free to say which sample it is from.
    keys = np.concatenate([a.astype(np.float64).view(np.int64), b.astype(np.float64).view(np.int64) | 1])
    values = np.sort(keys.view(np.float64))
    step = 1 - 2 * (values.view(np.int64) & 1)

    # The surplus after each value: that of its bin, and the steps since the bin began.
    steps = np.cumsum(step)
    last = np.cumsum(held) - 1
    first = last - held + 1
    surplus = steps + np.repeat(before - (steps - step)[first], held)
    until = np.append(values[1:], 0.0)
    until[last] = right  # a value that rounding put a hair beyond the edge counts negative, as the next bin expects
    within, ahead = np.abs(surplus) * (until - values), np.abs(before) * (values[first] - left)
    return float(within.sum() + ahead.sum())  # no dot product: BLAS would start threads of its own in ours
