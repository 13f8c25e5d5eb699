"""One iteration of training: discriminator with penalty, generator, moving average; pure, with static shapes."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from torch import Tensor

from train.augment import adapt, augment
from train.distributed import Split, share
from train.ema import ema_beta, update_ema
from train.gradient_penalty import input_gradient
from train.kernels import sharing_weights
from train.losses import (
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    label_loss,
    relativistic_loss,
    squared_norm,
)
from train.optimizer import Adam
from train.parameters import FlatParameters
from train.randomness import Noise
from zoo.fading import is_fading
from zoo.layers import downsample, upsample
from zoo.progan import Discriminator, Generator

STATISTICS = (
    "d_loss", "g_loss", "real_score", "fake_score", "gradient_penalty", "d_overflow", "g_overflow", "iterations",
    "real_score_squared"
)  # fmt: skip
"""What train_step adds up over a tick, in the order of its vector; what is new goes to its end, see RunState."""


@dataclass(frozen=True)
class Settings:
    """Constants of the step; see TrainConfig for their meaning."""

    gp_weight: float
    gp_target: float
    drift: float
    ema_kimg: float
    mirror: bool
    ema_beta: float | None = None
    loss: str = "wgan-gp"
    augment: str = "none"
    augment_kimg: float = 500.0


@dataclass(frozen=True)
class Networks:
    """The three networks and, for each, its parameters in one vector."""

    generator: Generator
    discriminator: Discriminator
    g_ema: Generator
    g_flat: FlatParameters
    d_flat: FlatParameters
    ema_flat: FlatParameters


@dataclass(frozen=True)
class Batch:
    """One minibatch as it comes from the file, on its device.

    reals: (N, C, R, R) uint8. labels: (N, L) float32 of the reals, g_labels (N, L) for G's own fakes; None without
    labels. d_labels: (N, L) for D's fakes; None: those of the reals, as the TensorFlow program has it.
    """

    reals: Tensor
    labels: Tensor | None = None
    g_labels: Tensor | None = None
    d_labels: Tensor | None = None

    def copy_(self, other: "Batch") -> None:
        """Overwrite in place: a captured graph reads fixed addresses."""
        for name in ("reals", "labels", "g_labels", "d_labels"):
            if getattr(self, name) is not None:
                getattr(self, name).copy_(getattr(other, name), non_blocking=True)

    def share(self, index: int, count: int, contiguous: bool) -> "Batch":
        """Return one of `count` shares; see train.distributed.share."""
        whole = (getattr(self, field.name) for field in fields(self))
        parts = (None if x is None else share(x, index, count, contiguous) for x in whole)
        return self if count == 1 else Batch(*parts)  # type: ignore[arg-type]


def prepare_reals(reals: Tensor, mirror: Tensor | None, alpha: Tensor | float) -> Tensor:
    """Return reals as the discriminator sees them: [-1, 1], perhaps mirrored, faded like the networks.

    Args:
        reals: (N, C, R, R) uint8.
        mirror: (N, 1, 1, 1) ~ U[0, 1]; below one half the picture is mirrored. None: never.
        alpha: () weight of the newest resolution; the rest comes from the one below, enlarged (paper, section 2).
    """
    images = reals.float() / 127.5 - 1
    if mirror is not None:
        images = torch.where(mirror < 0.5, images.flip(3), images)
    if images.shape[-1] > 4 and is_fading(alpha):
        images = torch.lerp(upsample(downsample(images)), images, alpha)
    return images


@sharing_weights("generator")
def train_step(
    nets: Networks,
    adams: tuple[Adam, Adam],
    batch: Batch,
    noise: Noise,
    alpha: Tensor | float,
    statistics: Tensor,
    settings: Settings,
    ada: Tensor | None = None,
    split: Split | None = None,
) -> None:
    """Show one minibatch to both networks and update them, in place. Nothing is read back to the host.

    Args:
        nets: the networks.
        adams: the optimizers of (generator, discriminator) at this resolution, their learning rates set.
        batch: the minibatch, or this rank's share of it.
        noise: everything random, of the same samples.
        alpha: () float32, weight of the newest block. The number 1 once it is fully in: the same as a tensor of 1,
            without what fades, 6 to 7 % fewer bytes from 128x128 up.
        statistics: (len(STATISTICS),) float32 sums, added to: this rank's share of each.
        settings: constants.
        ada: (2,) float32 state of the augmentation's probability, where it is adaptive; see train.augment.adapt.
        split: how the minibatch is divided; None: not at all.
    """
    n, resolution = batch.reals.shape[0], batch.reals.shape[-1]
    split = split or Split(n)
    g_adam, d_adam = adams
    nets.discriminator.output().across = split.across
    parts = [
        (batch.share(i, split.parts, split.contiguous), noise.share(i, split.parts, split.contiguous))
        for i in range(split.parts)
    ]

    # Discriminator. The gradient of the mean over a minibatch is the sum over its parts and ranks.
    gradient, seen = discriminator_gradient(nets, *parts[0], alpha, settings, ada, split)
    all_seen = [seen]
    for part in parts[1:]:
        more, seen = discriminator_gradient(nets, *part, alpha, settings, ada, split)
        gradient += more
        all_seen.append(seen)
    d_overflow = d_adam.update(split.ranks.add_up(gradient))

    # Generator.
    gradient, g_loss = generator_gradient(nets, *parts[0], all_seen[0].reals, alpha, settings, ada, split)
    for part, seen in zip(parts[1:], all_seen[1:], strict=True):
        more, loss = generator_gradient(nets, *part, seen.reals, alpha, settings, ada, split)
        gradient += more
        g_loss = g_loss + loss
    g_overflow = g_adam.update(split.ranks.add_up(gradient))

    # The published generator, after G's step as in the Theano program.
    beta = ema_beta(split.total, settings.ema_kimg) if settings.ema_beta is None else settings.ema_beta
    update_ema(nets.ema_flat.prefix(resolution), nets.g_flat.prefix(resolution), beta)

    with torch.no_grad():
        d_loss, real_scores, fake_scores, penalty = _joined(all_seen)
        if ada is not None:
            adapt(ada, real_scores, fake_scores, settings.augment_kimg, split.mean_over_all, split.total)
        once = [d_overflow, g_overflow, torch.ones_like(d_overflow)]
        if split.ranks.count > 1:  # the sums over ranks count each of them
            once = [x / split.ranks.count for x in once]
        row = [d_loss, g_loss, *map(split.mean, (real_scores, fake_scores, penalty)), *once]
        row += [split.mean(real_scores.square())]
        statistics += torch.stack([x.detach() for x in row])


class Seen(NamedTuple):
    """What the discriminator's step leaves of some samples (N,): a share of the mean loss, scores, penalties."""

    loss: Tensor
    real_scores: Tensor
    fake_scores: Tensor
    penalty: Tensor
    reals: Tensor | None
    """As they were shown, where the generator's step compares with them."""


@sharing_weights("discriminator")
def discriminator_gradient(
    nets: Networks,
    batch: Batch,
    noise: Noise,
    alpha: Tensor | float,
    settings: Settings,
    ada: Tensor | None,
    split: Split,
) -> tuple[Tensor, Seen]:
    """Return what some samples add to the gradient of D's mean loss, (P,), and what was seen of them."""
    n, resolution = batch.reals.shape[0], batch.reals.shape[-1]
    d_labels = batch.labels if batch.d_labels is None else batch.d_labels

    # What it is shown goes through it as one batch: fewer, larger kernels; minibatch stddev keeps the sets apart. The
    # penalized gradient is at mixtures, whose score does not count, or at reals and fakes themselves.
    reals = prepare_reals(batch.reals, noise.mirror if settings.mirror else None, alpha)
    relativistic = settings.loss == "r3gan"
    with torch.no_grad():
        fakes = nets.generator(noise.z_d, d_labels, resolution=resolution, alpha=alpha)
        # Real i, fake i and what lies between them are transformed alike.
        reals, fakes = (_augmented(x, noise, 0, alpha, settings, ada) for x in (reals.to(fakes.dtype), fakes))
        shown = [reals, fakes] if relativistic else [reals, fakes, torch.lerp(reals, fakes, noise.mix.to(fakes.dtype))]
        images = torch.cat(shown).contiguous(memory_format=torch.channels_last)  # as the weights lie
    tape: list[Tensor] = []
    scores, logits = _scores(nets.discriminator, images, alpha, sets=len(images) // n, tape=tape)
    real_scores, fake_scores = scores[:n], scores[n : 2 * n]
    if relativistic:
        at_reals = input_gradient(nets.discriminator, [x[:n] for x in tape], n, alpha)
        penalty = squared_norm(at_reals) + squared_norm(input_gradient(nets.discriminator, tape, n, alpha))
        loss = relativistic_loss(real_scores, fake_scores) + settings.gp_weight / 2 * penalty
    else:
        gradient = input_gradient(nets.discriminator, tape, n, alpha)
        penalty = gradient_penalty(gradient.detach(), settings.gp_target)
        loss = discriminator_loss(
            real_scores,
            fake_scores,
            gradient,
            gp_weight=settings.gp_weight,
            gp_target=settings.gp_target,
            drift=settings.drift,
        )
    if logits is not None and batch.labels is not None and d_labels is not None:
        loss = loss + label_loss(logits[:n], batch.labels) + label_loss(logits[n : 2 * n], d_labels)
    d_loss = split.mean(loss)
    gradients = torch.autograd.grad(d_loss, nets.d_flat.active(resolution), allow_unused=True)
    tape.clear()  # the activations of three minibatches, which G's step would find in its way
    kept = reals if relativistic else None
    seen = Seen(d_loss.detach(), real_scores.detach(), fake_scores.detach(), penalty.detach(), kept)
    return nets.d_flat.flatten(gradients, resolution), seen


def generator_gradient(
    nets: Networks,
    batch: Batch,
    noise: Noise,
    reals: Tensor | None,
    alpha: Tensor | float,
    settings: Settings,
    ada: Tensor | None,
    split: Split,
) -> tuple[Tensor, Tensor]:
    """Return what some samples add to the gradient of G's mean loss, (P,), and to that loss."""
    resolution = batch.reals.shape[-1]
    nets.discriminator.requires_grad_(False)  # the gradient passes through D, whose own weights want none
    fakes = nets.generator(noise.z_g, batch.g_labels, resolution=resolution, alpha=alpha)
    fakes = _augmented(fakes, noise, 1, alpha, settings, ada)
    scores, logits = _scores(nets.discriminator, fakes, alpha, sets=1)
    if reals is not None:
        with torch.no_grad():
            compared, _ = _scores(nets.discriminator, reals, alpha, sets=1)
        loss = relativistic_loss(scores, compared)
    else:
        loss = generator_loss(scores)
    if logits is not None and batch.g_labels is not None:
        loss = loss + label_loss(logits, batch.g_labels)
    g_loss = split.mean(loss)
    gradients = torch.autograd.grad(g_loss, nets.g_flat.active(resolution), allow_unused=True)
    nets.discriminator.requires_grad_(True)
    return nets.g_flat.flatten(gradients, resolution), g_loss.detach()


def _joined(seen: Sequence[Seen]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the parts' losses added up, and their scores and penalties as one batch's."""
    if len(seen) == 1:
        return seen[0][:4]
    loss = torch.stack([part.loss for part in seen]).sum()
    real_scores, fake_scores = (torch.cat(x) for x in zip(*((p.real_scores, p.fake_scores) for p in seen), strict=True))
    return loss, real_scores, fake_scores, torch.cat([part.penalty for part in seen])


def _scores(
    discriminator: Discriminator, images: Tensor, alpha: Tensor | float, sets: int, tape: list[Tensor] | None = None
) -> tuple[Tensor, Tensor | None]:
    """Return (scores, label logits or None)."""
    out = discriminator(images, alpha=alpha, sets=sets, tape=tape)
    return out if isinstance(out, tuple) else (out, None)


def _augmented(
    images: Tensor, noise: Noise, whose: int, alpha: Tensor | float, settings: Settings, ada: Tensor | None
) -> Tensor:
    """Return images as the discriminator sees them; whose: 0 for its own step, 1 for the generator's."""
    if noise.augment is None:
        return images
    p = torch.ones((), device=images.device) if ada is None else ada[0]
    return augment(images, noise.augment[whose], settings.augment, p, alpha)
