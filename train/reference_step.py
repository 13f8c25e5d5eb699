"""One iteration as a textbook would write it: what train_step is tested against, and how much faster it is.

Double backward by autograd, torch's Adam on each parameter, the three sets of images one after the other; nothing is
captured, merged or kept in one vector. WGAN-GP with drift, labels as the AC-GAN has them, no augmentation.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor

from train.config import TrainConfig, TrainError
from train.randomness import Noise
from train.step_inputs import Batch
from zoo.progan import Discriminator, Generator


def check_reference(config: TrainConfig) -> None:
    """Raise TrainError where the reference step is not that of these options."""
    if config.loss != "wgan-gp" or config.n_critic > 1 or config.simultaneous:
        given = f"--loss {config.loss} --n-critic {config.n_critic}" + " --simultaneous" * config.simultaneous
        raise TrainError(f"the reference step: got {given}, expected wgan-gp and one update of D, then one of G")


class ReferenceStep:
    """The paper's iteration, written naively.

    Args:
        config: its options; the loss is wgan-gp.
        generator, discriminator: copied, with G once more for the moving average.
        resolution: that is trained.

    Raises:
        TrainError: another loss, or another order of updates.
    """

    def __init__(
        self, config: TrainConfig, generator: Generator, discriminator: Discriminator, resolution: int
    ) -> None:
        check_reference(config)
        self.config, self.resolution = config, resolution
        self.generator, self.discriminator = copy.deepcopy(generator), copy.deepcopy(discriminator)
        self.g_ema = copy.deepcopy(generator).requires_grad_(False)
        self.g_opt, self.d_opt = (
            torch.optim.Adam(network.parameters(), lr=1e-3, betas=(config.beta1, config.beta2), eps=config.epsilon)
            for network in (self.generator, self.discriminator)
        )

    def __call__(self, batch: Batch, noise: Noise, alpha: float) -> tuple[Tensor, Tensor]:
        """Show one minibatch to both networks and update them; return the losses of D and G, () float32."""
        # Discriminator: reals against fakes, unit slope between them, no drift from 0 (paper, Appendix A.1).
        reals = self._faded(batch.reals.float() / 127.5 - 1, noise.mirror, alpha)
        d_labels = batch.labels if batch.d_labels is None else batch.d_labels
        fakes = self._fakes(noise.z_d, d_labels, alpha).detach()
        mixed = (reals + (fakes - reals) * noise.mix).requires_grad_()
        (real_scores, real_logits), (fake_scores, fake_logits) = self._score(reals, alpha), self._score(fakes, alpha)
        gradient = torch.autograd.grad(self._score(mixed, alpha)[0].sum(), mixed, create_graph=True)[0]
        slope = torch.sqrt(gradient.square().sum(dim=(1, 2, 3)) + 1e-12)
        penalty = (slope / self.config.gp_target - 1).square().mean()
        d_loss = fake_scores.mean() - real_scores.mean() + self.config.gp_weight * penalty
        d_loss = d_loss + self.config.drift * real_scores.square().mean()
        if real_logits is not None and fake_logits is not None:
            assert batch.labels is not None and d_labels is not None, "of a network with labels"
            d_loss = d_loss + F.cross_entropy(real_logits, batch.labels) + F.cross_entropy(fake_logits, d_labels)
        self.d_opt.zero_grad()
        d_loss.backward()
        self.d_opt.step()

        # Generator: fakes that score high.
        scores, logits = self._score(self._fakes(noise.z_g, batch.g_labels, alpha), alpha)
        g_loss = -scores.mean()
        if logits is not None:
            assert batch.g_labels is not None, "of a network with labels"
            g_loss = g_loss + F.cross_entropy(logits, batch.g_labels)
        self.g_opt.zero_grad()
        g_loss.backward()
        self.g_opt.step()

        # The published generator: a moving average with a half-life in images.
        beta = self.config.ema_beta or 0.5 ** (len(reals) / (self.config.ema_kimg * 1000))
        with torch.no_grad():
            for average, current in zip(self.g_ema.parameters(), self.generator.parameters(), strict=True):
                average.copy_(average * beta + current * (1 - beta))
        return d_loss.detach(), g_loss.detach()

    def _faded(self, images: Tensor, mirror: Tensor, alpha: float) -> Tensor:
        """Return images mirrored where they should be, and faded as the networks are (paper, section 2)."""
        if self.config.mirror:
            images = torch.where(mirror < 0.5, images.flip(-1), images)
        if alpha == 1 or self.resolution == 4:
            return images
        coarse = F.avg_pool2d(images, 2).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        return coarse * (1 - alpha) + images * alpha

    def _fakes(self, z: Tensor, labels: Tensor | None, alpha: float) -> Tensor:
        return self.generator(z, labels, resolution=self.resolution, alpha=alpha)

    def _score(self, images: Tensor, alpha: float) -> tuple[Tensor, Tensor | None]:
        out = self.discriminator(images, alpha=alpha)
        return out if isinstance(out, tuple) else (out, None)
