"""The gradients of one iteration: what some samples add to those of both networks' mean losses."""

import torch
from torch import Tensor

from train.augment import augmented
from train.distributed import Split
from train.kernels import sharing_weights
from train.layer_noise import LayerNoise
from train.losses import (
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    label_loss,
    least_squares_loss,
    relativistic_loss,
    squared_norm,
)
from train.randomness import Noise
from train.scoring import Seen, input_gradients, scores_of
from train.step_inputs import Batch, Networks, Settings
from zoo.fading import is_fading
from zoo.layers import downsample, upsample


def prepare_reals(reals: Tensor, mirror: Tensor | None, alpha: Tensor | float) -> Tensor:
    """Return reals as the discriminator sees them: [-1, 1], perhaps mirrored, faded like the networks.

    Args:
        reals: (N, C, R, R) uint8.
        mirror: (N, 1, 1, 1) ~ U[0, 1]; below one half the image is mirrored. None: never.
        alpha: () weight of the newest resolution; the rest comes from the one below, enlarged (paper, section 2).
    """
    images = reals.float() / 127.5 - 1
    if mirror is not None:
        images = torch.where(mirror < 0.5, images.flip(3), images)
    if images.shape[-1] > 4 and is_fading(alpha):
        images = torch.lerp(upsample(downsample(images)), images, alpha)
    return images


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
    at_mixtures = settings.loss == "wgan-gp" and settings.penalized
    with torch.no_grad():
        fakes = nets.generator(noise.z_d, d_labels, resolution=resolution, alpha=alpha)
        # Real i, fake i and what lies between them are transformed alike.
        transform = (noise.augment, 0, settings.augment, alpha, ada)
        reals, fakes = (augmented(x, *transform) for x in (reals.to(fakes.dtype), fakes))
        shown = [reals, fakes, torch.lerp(reals, fakes, noise.mix.to(fakes.dtype))] if at_mixtures else [reals, fakes]
        merged = shown if nets.discriminator.config.has_adjoint else shown[:2]
        images = torch.cat(merged).contiguous(memory_format=torch.channels_last)  # as the weights lie
    tape: list[Tensor] | None = [] if settings.penalized else None
    layer_noise = None if noise.layers is None else LayerNoise(noise.layers[:2].flatten(0, 1))
    scores, logits = scores_of(nets.discriminator, images, alpha, len(merged), tape, layer_noise)
    real_scores, fake_scores = scores[:n], scores[n : 2 * n]
    slopes = None
    if tape is not None and settings.loss != "lsgan":
        slopes = input_gradients(nets.discriminator, shown[2:] if at_mixtures else shown, tape, n, alpha)
    gp_weight = settings.gp_weight * settings.penalty_interval  # for those in between as well
    penalty: Tensor | None = None
    if settings.loss == "lsgan":
        loss = least_squares_loss(real_scores, fake_scores)
    elif settings.loss == "r3gan":
        loss = relativistic_loss(real_scores, fake_scores)
        if slopes:
            penalty = squared_norm(slopes[0]) + squared_norm(slopes[1])
            loss = loss + gp_weight / 2 * penalty
    else:
        gradient = slopes[0] if slopes else None
        weights = {"gp_weight": gp_weight, "gp_target": settings.gp_target, "drift": settings.drift}
        loss = discriminator_loss(real_scores, fake_scores, gradient, **weights)
        if gradient is not None:
            penalty = gradient_penalty(gradient.detach(), settings.gp_target)
    if penalty is None:
        penalty = torch.zeros_like(real_scores)
    elif settings.penalty_interval > 1:
        penalty = penalty * settings.penalty_interval  # statistics are means over all
    if logits is not None and batch.labels is not None and d_labels is not None:
        loss = loss + label_loss(logits[:n], batch.labels) + label_loss(logits[n : 2 * n], d_labels)
    d_loss = split.mean(loss)
    gradients = torch.autograd.grad(d_loss, nets.d_flat.active(resolution), allow_unused=True)
    if tape:
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
