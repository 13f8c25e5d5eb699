"""Run train_step for one resolution and minibatch size: eagerly, or as one CUDA graph."""

import dataclasses
from typing import Any

import torch
from torch import Tensor

from train.cuda_graph import WARM_UP, call_on_side_stream, record
from train.distributed import Split
from train.optimizer import FusedAdam
from train.randomness import Noise
from train.step import train_step
from train.step_inputs import Batch, Networks, Settings


class GraphedStep:
    """One iteration, called again and again.

    A captured iteration is a single launch: at 4x4 to 32x32 the hundreds of small kernels of an eager one cost more
    than their work. A whole fade is one graph, since alpha and the learning rates live on the device; the stable phase
    after it, whose alpha is the number 1, is another.
    """

    def __init__(
        self,
        nets: Networks,
        optimizers: tuple[FusedAdam, FusedAdam],
        alpha: Tensor | float,
        statistics: Tensor,
        settings: Settings,
        capture: bool,
        ada: Tensor | None = None,
        split: Split | None = None,
        d_average: Tensor | None = None,
    ) -> None:
        self._step = (nets, optimizers, alpha, statistics, settings, ada, split, d_average)
        self._capture = capture
        self._first = True
        self.intact = True
        """Whether the networks stand between two iterations; not after an exception between D's update and G's."""
        self._recorded: tuple[torch.cuda.CUDAGraph, Batch, Noise] | None = None

    def __call__(self, batch: Batch, noise: Noise) -> None:
        """Show one minibatch; batch and noise always have the shapes of the first call."""
        if self._first:
            self._first_call(batch, noise)
        elif self._capture:
            self._replay(batch, noise)
        else:
            self._run(batch, noise)

    def _first_call(self, batch: Batch, noise: Noise) -> None:
        """Record, or run; where memory runs out, all is as it was: a new shape is where that happens."""
        before = [x.clone() for x in self._state()]
        done = False
        try:
            if self._capture:
                self._recorded = self._record(batch, noise)
            else:
                self._run(batch, noise)
            done = True
        finally:
            if not done or self._capture:  # what ran to warm up is undone too
                for x, old in zip(self._state(), before, strict=True):
                    x.copy_(old)
                self._step[0].discriminator.requires_grad_(True)
                self.intact = True
        self._first = False
        if self._capture:
            self._replay(batch, noise)

    def _replay(self, batch: Batch, noise: Noise) -> None:
        assert self._recorded is not None
        graph, static_batch, static_noise = self._recorded
        static_batch.copy_(batch)
        static_noise.copy_(noise)
        graph.replay()

    def _run(self, batch: Batch, noise: Noise) -> None:
        nets, optimizers, alpha, statistics, settings, ada, split, d_average = self._step
        self.intact = False
        train_step(nets, optimizers, batch, noise, alpha, statistics, settings, ada, split, d_average)
        self.intact = True

    def _record(self, batch: Batch, noise: Noise) -> tuple[torch.cuda.CUDAGraph, Batch, Noise]:
        """Return the graph of an iteration and the static tensors that it reads."""
        copies: dict[str, Any] = {field.name: _clone(getattr(batch, field.name)) for field in dataclasses.fields(batch)}
        static_batch = dataclasses.replace(batch, **copies)
        static_noise = noise.clone()
        for _ in range(WARM_UP):
            call_on_side_stream(lambda: self._run(static_batch, static_noise))
        graph, _ = record(lambda: self._run(static_batch, static_noise))
        return graph, static_batch, static_noise

    def _state(self) -> list[Tensor]:
        """Return every tensor that an iteration writes."""
        nets, optimizers, _, statistics, _, ada, _, d_average = self._step
        flats = [nets.g_flat.vector, nets.d_flat.vector, nets.ema_flat.vector]
        return [
            *flats,
            *(buffer for network in (nets.generator, nets.discriminator, nets.g_ema) for buffer in network.buffers()),
            statistics,
            *(x for x in (ada, d_average) if x is not None),
            *(x for adam in optimizers for x in (adam.mean, adam.mean_square, adam.count)),
        ]


def _clone(x: Tensor | None) -> Tensor | None:
    return None if x is None else x.clone()
