"""Restoration networks as an actor on a share of a GPU: what several photographs ask at a time becomes one batch."""

import platform
import threading
from dataclasses import dataclass, field

import numpy as np

from celebahq.errors import CelebAHQError
from celebahq_builder.cluster.node_facts import node_facts, why_unfit
from celebahq_builder.restore import forward, load_network

_MOST = {"cpu": 4, "cuda": 16}
"""Tiles of a batch; 16 of 512x512 pixels, as one photograph alone asks for 8."""


class WrongNodeError(CelebAHQError):
    """A restorer is on a node that would make other faces than the machine where the build was started."""


@dataclass(frozen=True)
class Restorers:
    """How a cluster places its restorers."""

    device: str = "cuda"
    gpu_share: float = 0.5
    """Of a GPU, each: two of them, so that one computes while the other's tiles are on their way. 0: one, anywhere."""


@dataclass(eq=False)
class _Request:
    name: str
    images: np.ndarray
    made: np.ndarray | None = None
    error: Exception | None = None

    def goes_with(self, other: "_Request") -> bool:
        return self.name == other.name and self.images.shape[1:] == other.images.shape[1:]


@dataclass
class Restorer:
    """Restores tiles of equal size together. Many threads are in restore() at once, one of them computes.

    Args:
        device: "cpu", "cuda" or "cuda:N".
        torch: version of PyTorch where the build was started; "": any.
    """

    device: str
    torch: str = ""
    batches: list[int] = field(default_factory=list)
    """Requests of each batch so far."""

    def __post_init__(self) -> None:
        self._computing, self._taking = threading.Lock(), threading.Lock()
        self._waiting: list[_Request] = []
        found = {"torch": node_facts()["torch"]}
        self._unfit = self.torch and why_unfit({"torch": self.torch}, found, platform.node())

    def restore(self, name: str, images: np.ndarray) -> np.ndarray:
        """Run a network on tiles.

        Args:
            name: of a network that ships.
            images: (N, h, w, 3) uint8.

        Returns:
            (N, h', w', 3) uint8. On CUDA a value may depend on what was in the batch with it, by one gray level.

        Raises:
            MemoryError: the GPU has no room for these alone.
            WrongNodeError: another PyTorch is here.
        """
        if self._unfit:
            raise WrongNodeError(self._unfit)
        request = _Request(name, images)
        with self._taking:
            self._waiting.append(request)
        with self._computing:  # who waited here finds that another one did it along with its own, or does it now
            if request.made is None and request.error is None:
                self._compute(self._batch_of(request))
        if request.error is not None:
            raise request.error
        assert request.made is not None
        return request.made

    def batch_sizes(self) -> list[int]:
        """Return how many requests went into each batch."""
        return self.batches

    def _batch_of(self, first: _Request) -> list[_Request]:
        batch, size = [first], len(first.images)
        with self._taking:
            for other in self._waiting:
                fits = size + len(other.images) <= _MOST[self.device.partition(":")[0]]
                if other is not first and other.goes_with(first) and fits:
                    batch.append(other)
                    size += len(other.images)
            self._waiting = [other for other in self._waiting if other not in batch]
        return batch

    def _compute(self, batch: list[_Request]) -> None:
        try:
            network = load_network(batch[0].name, self.device)
            made = forward(network, np.concatenate([request.images for request in batch]))
        except MemoryError as error:
            if len(batch) == 1:
                batch[0].error = error
                return
            for request in batch:
                self._compute([request])
            return
        except Exception as error:
            for request in batch:
                request.error = error
            return
        self.batches.append(len(batch))
        ends = np.cumsum([len(request.images) for request in batch])
        for request, part in zip(batch, np.split(made, ends[:-1]), strict=True):
            request.made = np.ascontiguousarray(part)
