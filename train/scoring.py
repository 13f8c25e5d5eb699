"""What the step asks of the discriminator: scores of images, gradients at them, and what is kept of a minibatch."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from train.gradient_penalty import input_gradient, input_gradient_by_double_backward
from zoo.progan import Discriminator


class Seen(NamedTuple):
    """What the discriminator's step leaves of some samples (N,): a share of the mean loss, scores, penalties."""

    loss: Tensor
    real_scores: Tensor
    fake_scores: Tensor
    penalty: Tensor
    reals: Tensor | None
    """As they were shown, where the generator's step compares with them."""


def joined(seen: Sequence[Seen]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the parts' losses added up, and their scores and penalties as one batch's."""
    if len(seen) == 1:
        return seen[0][:4]
    loss = torch.stack([part.loss for part in seen]).sum()
    real_scores, fake_scores = (torch.cat(x) for x in zip(*((p.real_scores, p.fake_scores) for p in seen), strict=True))
    return loss, real_scores, fake_scores, torch.cat([part.penalty for part in seen])


def input_gradients(
    discriminator: Discriminator, shown: Sequence[Tensor], tape: list[Tensor], n: int, alpha: Tensor | float
) -> list[Tensor]:
    """Return the gradients at n images each: of the adjoint at the first, if two, and the last n of the tape's, or,
    with layers that it does not know (batch and layer normalization, minibatch discrimination), by double backward."""
    if not discriminator.config.has_adjoint:
        return [input_gradient_by_double_backward(discriminator, images, alpha) for images in shown]
    tapes = [tape] if len(shown) == 1 else [[x[:n] for x in tape], tape]
    return [input_gradient(discriminator, each, n, alpha) for each in tapes]


def scores_of(
    discriminator: Discriminator,
    images: Tensor,
    alpha: Tensor | float,
    sets: int,
    tape: list[Tensor] | None = None,
    noise: Callable[[Tensor], Tensor] | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Return (scores, label logits or None)."""
    out = discriminator(images, alpha=alpha, sets=sets, tape=tape, noise=noise)
    return out if isinstance(out, tuple) else (out, None)
