"""WGAN-GP, drift and label losses against numpy and closed forms."""

import numpy as np
import torch

from train.losses import discriminator_loss, generator_loss, gradient_penalty, label_loss


def test_discriminator_loss_is_the_papers_formula_in_numpy():
    rng = np.random.default_rng(0)
    real, fake, gradient = rng.normal(size=5), rng.normal(size=5), rng.normal(size=(5, 3, 4, 4))
    norm = np.sqrt((gradient**2).sum(axis=(1, 2, 3)))
    expected = fake - real + 10 * (norm - 1) ** 2 + 0.001 * real**2
    found = discriminator_loss(
        *(torch.tensor(x) for x in (real, fake, gradient)), gp_weight=10, gp_target=1, drift=0.001
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_penalty_is_relative_to_its_target_as_for_cifar():
    gradient = torch.zeros(1, 3, 2, 2)
    gradient[0, 0, 0, 0] = 600.0
    torch.testing.assert_close(gradient_penalty(gradient, 750.0), torch.tensor([(150 / 750) ** 2]))


def test_zero_gradient_is_penalized_and_differentiable():
    gradient = torch.zeros(2, 3, 4, 4, requires_grad=True)
    penalty = gradient_penalty(gradient, 1.0)
    penalty.sum().backward()
    torch.testing.assert_close(penalty.detach(), torch.ones(2), atol=1e-5, rtol=0)
    assert torch.isfinite(gradient.grad).all()


def test_generator_wants_high_scores():
    assert generator_loss(torch.tensor([3.0])).item() == -3.0


def test_label_loss_of_uniform_logits_is_log_of_the_number_of_labels():
    loss = label_loss(torch.zeros(2, 10), torch.eye(10)[:2])
    torch.testing.assert_close(loss, torch.full((2,), float(np.log(10))))
