"""FID: means and covariances against closed forms, merging against one pass."""

import numpy as np
import pytest

from train.metrics.errors import MetricError
from train.metrics.fid import Statistics, fid


def exactly(mean: np.ndarray, covariance: np.ndarray) -> Statistics:
    return Statistics(count=101, mean=np.asarray(mean, float), scatter=np.asarray(covariance, float) * 100)


def rotation(size: int, seed: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]


def test_distance_of_two_gaussians_on_one_line_is_the_closed_form():
    # (m1 - m2)^2 + (s1 - s2)^2
    assert fid(exactly([1.0], [[9.0]]), exactly([3.0], [[0.25]])) == pytest.approx(4 + 2.5**2, rel=1e-12)


def test_distance_of_commuting_gaussians_is_the_closed_form_along_their_axes():
    axes = rotation(6, seed=1)
    one, two = np.array([4.0, 1, 9, 0.25, 16, 1]), np.array([1.0, 1, 4, 2.25, 0, 100])
    shift = np.arange(6.0)
    wanted = (shift**2).sum() + ((np.sqrt(one) - np.sqrt(two)) ** 2).sum()
    found = fid(exactly(np.zeros(6), axes * one @ axes.T), exactly(shift, axes * two @ axes.T))
    assert found == pytest.approx(wanted, rel=1e-10)


def test_distance_of_gaussians_that_do_not_commute_is_that_of_the_schur_root():
    from scipy.linalg import sqrtm

    random = np.random.default_rng(2)
    a, b = random.standard_normal((2, 8, 8))
    one, two, shift = a @ a.T, b @ b.T, random.standard_normal(8)
    wanted = shift @ shift + np.trace(one + two) - 2 * np.trace(sqrtm(one @ two)).real
    found = fid(exactly(np.zeros(8), one), exactly(shift, two))
    assert found == pytest.approx(wanted, rel=1e-9)


def test_distance_of_samples_converges_to_the_closed_form():
    random = np.random.default_rng(3)
    wanted = 4 * 0.25 + 4 * (2 - 1) ** 2
    errors = []
    for count in (1_000, 100_000):
        reals = random.standard_normal((count, 4))
        fakes = random.standard_normal((count, 4)) * 2 + 0.5
        errors.append(abs(fid(Statistics.of(reals), Statistics.of(fakes)) - wanted))
    assert errors[1] < 0.05 and errors[0] < 0.5


def test_equal_sets_are_at_zero_even_with_fewer_images_than_features():
    features = np.random.default_rng(4).standard_normal((20, 64))
    statistics = Statistics.of(features)
    assert np.linalg.matrix_rank(statistics.covariance) == 19
    assert fid(statistics, statistics) < 1e-10


def test_a_set_without_spread_is_measured_too():
    still = Statistics.of(np.full((5, 3), 2.0))
    assert fid(still, exactly([0, 0, 0], np.eye(3))) == pytest.approx(12 + 3, rel=1e-12)


def test_distance_is_the_same_both_ways():
    random = np.random.default_rng(5)
    one, two = (Statistics.of(random.standard_normal((30, 12)) * s) for s in (1.0, 3.0))
    assert fid(one, two) == pytest.approx(fid(two, one), rel=1e-10)


def test_covariance_is_numpys_unbiased_one():
    features = np.random.default_rng(6).standard_normal((50, 7)).astype(np.float32)
    np.testing.assert_allclose(Statistics.of(features).covariance, np.cov(features.astype(float), rowvar=False), 1e-12)


@pytest.mark.parametrize("parts", [(1000, 1000), (1, 1999), (700, 900, 400), (1,) * 20 + (1980,)])
def test_merged_statistics_equal_one_pass(parts):
    # A mean a thousand deviations off: sums of squares would lose six digits here.
    features = np.random.default_rng(7).standard_normal((2000, 16)) + 1000
    pieces = [Statistics.of(each) for each in np.split(features, np.cumsum(parts)[:-1])]
    merged = pieces[0]
    for piece in pieces[1:]:
        merged = merged.merge(piece)
    whole = Statistics.of(features)
    assert merged.count == 2000
    np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(merged.covariance, np.cov(features, rowvar=False), rtol=0, atol=1e-12)
    assert fid(merged, whole) < 1e-9


def test_one_image_has_no_covariance():
    with pytest.raises(MetricError, match="fakes: got 1 images, expected at least 2"):
        fid(exactly([0.0], [[1.0]]), Statistics.of(np.zeros((1, 1))))
