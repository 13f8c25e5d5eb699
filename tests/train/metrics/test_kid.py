"""KID: against the double loop of its definition, and that it is unbiased."""

import numpy as np
import pytest
import torch

from train.metrics.errors import MetricError
from train.metrics.kid import kid, squared_mmd


def literal_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Equation (4) of Binkowski et al., pair by pair."""

    def k(a, b):
        return (sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3

    n, m = len(x), len(y)
    within_x = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_y = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_x + within_y - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


def test_estimate_is_the_double_loop():
    random = np.random.default_rng(0)
    x, y = random.standard_normal((7, 5)), random.standard_normal((9, 5)) + 0.5
    assert squared_mmd(torch.from_numpy(x), torch.from_numpy(y)) == pytest.approx(literal_mmd(x, y), rel=1e-12)


def test_float32_is_as_good_as_float64_on_features_like_inceptions():
    random = np.random.default_rng(3)  # not negative, mean about 0.4, 2,048 of them
    x, y = (torch.from_numpy(np.abs(random.standard_normal((300, 2048))) * scale) for scale in (0.5, 0.51))
    exact = squared_mmd(x, y)
    assert squared_mmd(x.float(), y.float()) == pytest.approx(exact, abs=2e-7)
    assert exact > 1e-5


def test_mean_over_draws_from_one_distribution_is_zero():
    random = np.random.default_rng(1)
    draws = [squared_mmd(*torch.from_numpy(random.standard_normal((2, 12, 6)))) for _ in range(4000)]
    error = np.std(draws) / np.sqrt(len(draws))
    assert abs(np.mean(draws)) < 3 * error
    # A biased estimate, with the diagonal, would stand out by the mean of (|x|^2/D + 1)^3 - E[k] over 12: 30 errors.
    assert min(draws) < 0 < max(draws) and error < 0.02


def test_linear_part_of_a_shift_is_found():
    # All points equal: MMD^2 is (a.a/D + 1)^3 + (b.b/D + 1)^3 - 2 (a.b/D + 1)^3 exactly.
    a, b = np.full((5, 4), 1.0), np.full((6, 4), 2.0)
    assert squared_mmd(torch.from_numpy(a), torch.from_numpy(b)) == 8 + 125 - 2 * 27


def test_kid_is_the_mean_over_random_subsets():
    random = np.random.default_rng(2)
    reals, fakes = random.standard_normal((60, 8)), random.standard_normal((80, 8)) * 1.5
    mean, deviation = kid(reals, fakes, subsets=300, subset_size=30, seed=3)
    whole = squared_mmd(torch.from_numpy(reals), torch.from_numpy(fakes))
    assert mean == pytest.approx(whole, abs=4 * deviation / np.sqrt(300)) and deviation > 0
    assert kid(reals, fakes, subsets=300, subset_size=30, seed=3) == (mean, deviation)
    assert kid(reals, fakes, subsets=300, subset_size=30, seed=4) != (mean, deviation)


def test_a_subset_of_everything_is_the_whole_estimate():
    random = np.random.default_rng(5)
    reals, fakes = random.standard_normal((2, 40, 8)).astype(np.float32)
    mean, deviation = kid(reals, fakes, subsets=3, subset_size=40)
    assert mean == pytest.approx(literal_mmd(reals.astype(float), fakes.astype(float)), abs=1e-6)
    assert deviation == pytest.approx(0, abs=1e-6)  # the order of the sums differs


def test_too_few_images_are_refused():
    with pytest.raises(MetricError, match="fakes: got 999 images, expected at least 1000 for KID"):
        kid(np.zeros((1000, 2)), np.zeros((999, 2)))
