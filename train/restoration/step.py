"""One training iteration, for PSNR or adversarial: a function of static tensors, captured as a CUDA graph on a GPU."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.restoration.discriminator import PatchDiscriminator
from train.restoration.texture_loss import draw_projections, texture_loss

LEAST_ERROR = 0.5 / 255
"""Added in square to a patch's root mean square error: below half a gray level there is nothing left to gain."""
FEATURE_WEIGHT = 0.5
"""Length of the feature-matching gradient in the image, as a multiple of the content loss's."""
SLICED_WEIGHT = 1.0
"""The same of the gradient of texture_loss."""


class Captured:
    """Call a function of static tensors: three times plainly, then captured once as a CUDA graph and replayed."""

    def __init__(self, function: Callable[[], Tensor], device: torch.device) -> None:
        self._function, self._device = function, device
        self._calls, self._graph, self._result = 0, None, None

    def __call__(self) -> Tensor:
        if self._device.type != "cuda":
            return self._function()
        if self._calls < 3:
            self._calls += 1
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                result = self._function()
            torch.cuda.current_stream().wait_stream(stream)
            return result
        if self._graph is None:
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                self._result = self._function()
        self._graph.replay()
        return self._result


class Step:
    """The state of a run on its device, and one iteration of it.

    Attributes:
        learning_rate, rms_share: 0-dim, the schedule's values: rate, share of root mean square error in the loss.
        usual_length: 0-dim tensor, running mean of the gradient's length; 0 before the first step.
        ema: the moving average of the network, the one that is kept.
    """

    def __init__(
        self,
        network: nn.Module,
        ema: nn.Module,
        discriminator: PatchDiscriminator | None,
        *,
        shapes: tuple[tuple[int, ...], tuple[int, ...]],
        ema_decay: float,
        texture_weight: float,
        bf16: bool,
        seed: int = 0,
    ) -> None:
        self.network, self.ema, self.discriminator = network, ema, discriminator
        self.device = next(network.parameters()).device
        self.learning_rate = torch.zeros((), device=self.device)
        self.rms_share = torch.zeros((), device=self.device)
        self.usual_length = torch.zeros((), device=self.device)
        self._ema_decay, self._ema_step = ema_decay, torch.zeros((), device=self.device)
        self._texture_weight, self._bf16 = texture_weight, bf16
        self._seed = seed
        self._projections = tuple(part.to(self.device) for part in draw_projections((seed, 0)))
        self._inputs, self._targets = (torch.zeros(shape, dtype=torch.uint8, device=self.device) for shape in shapes)
        self.optimizer = self._adam(network, (0.9, 0.99))
        self.optimizer_d = self._adam(discriminator, (0.9, 0.99)) if discriminator else None
        self._run = Captured(self._adversarial if discriminator else self._psnr, self.device)

    def _adam(self, module: nn.Module, betas: tuple[float, float]) -> torch.optim.Adam:
        cuda = self.device.type == "cuda"
        # On CUDA the rate is a tensor that the captured graph reads; the CPU's fused kernel wants a number.
        rate = self.learning_rate if cuda else 0.0
        return torch.optim.Adam(module.parameters(), lr=rate, betas=betas, fused=True, capturable=cuda)

    def bind_learning_rate(self) -> None:
        """Tie the optimizers to the rate again after their state was loaded."""
        for optimizer in filter(None, (self.optimizer, self.optimizer_d)):
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate if self.device.type == "cuda" else float(self.learning_rate)

    def __call__(self, inputs: Tensor, targets: Tensor, learning_rate: float, rms_share: float, done: int) -> Tensor:
        """Train on one batch. inputs, targets: (N, h, w, 3) and (N, H, W, 3) uint8. Returns the loss, 0-dim.

        done: batches trained on before; the moving average forgets faster at first, lest it remember chance.
        """
        self._inputs.copy_(inputs)
        self._targets.copy_(targets)
        self.learning_rate.fill_(learning_rate)
        self.rms_share.fill_(rms_share)
        self._ema_step.fill_(1 - min(self._ema_decay, (1 + done) / (10 + done)))
        if self.discriminator is not None:  # drawn here: a captured graph reads them, and a resumed run draws the same
            for kept, drawn in zip(self._projections, draw_projections((self._seed, done)), strict=True):
                kept.copy_(drawn)
        if self.device.type != "cuda":
            self.bind_learning_rate()
        return self._run()

    def _images(self) -> tuple[Tensor, Tensor]:
        # (N, H, W, 3) seen as (N, 3, H, W) is channels_last without a copy.
        return tuple(images.permute(0, 3, 1, 2).float() / 255 for images in (self._inputs, self._targets))

    def _autocast(self) -> torch.autocast:
        # The cache of cast weights would tie a captured graph to tensors of the warm-up.
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self._bf16, cache_enabled=False)

    def _content_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        error = outputs.float() - targets
        # The root is taken of every patch: PSNR is averaged over photos, and without it the coarser a patch's JPEG, the
        # harder it would pull.
        root_mean_square = (error.square().mean((1, 2, 3)) + LEAST_ERROR**2).sqrt().mean()
        return (1 - self.rms_share) * error.abs().mean() + self.rms_share * root_mean_square

    @torch.no_grad()
    def _update_ema(self) -> None:
        average, current = list(self.ema.parameters()), list(self.network.parameters())
        moves = torch._foreach_sub(current, average)
        torch._foreach_mul_(moves, self._ema_step)
        torch._foreach_add_(average, moves)

    @torch.no_grad()
    def _clip(self) -> None:
        """Shorten a gradient to three times the usual length: one odd batch must not undo a thousand."""
        gradients = [parameter.grad for parameter in self.network.parameters()]
        length = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        usual = torch.where(self.usual_length == 0, length, self.usual_length)
        kept = torch.minimum(length, 3 * usual)
        torch._foreach_mul_(gradients, kept / (length + 1e-12))
        self.usual_length.copy_(usual + 0.01 * (kept - usual))

    def _psnr(self) -> Tensor:
        inputs, targets = self._images()
        self.optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            outputs = self.network(inputs)
        loss = self._content_loss(outputs, targets)
        loss.backward()
        self._clip()
        self.optimizer.step()
        self._update_ema()
        return loss.detach()

    def _adversarial(self) -> Tensor:
        inputs, targets = self._images()
        discriminator = self.discriminator
        with self._autocast():
            fakes = self.network(inputs)

            # The judge: each real must look more real than the fake of the same photo (relativistic pairing,
            # Jolicoeur-Martineau, 2018).
            discriminator.iterate()
            discriminator.requires_grad_(True)
            self.optimizer_d.zero_grad(set_to_none=True)
            real_scores, _ = discriminator(targets)
            fake_scores, _ = discriminator(fakes.detach())
        F.softplus(fake_scores - real_scores).mean().backward()
        self.optimizer_d.step()

        # The network: content as before; texture from the judge's scores and features. SRGAN matches features of
        # VGG-19, whose weights no package registry carries; the judge's own (pix2pixHD's feature matching) stand in.
        discriminator.requires_grad_(False)
        seen = fakes.detach().float().requires_grad_(True)
        with self._autocast():
            with torch.no_grad():
                real_scores, real_features = discriminator(targets)
            fake_scores, fake_features = discriminator(seen)
        content = self._content_loss(seen, targets)
        deceit = F.softplus(real_scores - fake_scores).mean()
        matching = sum(
            (fake.float() - real.float()).abs().mean() / (real.float().abs().mean() + 1e-3)
            for real, fake in zip(real_features, fake_features, strict=True)
        )
        # The judge is smooth (spectrally normalised) and hardly sees grain of a grey level or two; sorted patches do.
        sliced = texture_loss(seen, targets, *self._projections)
        # The four are balanced where they meet, in the image: the weights mean the same all through training.
        (gradient,) = torch.autograd.grad(content, seen)
        length, total = gradient.norm(), gradient
        for loss, weight in ((deceit, self._texture_weight), (matching, FEATURE_WEIGHT), (sliced, SLICED_WEIGHT)):
            (gradient,) = torch.autograd.grad(loss, seen, retain_graph=True)
            total = total + weight * length / (gradient.norm() + 1e-12) * gradient
        self.optimizer.zero_grad(set_to_none=True)
        fakes.backward(total.to(fakes.dtype))
        self._clip()
        self.optimizer.step()
        self._update_ema()
        return content.detach()
