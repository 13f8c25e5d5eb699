"""Run a pure function over photos: in this process, or in local processes that may die without taking the build along.

Every executor yields (item, result) pairs as they are ready, in any order, and takes the next item only when somebody
is free to work on it, so that memory does not grow with the number of photos. Items have a `name`, for messages.
"""

import contextlib
import errno
import importlib
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

# One compute thread a worker: N workers use N cores, and sums are made in one order however many there are.
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OPENCV_FOR_THREADS_NUM"),
    "1",
)
_NO_MORE = object()

WORKER_DIED = "worker died"
"""The reason in the row of a photo that killed its process twice."""


class PhotoCrash(RuntimeError):
    """The function raised what it should not: a fault in the program, told with the photo that brought it out."""


@dataclass(frozen=True)
class WorkerDied:
    """Stands for the result of an item that killed its process twice."""

    detail: str


def run(function: Callable[[Any], Any], items: Iterable[Any], workers: int) -> Iterator[tuple[Any, Any]]:
    """Yield (item, function(item)) for every item, from `workers` processes, or from this one when workers is 0.

    Args:
        function: of a module's top level; must depend on nothing but its item.

    Raises:
        PhotoCrash: the function raised.
    """
    return run_in_processes(function, items, workers) if workers else run_here(function, items)


def run_here(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    for item in items:
        try:
            result = function(item)
        except Exception as error:
            raise PhotoCrash(f"{item.name}: {error!r}") from error
        yield item, result


def run_in_processes(function: Callable[[Any], Any], items: Iterable[Any], workers: int) -> Iterator[tuple[Any, Any]]:
    """Yield (item, result) from processes. An item whose process dies is tried once more in a fresh one."""
    items, idle = iter(items), []
    busy: dict[Connection, tuple[_Worker, Any, bool]] = {}

    def give(worker: "_Worker", item: Any, second_try: bool) -> None:
        busy[worker.connection] = worker, item, second_try
        worker.start(item)

    try:
        while True:
            while len(busy) < workers and (item := next(items, _NO_MORE)) is not _NO_MORE:
                give(idle.pop() if idle else _Worker(function), item, False)
            if not busy:
                return
            for connection in wait(list(busy)):
                worker, item, second_try = busy[connection]
                try:
                    crash, result = worker.result()
                except (EOFError, ConnectionError):
                    del busy[connection]
                    death = worker.cause_of_death()
                    if second_try:
                        yield item, WorkerDied(f"{death}, twice")
                    else:
                        give(_Worker(function), item, True)
                    continue
                if crash:
                    raise PhotoCrash(f"{item.name}: {crash}")
                del busy[connection]
                idle.append(worker)
                yield item, result
    finally:
        for worker in [*idle, *(worker for worker, _, _ in busy.values())]:
            worker.stop()


class _Worker:
    """One process and the pipe to it. It works on one item at a time and ends when the pipe does."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"from {__name__} import _serve; _serve({theirs.fileno()})"],
                pass_fds=[theirs.fileno()],
                env=os.environ | _ONE_THREAD | {"PYTHONPATH": os.pathsep.join(folder or "." for folder in sys.path)},
                start_new_session=True,  # Ctrl-C reaches the build alone, which stops its workers
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        self._function = f"{function.__module__}:{function.__qualname__}"
        self._ready = False

    def start(self, item: Any) -> None:
        with contextlib.suppress(ConnectionError):  # a process that died since its last item is noticed by result()
            self.connection.send((self._function, item))

    def result(self) -> tuple[str, Any]:
        """Return (traceback of a crash or "", result); EOFError or ConnectionError once the process is dead."""
        if not self._ready:
            # Says that the function could be imported. Death before that is no photo's fault.
            try:
                crash = self.connection.recv()
            except (EOFError, ConnectionError):
                raise RuntimeError(f"a worker could not start: {self.cause_of_death()}") from None
            if crash:
                raise RuntimeError(f"a worker could not start: {crash}")
            self._ready = True
        return self.connection.recv()

    def cause_of_death(self) -> str:
        self.connection.close()
        status = self._process.wait()
        if status == errno.ENOMEM:
            return "its process ran out of memory"
        if status >= 0:
            return f"its process ended with status {status}"
        # 9 is how Linux ends the largest process when memory runs out.
        hint = " (out of memory?)" if -status == signal.SIGKILL else ""
        return f"its process was ended by {signal.Signals(-status).name}{hint}"

    def stop(self) -> None:
        self.connection.close()
        self._process.kill()
        self._process.wait()


def _serve(descriptor: int) -> None:
    """Work off what comes through the pipe until it is closed; the body of a worker process."""
    connection, function = Connection(descriptor), None
    with contextlib.suppress(EOFError, ConnectionError):  # the build ended
        while True:
            name, item = connection.recv()
            if function is None:
                function = _import(name, connection)
            try:
                answer = "", function(item)
            except MemoryError:  # a matter of this photo and of what else runs here, not a fault: tried once more
                raise SystemExit(errno.ENOMEM) from None
            except Exception:
                answer = traceback.format_exc(), None
            connection.send(answer)


def _import(name: str, connection: Connection) -> Callable[[Any], Any]:
    module, _, attribute = name.partition(":")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except Exception:
        connection.send(traceback.format_exc())
        raise SystemExit(1) from None
    connection.send("")
    return function
