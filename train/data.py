"""Minibatches of real faces: which rows is a function of nimg; levels resident on the device, or read ahead."""

import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np
import torch

from celebahq_builder.hdf5 import Dataset
from train.memory import is_out_of_memory
from train.randomness import RowOrder, label_rows
from train.step_inputs import Batch

READ_AHEAD = 4
"""Minibatches that a background thread reads before they are asked for."""


class RealFaces:
    """Serve minibatches of one level at a time.

    A level that fits is loaded once, as uint8, onto the device; a larger one is read by a background thread, a few
    minibatches ahead, through pinned memory on CUDA.

    Args:
        dataset: the open file.
        device: where minibatches are wanted.
        seed: seed of the order of the rows.
        resident_bytes: largest level that is held whole; on CUDA at most half of the memory that is free. None: what
            `hold` is given.
        random_fake_labels: D's fakes take labels drawn from the dataset (Theano program), not those of the reals.
        mine: from the rows of a minibatch to those that this process shows.
    """

    def __init__(
        self,
        dataset: Dataset,
        device: torch.device,
        seed: int,
        resident_bytes: int | None,
        random_fake_labels: bool = False,
        mine: Callable[[np.ndarray], np.ndarray] = lambda rows: rows,
    ) -> None:
        self.dataset = dataset
        self.device = device
        self.seed = seed
        self.resident_bytes = resident_bytes
        self.random_fake_labels = random_fake_labels
        self._mine = mine
        self.order = RowOrder(len(dataset), seed)
        self.labels = None if dataset.labels is None else torch.from_numpy(np.ascontiguousarray(dataset.labels))
        self.channels = dataset.read(4, [0]).shape[1]
        self._resolution: int | None = None
        self._resident: torch.Tensor | None = None
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
        self._ahead: dict[tuple[int, int, int], Future[torch.Tensor]] = {}

    def batch(self, resolution: int, nimg: int, size: int) -> Batch:
        """Return this process's of images nimg .. nimg + size - 1 of the endless shuffled sequence, on the device."""
        self._enter(resolution)
        rows = self._mine(self.order.rows(nimg, size))
        if self._resident is not None:
            reals = self._resident.index_select(0, self._to_device(torch.from_numpy(rows)))
        else:
            reals = self._to_device(self._read_ahead(resolution, nimg, size))
        if self.labels is None:
            return Batch(reals)
        draw = partial(label_rows, self.seed, nimg, size, len(self.dataset))
        labels, g_labels = self._labels_of(rows), self._labels_of(self._mine(draw()))
        d_labels = self._labels_of(self._mine(draw(of_discriminator=True))) if self.random_fake_labels else None
        return Batch(reals, labels, g_labels, d_labels)

    def _enter(self, resolution: int) -> None:
        """Load the level, or forget what was read ahead of another one."""
        if resolution == self._resolution:
            return
        self._resident, self._resolution = None, None  # no resolution while it loads: memory may run out
        self._ahead.clear()
        self._load(resolution)
        self._resolution = resolution

    def _load(self, resolution: int) -> None:
        """Hold a level in the device's memory, if it fits."""
        room = self.resident_bytes or 0
        if room and self.device.type == "cuda":  # the other half is for the networks
            torch.cuda.empty_cache()
            room = min(room, torch.cuda.mem_get_info(self.device)[0] // 2)
        self._load_into(room, resolution)

    def hold(self, room: Callable[[], int]) -> None:
        """Hold the level that is served from now on, where resident_bytes is None and it fits; no error if not.

        Args:
            room: returns the bytes that are left for it; asked only where it matters.
        """
        if self.resident_bytes is None and self._resident is None and self._resolution is not None:
            try:
                self._load_into(room(), self._resolution)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            if self._resident is not None:
                self._ahead.clear()

    def _load_into(self, room: int, resolution: int) -> None:
        num_rows = len(self.dataset)
        shape = (self.channels, resolution, resolution)
        if num_rows * math.prod(shape) > room:
            return
        resident = torch.empty(num_rows, *shape, dtype=torch.uint8, device=self.device)
        rows_at_once = max(1, (256 << 20) // math.prod(shape))
        for start in range(0, num_rows, rows_at_once):
            rows = np.arange(start, min(start + rows_at_once, num_rows))
            resident[start : start + len(rows)] = torch.from_numpy(self.dataset.read(resolution, rows))
        self._resident = resident

    def release_resident(self) -> bool:
        """Hold no level any more, from here on; False if none was held, or could have been."""
        streamed = self._resident is None and self._resolution is not None
        if self.resident_bytes == 0 or streamed:
            return False
        self._resident, self._resolution, self.resident_bytes = None, None, 0
        return True

    def _read_ahead(self, resolution: int, nimg: int, size: int) -> torch.Tensor:
        for k in range(READ_AHEAD):
            key = (resolution, nimg + k * size, size)
            if key not in self._ahead:
                rows = self._mine(self.order.rows(*key[1:]))
                self._ahead[key] = self._reader.submit(self._read, resolution, rows)
        return self._ahead.pop((resolution, nimg, size)).result()

    def _read(self, resolution: int, rows: np.ndarray) -> torch.Tensor:
        images = torch.from_numpy(self.dataset.read(resolution, rows))
        return images.pin_memory() if self.device.type == "cuda" else images

    def _labels_of(self, rows: np.ndarray) -> torch.Tensor:
        assert self.labels is not None
        return self._to_device(self.labels[torch.from_numpy(rows)])

    def _to_device(self, x: torch.Tensor) -> torch.Tensor:
        return x.to(self.device, non_blocking=True)
