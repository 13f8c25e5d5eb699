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
        a, b: (K, N) float32 on one device; rows in any order. Their content may be overwritten.
    """
    if a.device.type != "cpu":
        return float((a.sort(dim=1).values - b.sort(dim=1).values).abs().mean(1, dtype=torch.float64).sum())
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        return sum(threads.map(wasserstein_1d, a.numpy(), b.numpy()))


def wasserstein_1d(a: np.ndarray, b: np.ndarray) -> float:
    """Return mean |sort(a) - sort(b)| of two (N,) float32 samples."""
    if len(a) < _FEW:
        return float(np.abs(np.sort(a) - np.sort(b)).mean(dtype=np.float64))
    sample = np.sort(np.concatenate([x[:: len(x) // 2048] for x in (a, b)]))
    low, high = sample[len(sample) // 500], sample[-len(sample) // 500]
    if not high > low:
        return float(np.abs(np.sort(a) - np.sort(b)).mean(dtype=np.float64))

    # Bins 1 .. n between low and high; 0 and n + 1 take what lies outside, and are always sorted.
    n = len(a) // _VALUES_A_BIN
    width = (float(high) - float(low)) / n
    bins = [_bins(x, low, np.float32(1 / width), n) for x in (a, b)]
    of_a, of_b = (np.bincount(i, minlength=n + 2) for i in bins)
    before = np.cumsum(of_a - of_b) - (of_a - of_b)  # how many more of a than of b lie left of the bin
    crossing = (before - of_b < 0) & (before + of_a > 0)
    crossing[[0, -1]] = (of_a + of_b)[[0, -1]] > 0

    if (of_a + of_b)[crossing].sum() > len(a) // 2:  # few bins are free: hardly different sets, or repeated values
        return float(np.abs(np.sort(a) - np.sort(b)).mean(dtype=np.float64))

    # No crossing: the area is before * width + sum(right - a) - sum(right - b), up to its sign.
    sum_a, sum_b = (np.bincount(i, x, minlength=n + 2) for i, x in zip(bins, (a, b), strict=True))
    right = float(low) + width * np.arange(n + 2)
    area = np.abs(before * width + (right * of_a - sum_a) - (right * of_b - sum_b))[~crossing].sum()

    # A crossing: step through the sorted values of those bins.
    values_a, values_b = (x[crossing[i]] for i, x in zip(bins, (a, b), strict=True))
    held = (of_a + of_b)[crossing]
    area += _stepwise_area(values_a, values_b, held, before[crossing], right[crossing], width)
    return float(area / len(a))


def _bins(x: np.ndarray, low: np.float32, per_unit: np.float32, n: int) -> np.ndarray:
    """Return the bin 0 .. n + 1 of each value, never falling as the value grows."""
    place = (x - low) * per_unit + np.float32(1)
    return np.clip(place, np.float32(0), np.float32(n + 1), out=place).astype(np.int32).astype(np.intp)


def _stepwise_area(
    a: np.ndarray, b: np.ndarray, held: np.ndarray, before: np.ndarray, right: np.ndarray, width: float
) -> float:
    """Return the area between the distribution functions, in values, over some bins.

    Args:
        a, b: all values in those bins. held, before, right: (M,) of each bin, how many of both it holds, a's surplus
            left of it and its right edge.
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
    return float(np.abs(surplus) @ (until - values) + np.abs(before) @ (values[first] - (right - width)))
