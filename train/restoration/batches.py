"""Where training batches come from: drawn in step (reproducible), or a pool that worker processes keep refreshing."""

import ctypes
import multiprocessing
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from train.restoration.photos import PhotoStore

CHUNK = 32  # pairs a worker hands over at once


def input_side(net: str, side: int) -> int:
    """Side of the network's input in pixels for a target of that side."""
    return side // 4 if net == "superres" else side


class DrawnBatches:
    """Every batch is a function of (seed, step): a resumed run continues bit for bit."""

    def __init__(self, store: Path, net: str, kind: str, side: int, batch: int, seed: int) -> None:
        self._photos = PhotoStore(store)
        self._what = (net, kind, side)
        self._batch, self._seed = batch, seed

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets of a step: (N, h, w, 3) and (N, H, W, 3) uint8 on the CPU."""
        from train.restoration.degrade import draw_pair

        rng = np.random.default_rng((self._seed, step))
        pairs = [draw_pair(rng, self._photos.draw(rng), *self._what) for _ in range(self._batch)]
        return tuple(torch.from_numpy(np.stack(images)) for images in zip(*pairs, strict=True))

    def close(self) -> None:
        """Nothing to stop: no process works in the background."""


def _shared_pairs(memory, net: str, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The shared memory of one chunk as inputs (CHUNK, h, w, 3) and targets (CHUNK, H, W, 3)."""
    small = input_side(net, side)
    flat = np.frombuffer(memory, dtype=np.uint8)
    split = CHUNK * small * small * 3
    return flat[:split].reshape(CHUNK, small, small, 3), flat[split:].reshape(CHUNK, side, side, 3)


def _work(store: Path, net: str, kind: str, side: int, seed: tuple[int, ...], chunks: list, free, ready) -> None:
    """A worker: fill free chunks with fresh pairs until told to stop (None)."""
    import cv2

    from train.restoration.degrade import draw_pair

    cv2.setNumThreads(1)
    photos = PhotoStore(store)
    views = [_shared_pairs(memory, net, side) for memory in chunks]
    rng = np.random.default_rng(seed)
    while (slot := free.get()) is not None:
        inputs, targets = views[slot]
        for i in range(CHUNK):
            inputs[i], targets[i] = draw_pair(rng, photos.draw(rng), net, kind, side)
        ready.put(slot)


class PooledBatches:
    """Pairs wait on the device; processes degrade fresh ones and the oldest give way. For a GPU that outruns a CPU."""

    def __init__(
        self,
        store: Path,
        net: str,
        kind: str,
        side: int,
        batch: int,
        seed: int,
        *,
        step: int,
        workers: int,
        pool: int,
        device: torch.device,
    ) -> None:
        small = input_side(net, side)
        self._net, self._batch, self._device = net, batch, device
        self._pool = max(CHUNK, pool // CHUNK * CHUNK)
        self._inputs = torch.zeros(self._pool, small, small, 3, dtype=torch.uint8, device=device)
        self._targets = torch.zeros(self._pool, side, side, 3, dtype=torch.uint8, device=device)
        self.received = 0
        """Pairs taken in so far."""
        self._rng = np.random.default_rng((seed, step, 1))
        self._generator = torch.Generator(device).manual_seed(hash((seed, step)))

        context = multiprocessing.get_context("spawn")  # a forked child would inherit a CUDA context it cannot use
        self._free, self._ready = context.Queue(), context.Queue()
        size = CHUNK * 3 * (small * small + side * side)
        chunks = [context.RawArray(ctypes.c_uint8, size) for _ in range(3 * workers)]
        self._views = [[torch.from_numpy(view) for view in _shared_pairs(chunk, net, side)] for chunk in chunks]
        for slot in range(len(chunks)):
            self._free.put(slot)
        self._processes = [
            context.Process(
                target=_work,
                args=(store, net, kind, side, (seed, step, 2, worker), chunks, self._free, self._ready),
                daemon=True,
            )
            for worker in range(workers)
        ]
        for process in self._processes:
            process.start()
        while self.received < min(self._pool, 1024):
            self._take(self._ready.get(timeout=120))

    def _take(self, slot: int) -> None:
        start = self.received % self._pool
        inputs, targets = self._views[slot]
        self._inputs[start : start + CHUNK].copy_(inputs)
        self._targets[start : start + CHUNK].copy_(targets)
        self.received += CHUNK
        self._free.put(slot)

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets: (N, h, w, 3) and (N, H, W, 3) uint8 on the device. Takes in what has become ready."""
        filling = self.received < self._pool
        for _ in range(4 if filling else 1):
            if not self._ready.empty():
                self._take(self._ready.get())
        held = min(self.received, self._pool)
        chosen = torch.randint(held, (self._batch,), device=self._device, generator=self._generator)
        pair = (self._inputs[chosen], self._targets[chosen])
        if self._net == "artifacts":
            return pair  # turned, a JPEG's grid and tables are no longer a camera's
        turned, across, down = self._rng.random(3) < 0.5
        axes = [axis for axis, flip in ((1, down), (2, across)) if flip]
        return tuple((images.transpose(1, 2) if turned else images).flip(axes) for images in pair)

    def close(self) -> None:
        """Stop the workers."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()
