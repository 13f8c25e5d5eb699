"""Where training batches come from: drawn in step (reproducible), or a pool that worker processes keep refreshing."""

import ctypes
import multiprocessing
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from train.distributed import ALONE, Ranks
from train.restoration.draw_pair import PairDrawer
from train.restoration.photos import PhotoStore
from train.restoration.worker import CHUNK, chunk_bytes, chunk_views, input_side, work


class DrawnBatches:
    """Every pair is a function of (seed, step, number): a resumed run continues bit for bit, on any number of ranks."""

    def __init__(
        self,
        store: Path,
        net: str,
        kind: str,
        side: int,
        batch: int,
        seed: int,
        *,
        cleaner: Path | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self._photos = PhotoStore(store)
        self._draw_pair = PairDrawer(net, kind, side, cleaner)
        self._mine, self._seed = range(ranks.rank, batch, ranks.count), seed

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """This rank's inputs and targets of a step: (N, h, w, 3) and (N, H, W, 3) uint8 on the CPU."""
        randoms = [np.random.default_rng((self._seed, step, i)) for i in self._mine]
        pairs = [self._draw_pair(rng, self._photos.draw(rng)) for rng in randoms]
        inputs, targets = (torch.from_numpy(np.stack(images)) for images in zip(*pairs, strict=True))
        return inputs, targets

    def close(self) -> None:
        """Nothing to stop: no process works in the background."""


class PooledBatches:
    """Pairs wait on the device; processes degrade fresh ones and the oldest give way. For a GPU that outruns a CPU.

    Each rank has workers and a pool of its own, and draws its share of a batch there.
    """

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
        cleaner: Path | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        small = input_side(net, side)
        self._net, self._batch, self._device = net, len(range(ranks.rank, batch, ranks.count)), device
        key = (seed, step) if ranks.count == 1 else (seed, step, ranks.rank)
        self._pool = max(CHUNK, pool // CHUNK * CHUNK)
        self._inputs = torch.zeros(self._pool, small, small, 3, dtype=torch.uint8, device=device)
        self._targets = torch.zeros(self._pool, side, side, 3, dtype=torch.uint8, device=device)
        self.received = 0
        """Pairs taken in so far."""
        self._rng = np.random.default_rng((*key, 1))
        self._generator = torch.Generator(device).manual_seed(hash(key))

        context = multiprocessing.get_context("spawn")  # a forked child would inherit a CUDA context it cannot use
        self._free, self._ready = context.Queue(), context.Queue()
        slots = 3 * workers
        memory = context.RawArray(ctypes.c_uint8, slots * chunk_bytes(net, side))
        self._views = [[torch.from_numpy(view) for view in views] for views in chunk_views(memory, net, side)]
        # Pinned, chunks reach the device while it computes. A refusal costs speed alone.
        self._pinned = device.type == "cuda" and not int(
            torch.cuda.cudart().cudaHostRegister(ctypes.addressof(memory), len(memory), 0)
        )
        self._under_way: list[tuple[int, torch.cuda.Event]] = []
        self._memory = memory
        for slot in range(slots):
            self._free.put(slot)
        self._processes = [
            context.Process(
                target=work,
                args=(store, net, kind, side, cleaner, (*key, 2, worker), memory, self._free, self._ready),
                daemon=True,
            )
            for worker in range(workers)
        ]
        for process in self._processes:
            process.start()
        while self.received < min(self._pool, 1024):
            self._take(self._ready.get(timeout=120))
            self._return_copied()

    def _take(self, slot: int) -> None:
        start = self.received % self._pool
        inputs, targets = self._views[slot]
        self._inputs[start : start + CHUNK].copy_(inputs, non_blocking=self._pinned)
        self._targets[start : start + CHUNK].copy_(targets, non_blocking=self._pinned)
        self.received += CHUNK
        if not self._pinned:
            self._free.put(slot)
            return
        event = torch.cuda.Event()
        event.record()
        self._under_way.append((slot, event))

    def _return_copied(self) -> None:
        while self._under_way and self._under_way[0][1].query():
            self._free.put(self._under_way.pop(0)[0])

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets: (N, h, w, 3) and (N, H, W, 3) uint8 on the device. Takes in what has become ready."""
        # Fast while the pool fills; then a chunk every fourth step, lest the copies hold up a small network.
        if self.received < self._pool or step % 4 == 0:
            self._return_copied()
            if not self._ready.empty():
                self._take(self._ready.get())
        held = min(self.received, self._pool)
        chosen = torch.randint(held, (self._batch,), device=self._device, generator=self._generator)
        pair = (self._inputs[chosen], self._targets[chosen])
        if self._net == "artifacts":
            return pair  # turned, a JPEG's grid and tables are no longer a camera's
        turned, across, down = self._rng.random(3) < 0.5
        axes = [axis for axis, flip in ((1, down), (2, across)) if flip]
        inputs, targets = ((images.transpose(1, 2) if turned else images).flip(axes) for images in pair)
        return inputs, targets

    def close(self) -> None:
        """Stop the workers."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()
        if self._pinned:
            torch.cuda.synchronize()
            torch.cuda.cudart().cudaHostUnregister(ctypes.addressof(self._memory))
