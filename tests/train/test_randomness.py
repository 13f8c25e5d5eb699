"""Draws are functions of (seed, nimg)."""

import itertools

import numpy as np
import pytest
import torch

from train.randomness import RowOrder, derived_seed, draw_noise, label_rows


def test_noise_depends_on_seed_and_nimg_alone():
    generator = torch.Generator()
    first = draw_noise(generator, 5, 320, 4, 8)
    draw_noise(generator, 5, 999, 16, 8)  # what was drawn between does not matter
    again = draw_noise(torch.Generator(), 5, 320, 4, 8)
    for a, b in zip(first.tensors(), again.tensors(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    for seed, nimg in ((6, 320), (5, 324)):
        other = draw_noise(generator, seed, nimg, 4, 8)
        assert not torch.equal(first.z_d, other.z_d)
    assert not torch.equal(first.z_d, first.z_g)


def test_latents_are_normal_and_mixtures_uniform():
    noise = draw_noise(torch.Generator(), 0, 0, 512, 64)
    assert abs(noise.z_d.mean()) < 0.02
    assert abs(noise.z_d.std() - 1) < 0.02
    assert noise.mix.min() >= 0
    assert noise.mix.max() < 1
    assert abs(noise.mix.mean() - 0.5) < 0.05


def test_seeds_of_different_paths_differ():
    assert len({derived_seed(*path) for path in [(0, 1), (1, 0), (0, 0), (0, 1, 0), (0, 1, 1)]}) == 5


@pytest.mark.parametrize("batch", [1, 3, 7, 25])
def test_every_epoch_shows_every_row_once_in_a_new_order(batch):
    order = RowOrder(10, seed=1)
    rows = np.concatenate([order.rows(start, batch) for start in range(0, 50 * batch, batch)])
    epochs = rows[: len(rows) // 10 * 10].reshape(-1, 10)
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert any((a != b).any() for a, b in itertools.pairwise(epochs))


def test_order_of_rows_does_not_depend_on_the_minibatch():
    small = np.concatenate([RowOrder(10, 3).rows(start, 4) for start in range(0, 40, 4)])
    np.testing.assert_array_equal(small, RowOrder(10, 3).rows(0, 40))


def test_labels_of_the_generators_step_are_rows_of_the_data():
    rows = label_rows(0, 16, 1000, 7)
    assert set(rows) == set(range(7))
    np.testing.assert_array_equal(rows, label_rows(0, 16, 1000, 7))
