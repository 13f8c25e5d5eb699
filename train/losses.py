"""WGAN-GP with drift (paper, A.1; Gulrajani et al. 2017), LSGAN (B), R3GAN (Huang et al. 2024), labels (Odena 2017)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.layers import full_precision


def gradient_penalty(gradient: Tensor, target: float) -> Tensor:
    """Return ((|gradient| - target) / target)^2 of each sample.

    Args:
        gradient: (N, C, H, W) gradient of the scores at the mixed images, any float dtype; the norm is in float32.
        target: the slope wanted: 1, and 750 for CIFAR-10 (Appendix D).
    """
    # The released program has no epsilon here; without one a zero gradient turns every weight into NaN.
    norm = torch.sqrt(full_precision(gradient).square().sum(dim=(1, 2, 3)) + 1e-12)
    return ((norm - target) / target).square()


def discriminator_loss(
    real_scores: Tensor,
    fake_scores: Tensor,
    gradient: Tensor | None,
    *,
    gp_weight: float,
    gp_target: float,
    drift: float,
) -> Tensor:
    """Return the critic's loss of each sample, (N,) float32: reals up, fakes down, unit slope between, no drift from 0.

    Args:
        real_scores: (N,) float32.
        fake_scores: (N,) float32.
        gradient: (N, C, H, W) at the mixed images; None: this minibatch is not penalized.
        gp_weight: lambda of the paper, 10.
        gp_target: slope wanted between reals and fakes, 1.
        drift: epsilon_drift of the paper, 0.001, on the squared scores of the reals.
    """
    loss = fake_scores - real_scores
    if gradient is not None:
        loss = loss + gp_weight * gradient_penalty(gradient, gp_target)
    return loss + drift * real_scores.square()


def generator_loss(fake_scores: Tensor) -> Tensor:
    """Return the generator's loss of each sample, (N,) float32."""
    return -fake_scores


def least_squares_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """Return real^2 + 0.1 (fake - 1)^2 of each sample, (N,) float32: D's loss of LSGAN (Mao et al. 2016).

    The paper's Appendix B prints no formula; this is the Theano program's (train.py:345-347), whose reals have the
    label 0 and fakes 1, with a tenth of the weight. Scores are then *low* for real, and G's loss is fake^2.
    """
    return real_scores.square() + LSGAN_FAKE_WEIGHT * (fake_scores - 1).square()


LSGAN_FAKE_WEIGHT = 0.1
"""L2_fake_weight of the Theano program."""


def relativistic_loss(better: Tensor, worse: Tensor) -> Tensor:
    """Return softplus(worse - better) of each pair, (N,) float32 (Jolicoeur-Martineau 2019, as R3GAN takes it).

    D's loss has the reals as the better ones, G's its fakes: each pair is compared, no score counts by itself.

    Args:
        better, worse: (N,) float32 scores.
    """
    return F.softplus(worse - better)


def squared_norm(gradient: Tensor) -> Tensor:
    """Return |gradient|^2 of each sample, (N,) float32: R1 at reals, R2 at fakes (Mescheder et al. 2018).

    Args:
        gradient: (N, C, H, W) of the scores at the images, any float dtype.
    """
    return full_precision(gradient).square().sum(dim=(1, 2, 3))


def label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of each sample, (N,) float32. logits, labels: (N, L), labels one-hot."""
    return F.cross_entropy(logits, labels, reduction="none")
