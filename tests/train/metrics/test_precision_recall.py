"""Precision and recall: against brute force, and on sets whose answer is known."""

import numpy as np
import pytest

from train.metrics import precision_recall as module
from train.metrics.errors import MetricError
from train.metrics.precision_recall import PrecisionRecall, precision_recall


def brute_force(points: np.ndarray, manifold: np.ndarray, k: int) -> float:
    """Share of points within any ball of the manifold, by sorting every distance."""
    inside = 0
    radii = [np.sort([np.linalg.norm(a - b) for j, b in enumerate(manifold) if j != i])[k - 1]
             for i, a in enumerate(manifold)]  # fmt: skip
    for point in points:
        inside += any(np.linalg.norm(point - center) <= radius for center, radius in zip(manifold, radii, strict=True))
    return inside / len(points)


@pytest.mark.parametrize("block", [7, 2048])
@pytest.mark.parametrize("shift", [0.0, 1.0, 2.5])
def test_overlapping_sets_agree_with_brute_force(monkeypatch, block, shift):
    monkeypatch.setattr(module, "_BLOCK", block)
    random = np.random.default_rng(0)
    reals = random.standard_normal((60, 3)).astype(np.float32) + 10
    fakes = (random.standard_normal((45, 3)) * 0.7 + 10 + shift).astype(np.float32)
    found = precision_recall(reals, fakes)
    assert found.precision == brute_force(fakes, reals, 3)
    assert found.recall == brute_force(reals, fakes, 3)
    if shift:
        assert 0 < found.precision < 1 and 0 < found.recall < 1


def test_identical_sets_have_both():
    features = np.random.default_rng(1).standard_normal((40, 16)).astype(np.float32) * 5
    assert precision_recall(features, features) == PrecisionRecall(1.0, 1.0)


def test_separated_sets_have_neither():
    features = np.random.default_rng(2).standard_normal((40, 16))
    assert precision_recall(features, features + 100) == PrecisionRecall(0.0, 0.0)


def test_one_of_two_modes_has_precision_and_half_the_recall():
    random = np.random.default_rng(3)
    one, two = random.uniform(size=(400, 1)), random.uniform(size=(400, 1)) + 100
    found = precision_recall(np.concatenate([one, two]), random.uniform(size=(400, 1)))
    assert found.precision > 0.98 and found.recall == pytest.approx(0.5, abs=0.02)


def test_a_set_without_enough_neighbours_is_refused():
    with pytest.raises(MetricError, match="reals: got 3 images, expected at least 4"):
        precision_recall(np.zeros((3, 2)), np.zeros((9, 2)))
