"""Run a pure function over photos: in this process, or in local processes that may fail without ending the build.

Every executor yields (item, result) pairs as they are ready, in any order, and takes the next item only when somebody
is free to work on it, so that memory does not grow with the number of photos. Items have a `name`, for messages.
"""

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, cast

from celebahq_builder.state.failure import WORKER_DIED, Failure, Limits, took_too_long, took_too_much
from celebahq_builder.work_clock import WorkClock
from celebahq_builder.worker_forks import ForkServer, can_fork, fork_server
from celebahq_builder.worker_process import Question, WorkerNotStartedError, WorkerProcess, call_here, name_of

SLOW_SECONDS = 10.0
"""From here on an item is reported as slow, once a second."""

IDLE_GIB = 4.0
"""What workers may hold together that wait for another use; the largest end first."""

_TICK = 0.2  # seconds between two looks at clocks and memory
_STARTS = 3  # that may fail in a row: a machine short of memory ends young processes first
_NO_MORE = object()
_NO_LIMITS = Limits()


class Kept(list[WorkerProcess]):
    """Idle workers, from one use to the next, and what new ones are forked from."""

    forks: ForkServer | None = None

    def fresh(self, function: Callable[[Any], Any], item: Any, may_ask: bool) -> WorkerProcess:
        """Start a worker, of this machine's own way to do it."""
        if self.forks is None and can_fork():
            self.forks = fork_server()
            self.forks.load(name_of(function), item)
        return WorkerProcess(function, may_ask, self.forks)


OnSlow = Callable[[list[tuple[str, float]]], None]
"""Takes (name, seconds so far) of what is slow just now, the slowest first; an empty list once nothing is."""


def run(
    function: Callable[[Any], Any],
    items: Iterable[Any],
    workers: int,
    limits: Limits = _NO_LIMITS,
    on_slow: OnSlow = lambda slow: None,
    kept: Kept | None = None,
) -> Iterator[tuple[Any, Any]]:
    """Yield (item, function(item)) for every item, from `workers` processes, or from this one when workers is 0.

    Whatever happens to an item, the others go on: where the function raises, its process dies twice, or a limit is
    passed, a Failure takes the place of the result.

    Args:
        function: of a module's top level; must depend on nothing but its item.
        limits: of one item; kept in processes only, because a call into a library cannot be stopped from within.
        on_slow: called about once a second while an item takes longer than SLOW_SECONDS.
        kept: of keep_workers: idle workers, which are used first, and to which those of this call are added.

    Raises:
        WorkerNotStartedError: several workers in a row ended before they could begin.
    """
    if workers:
        return _run_kept(function, items, workers, limits, on_slow, kept)
    return run_here(function, items, on_slow)


def _run_kept(
    function: Callable[[Any], Any],
    items: Iterable[Any],
    workers: int,
    limits: Limits,
    on_slow: OnSlow,
    kept: Kept | None,
) -> Iterator[tuple[Any, Any]]:
    given = contextlib.nullcontext(kept) if kept is not None else keep_workers()
    with given as kept, contextlib.closing(run_in_processes(function, items, workers, limits, on_slow, kept)) as done:
        yield from done


def run_here(
    function: Callable[[Any], Any], items: Iterable[Any], on_slow: OnSlow = lambda slow: None
) -> Iterator[tuple[Any, Any]]:
    for item in items:
        with _told_when_slow(item.name, on_slow):
            result = call_here(function, item)
        yield item, result


@contextlib.contextmanager
def keep_workers() -> Iterator[Kept]:
    """Give a list for run(kept=...): processes go on from call to call, whatever the functions, and end with the block.

    A process takes seconds to load its libraries.
    """
    kept = Kept()
    try:
        yield kept
    finally:
        for worker in kept:
            worker.stop()
        if kept.forks is not None:
            kept.forks.close()


def stop_large(kept: Kept, most_gib: float = IDLE_GIB) -> None:
    """Stop those of the idle workers, the largest first, that hold more than this together."""
    by_size = sorted(((worker.memory_gib(), worker) for worker in kept), key=lambda pair: pair[0])
    sizes = itertools.accumulate(gib for gib, _ in by_size)
    for size, (_, worker) in zip(sizes, by_size, strict=True):
        if size > most_gib:
            kept.remove(worker)
            worker.stop()


@dataclass
class _Job:
    worker: WorkerProcess
    item: Any
    second_try: bool
    clock: WorkClock
    """Stands while the worker is still loading what it needs, or waits for an answer, which is not the item's time."""


def run_in_processes(
    function: Callable[[Any], Any],
    items: Iterable[Any],
    workers: int,
    limits: Limits = _NO_LIMITS,
    on_slow: OnSlow = lambda slow: None,
    kept: list[WorkerProcess] | None = None,
    answer: Callable[[Any], Any] | None = None,
) -> Generator[tuple[Any, Any], None, None]:
    """Yield (item, result) from processes. An item whose process dies is tried once more in a fresh one.

    Args:
        kept: idle workers of an earlier call, used first; left in it are those of this one, for the next. All of them
            may ask, or none. Of keep_workers: fresh ones are forked. None: all are stopped at the end.
        answer: to what workers ask; called in a thread of its own. None: they cannot ask.
    """
    items = iter(items)
    idle: list[WorkerProcess] = [] if kept is None else kept
    busy: dict[Connection, _Job] = {}
    told = time.monotonic()
    failed_starts = 0

    def fresh(item: Any) -> WorkerProcess:
        may_ask = answer is not None
        return kept.fresh(function, item, may_ask) if isinstance(kept, Kept) else WorkerProcess(function, may_ask)

    def next_worker(item: Any) -> WorkerProcess:
        while idle:
            worker = idle.pop()
            if worker.is_alive():
                worker.change_to(function)
                return worker
            worker.stop()  # ended while it had nothing to do, which is no item's fault
        return fresh(item)

    def give(worker: WorkerProcess, item: Any, second_try: bool) -> None:
        job = busy[worker.connection] = _Job(worker, item, second_try, WorkClock(worker.pid))
        if worker.is_ready:
            job.clock.start()
        worker.start(item)

    try:
        while True:
            while len(busy) < workers and (item := next(items, _NO_MORE)) is not _NO_MORE:
                give(next_worker(item), item, False)
            if not busy:
                return
            for connection in cast(list[Connection], wait(list(busy), _TICK)):
                job = busy[connection]
                was_ready = job.worker.is_ready
                try:
                    result = job.worker.receive()
                except WorkerNotStartedError:
                    del busy[connection]
                    job.worker.stop()
                    failed_starts += 1
                    if failed_starts == _STARTS:
                        raise
                    give(fresh(job.item), job.item, job.second_try)
                    continue
                except (EOFError, ConnectionError):
                    del busy[connection]
                    death = job.worker.cause_of_death()
                    if job.second_try:
                        yield job.item, Failure(WORKER_DIED, f"{death}, twice")
                    else:
                        give(fresh(job.item), job.item, True)
                    continue
                if not was_ready:
                    job.clock.start()
                    failed_starts = 0
                    continue
                if isinstance(result, Question):
                    assert answer is not None
                    job.clock.pause()  # here: this thread looks at it
                    threading.Thread(target=_answer, args=(answer, job, result.asked), daemon=True).start()
                    continue
                del busy[connection]
                idle.append(job.worker)
                yield job.item, result

            for connection, job in list(busy.items()):
                if (failure := _passed(job, limits)) and not connection.poll():
                    del busy[connection]
                    job.worker.stop()
                    yield job.item, failure
            if (now := time.monotonic()) - told >= 1:
                told = now
                seconds = [(job.item.name, job.clock.look()) for job in busy.values()]
                on_slow(sorted((pair for pair in seconds if pair[1] > SLOW_SECONDS), key=lambda pair: -pair[1]))
    finally:
        for worker in [*(idle if kept is None else []), *(job.worker for job in busy.values())]:
            worker.stop()


def _answer(answer: Callable[[Any], Any], job: _Job, asked: Any) -> None:
    """Send a worker the answer to its question; the time until then is not its item's."""
    try:
        found = answer(asked)
    except Exception as error:
        found = error if isinstance(error, MemoryError) else RuntimeError(f"{type(error).__name__}: {error}")
    job.clock.start()
    with contextlib.suppress(OSError):  # it was stopped meanwhile
        job.worker.connection.send(found)


def _passed(job: _Job, limits: Limits) -> Failure | None:
    if job.clock.look() > limits.seconds:
        return took_too_long(limits.seconds)
    if job.worker.memory_gib() > limits.memory_gib:
        return took_too_much(limits.memory_gib)
    return None


@contextlib.contextmanager
def _told_when_slow(name: str, on_slow: OnSlow) -> Iterator[None]:
    """Call on_slow from another thread, for as long as the work in this one lasts."""
    done, began = threading.Event(), time.monotonic()

    def watch() -> None:
        pause = SLOW_SECONDS
        while not done.wait(pause):
            on_slow([(name, time.monotonic() - began)])
            pause = 1.0

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
