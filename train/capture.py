"""Run train_step for one resolution and minibatch size: eagerly, or as one CUDA graph."""

import dataclasses

import torch
from torch import Tensor

from train.optimizer import Adam
from train.randomness import Noise
from train.step import Batch, Networks, Settings, train_step

WARM_UP = 3
"""Eager iterations before the capture, as CUDA graphs want; their effect is undone."""


class Iteration:
    """One iteration, called again and again.

    A captured iteration is a single launch: at 4x4 to 32x32 the hundreds of small kernels of an eager one cost more
    than their work. Fading and stable phases share the graph, since alpha and the learning rates live on the device.
    """

    def __init__(
        self,
        nets: Networks,
        adams: tuple[Adam, Adam],
        alpha: Tensor,
        statistics: Tensor,
        settings: Settings,
        capture: bool,
    ) -> None:
        self._step = (nets, adams, alpha, statistics, settings)
        self._capture = capture
        self._first = True
        self.intact = True
        """Whether the networks stand between two iterations; not after an exception between D's update and G's."""
        self._graph: torch.cuda.CUDAGraph | None = None
        self._batch: Batch | None = None
        self._noise: Noise | None = None

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
                self._record(batch, noise)
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
        self._batch.copy_(batch)
        self._noise.copy_(noise)
        self._graph.replay()

    def _run(self, batch: Batch, noise: Noise) -> None:
        nets, adams, alpha, statistics, settings = self._step
        self.intact = False
        train_step(nets, adams, batch, noise, alpha, statistics, settings)
        self.intact = True

    def _record(self, batch: Batch, noise: Noise) -> None:
        fields = dataclasses.fields(batch)
        self._batch = Batch(**{f.name: _clone(getattr(batch, f.name)) for f in fields})
        self._noise = Noise(*(x.clone() for x in noise.tensors()))
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self._run(self._batch, self._noise)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # thread_local: by default any thread's allocation breaks a capture, and the read-ahead thread pins memory.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._run(self._batch, self._noise)
        self._graph = graph

    def _state(self) -> list[Tensor]:
        """Return every tensor that an iteration writes."""
        nets, adams, _, statistics, _ = self._step
        flats = [nets.g_flat.vector, nets.d_flat.vector, nets.ema_flat.vector]
        return [*flats, statistics, *(x for adam in adams for x in (adam.mean, adam.mean_square, adam.count))]


def _clone(x: Tensor | None) -> Tensor | None:
    return None if x is None else x.clone()
