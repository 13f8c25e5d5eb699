"""The distance on a line against sorting, and against closed forms."""

import numpy as np
import pytest
import torch
from scipy.stats import norm, wasserstein_distance

from train.metrics.wasserstein import sorted_rows, wasserstein_1d, wasserstein_rows

LAWS = {
    "normal": lambda random, n: random.standard_normal(n),
    "heavy tails": lambda random, n: random.laplace(size=n) ** 3,
    "repeated values": lambda random, n: np.round(random.standard_normal(n) * 30),
    "two clusters": lambda random, n: random.standard_normal(n) * 0.01 + random.integers(0, 2, n) * 100,
    "one outlier": lambda random, n: np.append(random.standard_normal(n - 1), 1e6),
    "constant": lambda random, n: np.full(n, 3.25),
}


@pytest.mark.parametrize("size", [1000, 100_000, 300_001])
@pytest.mark.parametrize("law", LAWS)
def test_distance_is_that_of_the_sorted_values(law, size):
    random = np.random.default_rng(1)
    a = LAWS[law](random, size).astype(np.float32)
    same_law = LAWS[law](random, size).astype(np.float32)
    for b in (same_law, same_law + np.float32(0.3), same_law * np.float32(1.1), random.permutation(a)):
        wanted = np.abs(np.sort(a.astype(np.float64)) - np.sort(b.astype(np.float64))).mean()
        assert wasserstein_1d(a, b) == pytest.approx(wanted, rel=1e-6, abs=1e-12)


def test_distance_is_scipys():
    a, b = np.random.default_rng(2).gumbel(size=(2, 60_000)).astype(np.float32)
    assert wasserstein_1d(a, b) == pytest.approx(wasserstein_distance(a, b), rel=1e-6)


def test_gaussians_apart_and_scaled_have_the_closed_form():
    normal = norm.ppf((np.arange(200_000) + 0.5) / 200_000).astype(np.float32)
    shuffled = np.random.default_rng(3).permutation(normal)
    assert wasserstein_1d(normal, shuffled + np.float32(0.5)) == pytest.approx(0.5, rel=1e-6)
    # |1.5 x - x| has the mean 0.5 sqrt(2 / pi)
    assert wasserstein_1d(normal, np.float32(1.5) * shuffled) == pytest.approx(0.5 * np.sqrt(2 / np.pi), rel=1e-4)


def test_rows_are_summed():
    a, b = torch.randn(2, 5, 40_000, generator=torch.Generator().manual_seed(0))
    wanted = sum(wasserstein_distance(x, y) for x, y in zip(a.numpy(), b.numpy(), strict=True))
    assert wasserstein_rows(a, b) == pytest.approx(wanted, rel=1e-6)
    assert sorted_rows(a, b) == pytest.approx(wanted, rel=1e-6)  # as a GPU does it
