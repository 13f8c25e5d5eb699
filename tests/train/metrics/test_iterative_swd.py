"""Iterative SWD moves points as far as optimal transport does, where that is known."""

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from train.metrics.iterative_swd import iterative_swd, sliced_transport
from train.metrics.patch_descriptors import unit_directions
from train.metrics.swd import collect

ANGLES = torch.arange(16) * torch.pi / 16
CIRCLE = torch.stack([ANGLES.cos(), ANGLES.sin()], dim=1)


def cloud(size: int, dimensions: int, seed: int) -> torch.Tensor:
    return torch.randn(size, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_shifted_cloud_goes_back_by_the_shift():
    b, shift = cloud(500, 147, 0), cloud(1, 147, 1)
    directions = torch.from_numpy(unit_directions(0, 64))
    found = sliced_transport(b[torch.randperm(500)] + shift, b, directions)
    assert found.settled
    assert found.distance == pytest.approx(float(shift.norm()), rel=1e-5)


def test_a_scaled_cloud_goes_back_along_its_radii():
    b = cloud(500, 2, 2)
    found = sliced_transport(3 * b, b, CIRCLE)
    torch.testing.assert_close(found.moved, b)
    assert found.distance == pytest.approx(2 * float(b.norm(dim=1).mean()), rel=1e-9)


def test_two_clusters_cost_little_more_than_the_best_assignment():
    a = cloud(300, 2, 3)
    b = cloud(300, 2, 4) * 0.5 + torch.tensor([[4.0, 0.0], [0.0, 4.0]]).repeat(150, 1)
    cost = cdist(a, b)
    best = cost[linear_sum_assignment(cost)].mean()
    found = sliced_transport(a, b, CIRCLE)
    assert found.settled
    assert 0.95 * best < found.distance < 1.1 * best
    # where it ended, the clouds look alike from every side
    for direction in CIRCLE.double():
        before, after = ((x @ direction).sort().values - (b @ direction).sort().values for x in (a, found.moved))
        assert after.abs().mean() < 0.1 * before.abs().mean()


def test_the_same_cloud_does_not_move():
    a = cloud(200, 2, 5)
    found = sliced_transport(a, a[torch.randperm(200)], CIRCLE)
    assert found.distance < 1e-12 and found.iterations <= 2 and found.settled


def test_too_few_directions_are_refused():
    with pytest.raises(ValueError, match="1 that do not span 2 dimensions"):
        sliced_transport(cloud(5, 2, 0), cloud(5, 2, 1), CIRCLE[:1])


def test_other_images_are_farther_than_other_patches_of_the_same():
    random = np.random.default_rng(0)
    reals = np.kron(random.integers(0, 256, (16, 3, 8, 8)), np.ones((4, 4))).astype(np.uint8)
    other_patches = iterative_swd(collect(reals, device="cpu"), collect(reals, 0, 1, "cpu"), 300, 8)
    fakes = np.kron(random.integers(0, 256, (16, 3, 16, 16)), np.ones((2, 2))).astype(np.uint8)
    others = iterative_swd(collect(reals, device="cpu"), collect(fakes, 0, 1, "cpu"), 300, 8)
    assert list(others) == [32, 16, "average"]
    assert all(0 < other_patches[level] < others[level] for level in others)
