"""One training iteration for PSNR: a function of static tensors, captured as a CUDA graph on a GPU."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from train.cuda_graph import WARM_UP, call_on_side_stream, record
from train.distributed import ALONE, Ranks
from zoo.restoration.networks import ArtifactRemover, SuperResolver

LEAST_ERROR = 0.5 / 255
"""Added in square to a patch's root mean square error: below half a gray level there is nothing left to gain."""
RATE_RISES = 0.02
"""Share of training over which the learning rate rises at the start."""


class Step(ABC):
    """The state of a run on its device, and one iteration of it; what both kinds of training share.

    Args:
        network, ema: the same on every rank.
        shapes: of inputs and targets, this rank's share of a batch.
        ema_decay, bf16: see RestorationConfig.
        ranks: that share each batch of `total` pairs; losses and gradients are those of all of it.

    Attributes:
        learning_rate, rms_share: 0-dim, the schedule's values: rate, share of root mean square error in the loss.
        grad_norm_ema: 0-dim tensor, running mean of the gradient's norm; 0 before the first step.
        ema: the moving average of the network, the one that is kept.
    """

    def __init__(
        self,
        network: ArtifactRemover | SuperResolver,
        ema: ArtifactRemover | SuperResolver,
        *,
        shapes: tuple[tuple[int, ...], tuple[int, ...]],
        ema_decay: float,
        bf16: bool,
        ranks: Ranks = ALONE,
        total: int = 0,
    ) -> None:
        self.network, self.ema, self._ranks = network, ema, ranks
        self._share = shapes[0][0] / (total or shapes[0][0])
        self.device = next(network.parameters()).device
        self.learning_rate = torch.zeros((), device=self.device)
        self.rms_share = torch.zeros((), device=self.device)
        self.grad_norm_ema = torch.zeros((), device=self.device)
        self._ema_decay, self._ema_step = ema_decay, torch.zeros((), device=self.device)
        self._bf16 = bf16
        self._inputs, self._targets = (torch.zeros(shape, dtype=torch.uint8, device=self.device) for shape in shapes)
        self.optimizer = self._adam(network)
        self._plain_calls = 0
        self._recorded: tuple[torch.cuda.CUDAGraph, Tensor] | None = None

    @property
    def optimizers(self) -> tuple[torch.optim.Adam, ...]:
        """Every optimizer of the run."""
        return (self.optimizer,)

    @property
    def networks(self) -> tuple[torch.nn.Module, ...]:
        """Every network of the run, the moving average too."""
        return (self.network, self.ema)

    def shared_tensors(self) -> list[Tensor]:
        """Return what must have the same bits on every rank: networks, with their buffers, and moments of Adam."""
        tensors = [tensor for network in self.networks for tensor in network.state_dict().values()]
        for optimizer in self.optimizers:
            for state in optimizer.state.values():
                tensors += [state["exp_avg"], state["exp_avg_sq"]]
        return [*tensors, self.grad_norm_ema]

    @abstractmethod
    def _iterate(self) -> Tensor:
        """Train on the static inputs and targets; return the content loss, 0-dim."""

    def _adam(self, module: torch.nn.Module, betas: tuple[float, float] = (0.9, 0.99)) -> torch.optim.Adam:
        cuda = self.device.type == "cuda"
        # On CUDA the rate is a tensor that the captured graph reads; the CPU's fused kernel wants a number.
        rate = self.learning_rate if cuda else 0.0
        return torch.optim.Adam(module.parameters(), lr=rate, betas=betas, fused=True, capturable=cuda)

    def bind_learning_rate(self) -> None:
        """Tie the optimizers to the rate again after their state was loaded."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate if self.device.type == "cuda" else float(self.learning_rate)

    def __call__(self, inputs: Tensor, targets: Tensor, learning_rate: float, rms_share: float, done: int) -> Tensor:
        """Train on one batch. inputs, targets: (N, h, w, 3) and (N, H, W, 3) uint8, this rank's. Returns what they add
        to the loss, 0-dim.

        done: batches trained on before; the moving average forgets faster at first, lest it remember chance.
        """
        self._inputs.copy_(inputs)
        self._targets.copy_(targets)
        self.learning_rate.fill_(learning_rate)
        self.rms_share.fill_(rms_share)
        self._ema_step.fill_(1 - min(self._ema_decay, (1 + done) / (10 + done)))
        if self.device.type != "cuda":
            self.bind_learning_rate()
            return self._iterate()
        if self._plain_calls < WARM_UP:
            self._plain_calls += 1
            return call_on_side_stream(self._iterate)
        if self._recorded is None:
            self._recorded = record(self._iterate)
        graph, loss = self._recorded
        graph.replay()
        return loss

    def _images(self) -> tuple[Tensor, Tensor]:
        # (N, H, W, 3) seen as (N, 3, H, W) is channels_last without a copy.
        inputs, targets = (images.permute(0, 3, 1, 2).float() / 255 for images in (self._inputs, self._targets))
        return inputs, targets

    def _autocast(self) -> torch.autocast:
        # The cache of cast weights would tie a captured graph to tensors of the warm-up.
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self._bf16, cache_enabled=False)

    def _part(self, mean: Tensor) -> Tensor:
        """Return what a mean over this rank's pairs adds to the mean over all."""
        return mean if self._ranks.count == 1 else mean * self._share

    def _mean_over_all(self, mean: Tensor) -> Tensor:
        """Return the mean over the pairs of all ranks, given that over this one's; not differentiable."""
        return mean if self._ranks.count == 1 else self._ranks.add_up(mean.detach() * self._share)

    def _add_up_gradients(self, module: torch.nn.Module) -> None:
        """Sum a network's gradients over the ranks: one all-reduce of all of them."""
        if self._ranks.count == 1:
            return
        gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
        total = self._ranks.add_up(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        for gradient, part in zip(gradients, total.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view(gradient.shape))

    def _content_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        error = outputs.float() - targets
        # The root is taken of every patch: PSNR is averaged over photos, and without it the coarser a patch's JPEG, the
        # harder it would pull.
        root_mean_square = (error.square().mean((1, 2, 3)) + LEAST_ERROR**2).sqrt().mean()
        return (1 - self.rms_share) * error.abs().mean() + self.rms_share * root_mean_square

    @torch.no_grad()
    def _update_ema(self) -> None:
        average: list[Tensor] = list(self.ema.parameters())
        current: list[Tensor] = list(self.network.parameters())
        moves = list(torch._foreach_sub(current, average))
        torch._foreach_mul_(moves, self._ema_step)
        torch._foreach_add_(average, moves)

    @torch.no_grad()
    def _clip(self) -> None:
        """Shorten a gradient to three times its mean norm: one odd batch must not undo a thousand."""
        gradients = [parameter.grad for parameter in self.network.parameters() if parameter.grad is not None]
        length = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        usual = torch.where(self.grad_norm_ema == 0, length, self.grad_norm_ema)
        kept = torch.minimum(length, 3 * usual)
        torch._foreach_mul_(gradients, kept / (length + 1e-12))
        self.grad_norm_ema.copy_(usual + 0.01 * (kept - usual))


class PsnrStep(Step):
    """An iteration that trains for the least error."""

    def _iterate(self) -> Tensor:
        inputs, targets = self._images()
        self.optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            outputs = self.network(inputs)
        loss = self._part(self._content_loss(outputs, targets))
        loss.backward()
        self._add_up_gradients(self.network)
        self._clip()
        self.optimizer.step()
        self._update_ema()
        return loss.detach()


def learning_rate_at(progress: float, peak: float) -> float:
    """A linear warm-up over the first 2 %, then a half cosine to 0. progress: 0..1, the share of training done."""
    if progress < RATE_RISES:
        return peak * (progress + 1e-3) / (RATE_RISES + 1e-3)
    return peak * 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - RATE_RISES) / (1 - RATE_RISES))))


def rms_share_at(progress: float) -> float:
    """Share of root mean square error in the loss: 0 up to 0.6, then rising to 1 at 0.8.

    The absolute error trains faster and steadier; the other is nearer to what PSNR measures.
    """
    return min(1.0, max(0.0, (progress - 0.6) / 0.2))
