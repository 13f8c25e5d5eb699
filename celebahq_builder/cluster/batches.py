"""Items in tasks of some dozens over a pool of machines: bounded in flight, and what a lost task held is done again."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from celebahq.errors import CelebAHQError
from celebahq_builder.state.failure import WORKER_DIED, Failure

MOST = 32
"""Items of one task: docs/scale.md has what other sizes cost."""
IN_FLIGHT = 2
"""Tasks at a time for each core: one at work, one on its way, so that no core waits for the driver."""
_TICK = 0.5  # seconds


class TaskLostError(CelebAHQError):
    """The process or the node of a task ended, each time that the pool tried; the message says how."""


class Pool(Protocol):
    """Where tasks run. Its own means of trying a task again come before a TaskLostError."""

    def cores(self) -> int:
        """Return how many tasks can be at work at a time just now; 0 while no node is there."""

    def start(self, items: tuple[Any, ...]) -> Any:
        """Begin a task; return what names it."""

    def wait(self, tasks: list[Any], seconds: float) -> list[Any]:
        """Return those that have ended, within that time; none where none has."""

    def results(self, task: Any) -> list[Any]:
        """Return the results of its first items, at least of one. Raises TaskLostError."""


@dataclass(frozen=True)
class _Batch:
    items: tuple[Any, ...]
    lost_before: bool = False
    """Whether a task of this item alone was lost already."""


def batch_size(left: int, cores: int) -> int:
    """Return how many items the next task gets: dozens, and fewer towards the end, so that all cores end together."""
    return max(1, min(MOST, left // (2 * IN_FLIGHT * max(cores, 1))))


def run_in_batches(items: Iterable[Any], pool: Pool) -> Iterator[tuple[Any, Any]]:
    """Yield (item, result) of every item as they are ready, in any order, as executors.run does.

    The items of a task that is lost are tried again one by one. One that is lost then, twice, is a Failure.

    Where the caller stops early, tasks at work are left to the end of the pool: Ray itself crashes where a task is
    cancelled in the moment of its end, and ends those of a driver that has gone anyway.
    """
    waiting, alone = deque(items), deque[_Batch]()
    busy: dict[Any, _Batch] = {}
    while waiting or alone or busy:
        cores = pool.cores()
        while (waiting or alone) and len(busy) < max(1, IN_FLIGHT * cores):
            batch = alone.popleft() if alone else _next_batch(waiting, cores)
            busy[pool.start(batch.items)] = batch
        for task in pool.wait(list(busy), _TICK):
            batch = busy.pop(task)
            try:
                results = pool.results(task)
            except TaskLostError as error:
                if len(batch.items) > 1:
                    alone.extend(_Batch((item,)) for item in batch.items)
                elif not batch.lost_before:
                    alone.append(_Batch(batch.items, lost_before=True))
                else:
                    yield batch.items[0], Failure(WORKER_DIED, f"{error}, twice")
                continue
            waiting.extendleft(reversed(batch.items[len(results) :]))
            yield from zip(batch.items, results, strict=False)


def _next_batch(waiting: deque[Any], cores: int) -> _Batch:
    return _Batch(tuple(waiting.popleft() for _ in range(batch_size(len(waiting), cores))))
