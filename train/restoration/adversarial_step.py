"""One adversarial iteration of super-resolution: content, a discriminator and its features, sorted patches."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from train.restoration.discriminator import PatchDiscriminator
from train.restoration.step import Step
from train.restoration.texture_loss import draw_projections, texture_loss
from zoo.restoration.networks import ArtifactRemover, SuperResolver

FEATURE_WEIGHT = 0.5
"""Length of the feature-matching gradient in the image, as a multiple of the content loss's."""
SLICED_WEIGHT = 1.0
"""The same of the gradient of texture_loss."""


class AdversarialStep(Step):
    """An iteration that trains a network and a discriminator against each other.

    Args:
        discriminator: on the same device as the network.
        texture_weight: length of the adversarial gradient in the image, as a multiple of the content loss's.
        seed: of what the texture loss compares.
        shared: as of Step.
    """

    def __init__(
        self,
        network: ArtifactRemover | SuperResolver,
        ema: ArtifactRemover | SuperResolver,
        discriminator: PatchDiscriminator,
        *,
        texture_weight: float,
        seed: int = 0,
        **shared: Any,
    ) -> None:
        super().__init__(network, ema, **shared)
        self.discriminator, self._texture_weight, self._seed = discriminator, texture_weight, seed
        self._projections = tuple(part.to(self.device) for part in draw_projections((seed, 0)))
        self.optimizer_d = self._adam(discriminator)

    @property
    def optimizers(self) -> tuple[torch.optim.Adam, ...]:
        """Every optimizer of the run."""
        return (self.optimizer, self.optimizer_d)

    @property
    def networks(self) -> tuple[torch.nn.Module, ...]:
        """As of Step, and the discriminator."""
        return (*super().networks, self.discriminator)

    def __call__(self, inputs: Tensor, targets: Tensor, learning_rate: float, rms_share: float, done: int) -> Tensor:
        """As Step; the projections are drawn here: a captured graph reads them, and a resumed run draws the same."""
        for kept, drawn in zip(self._projections, draw_projections((self._seed, done)), strict=True):
            kept.copy_(drawn)
        return super().__call__(inputs, targets, learning_rate, rms_share, done)

    def _iterate(self) -> Tensor:
        inputs, targets = self._images()
        discriminator = self.discriminator
        with self._autocast():
            fakes = self.network(inputs)

            # The discriminator: each real must look more real than the fake of the same photo (relativistic pairing,
            # Jolicoeur-Martineau, 2018).
            discriminator.iterate()
            discriminator.requires_grad_(True)
            self.optimizer_d.zero_grad(set_to_none=True)
            real_scores, _ = discriminator(targets)
            fake_scores, _ = discriminator(fakes.detach())
        self._part(F.softplus(fake_scores - real_scores).mean()).backward()
        self._add_up_gradients(discriminator)
        self.optimizer_d.step()

        # The network: content as before; texture from the discriminator's scores and features. SRGAN matches features
        # of VGG-19, whose weights no package registry carries; the discriminator's own stand in (pix2pixHD).
        discriminator.requires_grad_(False)
        seen = fakes.detach().float().requires_grad_(True)
        with self._autocast():
            with torch.no_grad():
                real_scores, real_features = discriminator(targets)
            fake_scores, fake_features = discriminator(seen)
        content = self._part(self._content_loss(seen, targets))
        adversarial_loss = self._part(F.softplus(real_scores - fake_scores).mean())
        differences = [
            self._part((fake.float() - real.float()).abs().mean())
            / (self._mean_over_all(real.float().abs().mean()) + 1e-3)
            for real, fake in zip(real_features, fake_features, strict=True)
        ]
        matching = sum(differences, start=torch.zeros_like(content))
        # The discriminator is smooth (spectrally normalised) and hardly sees grain of a gray level; sorted patches do.
        directions, places = self._projections
        sliced = self._part(texture_loss(seen, targets, directions, places, self._mean_over_all))
        # The four are balanced where they meet, in the image: the weights mean the same all through training.
        (gradient,) = torch.autograd.grad(content, seen)
        length, total = self._norm(gradient), gradient
        for loss, weight in (
            (adversarial_loss, self._texture_weight),
            (matching, FEATURE_WEIGHT),
            (sliced, SLICED_WEIGHT),
        ):
            (gradient,) = torch.autograd.grad(loss, seen, retain_graph=True)
            total = total + weight * length / (self._norm(gradient) + 1e-12) * gradient
        self.optimizer.zero_grad(set_to_none=True)
        fakes.backward(total.to(fakes.dtype))
        self._add_up_gradients(self.network)
        self._clip()
        self.optimizer.step()
        self._update_ema()
        return content.detach()

    def _norm(self, gradient: Tensor) -> Tensor:
        """Return the length of a gradient at the images of all ranks, given this one's."""
        if self._ranks.count == 1:
            return gradient.norm()
        return self._ranks.add_up(gradient.square().sum()).sqrt()
