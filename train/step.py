"""One iteration of training: discriminator with penalty, generator, moving average; pure, with static shapes."""

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from train.augment import adapt, augmented
from train.distributed import Split, share
from train.ema import ema_beta, update_ema
from train.kernels import sharing_weights
from train.layer_noise import LayerNoise, follow, strength
from train.losses import (
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    label_loss,
    least_squares_loss,
    relativistic_loss,
    squared_norm,
)
from train.optimizer import Adam
from train.parameters import FlatParameters
from train.randomness import Noise
from train.scoring import Seen, input_gradients, joined, scores_of
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
    n_critic: int = 1
    simultaneous: bool = False
    lsgan_noise: str = "output"


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
    """One minibatch, or n_critic of them one after the other, as it comes from the file, on its device.

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
    d_average: Tensor | None = None,
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
        d_average: () float32 running mean that the noise in D's layers follows, where there is some.
    """
    n, resolution = batch.reals.shape[0] // settings.n_critic, batch.reals.shape[-1]
    split = split or Split(n)
    g_adam, d_adam = adams
    nets.discriminator.output().across = split.across
    division = (split.parts, split.contiguous)
    if noise.layers is not None and d_average is not None:
        noise = replace(noise, layers=noise.layers * strength(d_average))
    if settings.simultaneous:  # G is trained on the fakes that D was shown
        augment_of_d = None if noise.augment is None else noise.augment[:1].expand_as(noise.augment)
        layers = None if noise.layers is None else torch.stack([noise.layers[k] for k in (0, 1, 1)])
        noise = replace(noise, z_g=noise.z_d, augment=augment_of_d, layers=layers)
        batch = replace(batch, g_labels=batch.labels if batch.d_labels is None else batch.d_labels)

    # Discriminator, n_critic times. The gradient of the mean over a minibatch is the sum over its parts and ranks.
    critics = []
    for i in range(settings.n_critic):
        shown = (batch.share(i, settings.n_critic, True), noise.share(i, settings.n_critic, True))
        parts = [(shown[0].share(k, *division), shown[1].share(k, *division)) for k in range(split.parts)]
        d_gradient, seen = discriminator_gradient(nets, *parts[0], alpha, settings, ada, split)
        all_seen = [seen]
        for part in parts[1:]:
            more, seen = discriminator_gradient(nets, *part, alpha, settings, ada, split)
            d_gradient += more
            all_seen.append(seen)
        d_gradient = split.ranks.add_up(d_gradient)
        overflow = seen.loss if settings.simultaneous else d_adam.update(d_gradient)  # what is known below, then
        critics.append([*joined(all_seen), overflow])

    # Generator.
    gradient, g_loss = generator_gradient(nets, *parts[0], all_seen[0].reals, alpha, settings, ada, split)
    for part, seen in zip(parts[1:], all_seen[1:], strict=True):
        more, loss = generator_gradient(nets, *part, seen.reals, alpha, settings, ada, split)
        gradient += more
        g_loss = g_loss + loss
    if settings.simultaneous:
        critics[0][-1] = d_adam.update(d_gradient)
    g_overflow = g_adam.update(split.ranks.add_up(gradient))

    # The published generator, after G's step as in the Theano program.
    shown_images = split.total * settings.n_critic
    beta = ema_beta(shown_images, settings.ema_kimg) if settings.ema_beta is None else settings.ema_beta
    update_ema(nets.ema_flat.prefix(resolution), nets.g_flat.prefix(resolution), beta)
    for average, current in zip(nets.g_ema.buffers(), nets.generator.buffers(), strict=True):
        update_ema(average, current, beta)  # statistics of batch normalization

    with torch.no_grad():
        row = _row_of_d(critics, settings, ada, d_average, split)
        once = [row.pop(), g_overflow, torch.ones_like(g_overflow)]
        if split.ranks.count > 1:  # the sums over ranks count each of them
            once = [x / split.ranks.count for x in once]
        d_loss, real_score, fake_score, penalty, squared = row
        row = [d_loss, g_loss, real_score, fake_score, penalty, *once, squared]
        statistics += torch.stack([x.detach() for x in row])


def _row_of_d(
    critics: list[list[Tensor]], settings: Settings, ada: Tensor | None, d_average: Tensor | None, split: Split
) -> list[Tensor]:
    """Return this rank's share of D's mean loss, scores, penalty, squared scores of reals, and its overflow; move what
    follows the scores: ada, d_average.

    Args:
        critics: loss, scores of reals and fakes, penalties and overflow of each minibatch that D was trained on.
        settings, ada, d_average, split: of train_step.
    """
    rows = []
    for d_loss, real_scores, fake_scores, penalty, d_overflow in critics:
        if ada is not None:  # with lsgan reals have the lower scores
            scores = (-real_scores, -fake_scores) if settings.loss == "lsgan" else (real_scores, fake_scores)
            adapt(ada, *scores, settings.augment_kimg, split.mean_over_all, split.total)
        means = [*map(split.mean, (real_scores, fake_scores, penalty)), split.mean(real_scores.square())]
        rows.append([d_loss, *means, d_overflow])
    row = rows[0] if len(rows) == 1 else [torch.stack(x).mean() for x in zip(*rows, strict=True)]
    if d_average is not None:
        follow(d_average, split.ranks.add_up(row[2 if settings.lsgan_noise == "output" else 0].clone()))
    return row


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
    at_mixtures = settings.loss == "wgan-gp"
    with torch.no_grad():
        fakes = nets.generator(noise.z_d, d_labels, resolution=resolution, alpha=alpha)
        # Real i, fake i and what lies between them are transformed alike.
        transform = (noise.augment, 0, settings.augment, alpha, ada)
        reals, fakes = (augmented(x, *transform) for x in (reals.to(fakes.dtype), fakes))
        shown = [reals, fakes, torch.lerp(reals, fakes, noise.mix.to(fakes.dtype))] if at_mixtures else [reals, fakes]
        merged = shown if nets.discriminator.config.has_adjoint else shown[:2]
        images = torch.cat(merged).contiguous(memory_format=torch.channels_last)  # as the weights lie
    tape: list[Tensor] = []
    layer_noise = None if noise.layers is None else LayerNoise(noise.layers[:2].flatten(0, 1))
    scores, logits = scores_of(nets.discriminator, images, alpha, len(merged), tape, layer_noise)
    real_scores, fake_scores = scores[:n], scores[n : 2 * n]
    if settings.loss == "lsgan":
        penalty = torch.zeros_like(real_scores)
        loss = least_squares_loss(real_scores, fake_scores)
    elif settings.loss == "r3gan":
        slopes = input_gradients(nets.discriminator, shown, tape, n, alpha)
        penalty = squared_norm(slopes[0]) + squared_norm(slopes[1])
        loss = relativistic_loss(real_scores, fake_scores) + settings.gp_weight / 2 * penalty
    else:
        slopes = input_gradients(nets.discriminator, shown[2:], tape, n, alpha)
        penalty = gradient_penalty(slopes[0].detach(), settings.gp_target)
        weights = {"gp_weight": settings.gp_weight, "gp_target": settings.gp_target, "drift": settings.drift}
        loss = discriminator_loss(real_scores, fake_scores, slopes[0], **weights)
    if logits is not None and batch.labels is not None and d_labels is not None:
        loss = loss + label_loss(logits[:n], batch.labels) + label_loss(logits[n : 2 * n], d_labels)
    d_loss = split.mean(loss)
    gradients = torch.autograd.grad(d_loss, nets.d_flat.active(resolution), allow_unused=True)
    tape.clear()  # the activations of three minibatches, which G's step would find in its way
    kept = reals if settings.loss == "r3gan" else None
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
    fakes = augmented(fakes, noise.augment, 1, settings.augment, alpha, ada)
    layer_noise = None if noise.layers is None else LayerNoise(noise.layers[2])
    scores, logits = scores_of(nets.discriminator, fakes, alpha, 1, None, layer_noise)
    if settings.loss == "lsgan":
        loss = scores.square()
    elif reals is not None:
        with torch.no_grad():
            compared, _ = scores_of(nets.discriminator, reals, alpha, 1)
        loss = relativistic_loss(scores, compared)
    else:
        loss = generator_loss(scores)
    if logits is not None and batch.g_labels is not None:
        loss = loss + label_loss(logits, batch.g_labels)
    g_loss = split.mean(loss)
    gradients = torch.autograd.grad(g_loss, nets.g_flat.active(resolution), allow_unused=True)
    nets.discriminator.requires_grad_(True)
    return nets.g_flat.flatten(gradients, resolution), g_loss.detach()
