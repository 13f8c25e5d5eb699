"""One iteration of training: discriminator with penalty, generator, moving average; pure, with static shapes."""

from dataclasses import replace

import torch
from torch import Tensor

from train.augment import adapt
from train.distributed import Split
from train.ema import ema_beta, update_ema
from train.kernels import sharing_weights
from train.layer_noise import follow, strength
from train.optimizer import FusedAdam
from train.randomness import Noise
from train.scoring import joined
from train.step_gradients import discriminator_gradient, generator_gradient
from train.step_inputs import Batch, Networks, Settings

STATISTICS = (
    "d_loss", "g_loss", "real_score", "fake_score", "gradient_penalty", "d_overflow", "g_overflow", "iterations",
    "real_score_squared"
)  # fmt: skip
"""What train_step adds up over a tick, in the order of its vector; what is new goes to its end, see RunState."""


@sharing_weights("generator")
def train_step(
    nets: Networks,
    optimizers: tuple[FusedAdam, FusedAdam],
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
        optimizers: of (generator, discriminator) at this resolution, their learning rates set.
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
    g_opt, d_opt = optimizers
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
        overflow = seen.loss if settings.simultaneous else d_opt.update(d_gradient)  # what is known below, then
        critics.append([*joined(all_seen), overflow])

    # Generator. Where it is not trained, its running statistics stay as they are too.
    statistics_before = [(x, x.clone()) for x in nets.generator.buffers()]
    gradient, g_loss = generator_gradient(nets, *parts[0], all_seen[0].reals, alpha, settings, ada, split)
    for part, seen in zip(parts[1:], all_seen[1:], strict=True):
        more, loss = generator_gradient(nets, *part, seen.reals, alpha, settings, ada, split)
        gradient += more
        g_loss = g_loss + loss
    if settings.simultaneous:
        critics[0][-1] = d_opt.update(d_gradient)
    g_overflow = g_opt.update(split.ranks.add_up(gradient))
    for current, before in statistics_before:
        current.copy_(torch.where(g_opt.learning_rate == 0, before, current))

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
