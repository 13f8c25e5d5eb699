"""Adam on a flat vector: against torch's own on separate tensors; the barrier."""

import pytest
import torch

from train.optimizer import FusedAdam


def make(vector: torch.Tensor) -> FusedAdam:
    adam = FusedAdam(vector, beta1=0.0, beta2=0.99, epsilon=1e-8)
    adam.learning_rate.fill_(1e-3)
    return adam


def test_flat_adam_equals_torch_on_separate_tensors():
    torch.manual_seed(0)
    parts = [torch.randn(7, 3), torch.randn(5)]
    vector = torch.cat([p.flatten() for p in parts])
    adam, separate = make(vector), [p.clone().requires_grad_() for p in parts]
    reference = torch.optim.Adam(separate, lr=1e-3, betas=(0.0, 0.99), eps=1e-8)
    for _ in range(5):
        gradients = [torch.randn_like(p) for p in parts]
        adam.update(torch.cat([g.flatten() for g in gradients]))
        for p, g in zip(separate, gradients, strict=True):
            p.grad = g
        reference.step()
    torch.testing.assert_close(vector, torch.cat([p.detach().flatten() for p in separate]))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_one_bad_gradient_skips_the_whole_update(bad):
    vector = torch.randn(10)
    adam = make(vector)
    adam.update(torch.randn(10))
    before = [x.clone() for x in (vector, adam.mean, adam.mean_square, adam.count)]
    gradient = torch.randn(10)
    gradient[3] = bad
    assert adam.update(gradient).item() == 1
    for x, old in zip((vector, adam.mean, adam.mean_square, adam.count), before, strict=True):
        torch.testing.assert_close(x, old, rtol=0, atol=0)


def test_first_step_after_a_reset_is_the_learning_rate_long_again():
    vector = torch.zeros(4)
    adam = make(vector)
    for _ in range(50):
        adam.update(torch.full((4,), 100.0))
    adam.reset()
    before = vector.clone()
    adam.update(torch.full((4,), 0.01))
    torch.testing.assert_close(before - vector, torch.full((4,), 1e-3), rtol=1e-4, atol=0)


def test_state_survives_a_checkpoint():
    vector = torch.randn(6)
    adam = make(vector.clone())
    adam.update(torch.randn(6))
    other = make(adam.vector.clone())
    other.load_state_dict(adam.state_dict())
    gradient = torch.randn(6)
    adam.update(gradient)
    other.update(gradient)
    torch.testing.assert_close(adam.vector, other.vector, rtol=0, atol=0)
