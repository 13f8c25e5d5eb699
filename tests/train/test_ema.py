"""The moving average's half-life in images."""

import pytest
import torch

from train.ema import ema_beta, update_ema


def test_papers_decay_is_a_half_life_of_11_1_kimg_at_minibatch_16():
    assert ema_beta(16, 11.1) == pytest.approx(0.999, abs=2e-6)


@pytest.mark.parametrize("minibatch", [4, 16, 128])
def test_half_of_the_start_is_left_after_the_half_life_whatever_the_minibatch(minibatch):
    average, current = torch.ones(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    for _ in range(16_000 // minibatch):
        update_ema(average, current, ema_beta(minibatch, 16))
    torch.testing.assert_close(average, torch.full((3,), 0.5, dtype=torch.float64))


def test_half_life_0_follows_the_generator():
    average = torch.zeros(2)
    update_ema(average, torch.tensor([3.0, 4.0]), ema_beta(16, 0))
    assert average.tolist() == [3.0, 4.0]
