"""One worker: a process that takes items through a pipe, and the two sides of that pipe."""

import contextlib
import ctypes
import errno
import importlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celebahq.errors import CelebAHQError
from celebahq_builder.state.failure import FAULT, WORKER_DIED, Failure

if TYPE_CHECKING:
    from celebahq_builder.worker_forks import ForkedProcess, ForkServer

# One compute thread a worker: N workers use N cores, and sums are made in one order however many there are.
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OPENCV_FOR_THREADS_NUM"),
    "1",
)
_OUT_OF_MEMORY = re.compile(r"out of memory|(can't|cannot|could not|failed to) allocate|insufficient memory", re.I)
_PR_SET_PDEATHSIG = 1
_asks: Connection | None = None


class WorkerNotStartedError(CelebAHQError, RuntimeError):
    """A worker ended before its first item: whatever the cause, it is no item's fault."""


@dataclass(frozen=True)
class Question:
    """Comes through the pipe in place of a result: what a worker asks the process that started it."""

    asked: Any


class WorkerProcess:
    """One process and the pipe to it. It works on one item at a time and ends when this process does.

    Args:
        function: of a module's top level. A tuple WORKER_IMPORTS beside it names modules to load before the first item.
        may_ask: whether its questions are answered.
        forks: what it is forked from, where it can be; else it starts by itself.
    """

    def __init__(
        self, function: Callable[[Any], Any], may_ask: bool = False, forks: "ForkServer | None" = None
    ) -> None:
        self.connection, theirs = Pipe()
        with theirs:
            forked = None if forks is None else forks.fork(theirs.fileno(), may_ask)
            alone = f"from {__name__} import serve; serve"
            self._process: ForkedProcess | subprocess.Popen[bytes]
            self._process = forked or start_python(alone, theirs.fileno(), may_ask)
        self.pid = self._process.pid
        self._function = name_of(function)
        self._pages = Path(f"/proc/{self._process.pid}/statm")
        self.is_ready = False
        """Whether it has loaded what it needs. Death before that is no item's fault."""

    def change_to(self, function: Callable[[Any], Any]) -> None:
        """Let an idle worker work on items of this function from now on; what it has loaded stays loaded."""
        if self._function != name_of(function):
            self._function, self.is_ready = name_of(function), False

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def start(self, item: Any) -> None:
        with contextlib.suppress(ConnectionError):  # a process that died since its last item is noticed by receive()
            self.connection.send((self._function, item))

    def receive(self) -> Any:
        """Return the result, a Failure, a Question, or None where this only says that it is ready now.

        Raises:
            EOFError, ConnectionError: it died at work.
            WorkerNotStartedError: it ended before it was ready.
        """
        if self.is_ready:
            return self.connection.recv()
        try:
            broken = self.connection.recv()
        except (EOFError, ConnectionError):
            raise WorkerNotStartedError(f"a worker could not start: {self.cause_of_death()}") from None
        if broken:
            raise WorkerNotStartedError(f"a worker could not start: {broken}")
        self.is_ready = True
        return None

    def memory_gib(self) -> float:
        """Return the resident memory; 0 where the system does not tell, or it has ended."""
        try:
            return int(self._pages.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**30
        except (OSError, IndexError, ValueError):
            return 0.0

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


def start_python(function: str, descriptor: int, *arguments: object) -> subprocess.Popen[bytes]:
    """Start a process that calls function(descriptor, this process, *arguments), with one thread, out of Ctrl-C's way.

    Args:
        function: what imports it and names it, as code.
    """
    words = ", ".join(map(repr, (descriptor, os.getpid(), *arguments)))
    return subprocess.Popen(
        # -P: -c alone would put the current folder first, and a zoo.py there would be taken for our package
        [sys.executable, "-P", "-c", f"{function}({words})"],
        pass_fds=[descriptor],
        env=os.environ | _ONE_THREAD | {"PYTHONPATH": os.pathsep.join(folder or "." for folder in sys.path)},
        start_new_session=True,  # Ctrl-C reaches the build alone, which stops its workers
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def name_of(function: Callable[[Any], Any]) -> str:
    return f"{function.__module__}:{function.__qualname__}"


def call(function: Callable[[Any], Any], item: Any) -> Any:
    """Return function(item), or a Failure with the traceback when it raises.

    Raises:
        MemoryError: a matter of this item and of what else runs here, not a fault.
    """
    try:
        return function(item)
    except MemoryError:
        raise
    except Exception as error:
        if _OUT_OF_MEMORY.search(str(error)):  # as PyTorch and OpenCV say it
            raise MemoryError(str(error)) from error
        summary = traceback.format_exception_only(error)[-1].strip().partition("\n")[0]
        return Failure(FAULT, summary[:300], traceback.format_exc())


def call_here(function: Callable[[Any], Any], item: Any) -> Any:
    """Return function(item) or a Failure, whatever it raises."""
    try:
        return call(function, item)
    except MemoryError as error:
        return Failure(WORKER_DIED, f"it ran out of memory: {error}".removesuffix(": "))


def may_ask() -> bool:
    """Say whether this process is a worker whose questions are answered."""
    return _asks is not None


def ask(question: Any) -> Any:
    """Return what the process that started this worker answers; raise what it answers where that is an exception."""
    assert _asks is not None
    _asks.send(Question(question))
    answer = _asks.recv()
    if isinstance(answer, Exception):
        raise answer
    return answer


def serve(descriptor: int, parent: int, asks: bool = False) -> None:
    """Work off what comes through the pipe until it is closed; the body of a worker process."""
    global _asks
    _end_with(parent)
    connection, loaded = Connection(descriptor), ""
    _asks = connection if asks else None
    with contextlib.suppress(EOFError, ConnectionError):  # the build ended
        while True:
            name, item = connection.recv()
            if name != loaded:
                function, loaded = _import(name, connection), name
            try:
                result = call(function, item)
            except MemoryError:
                raise SystemExit(errno.ENOMEM) from None
            connection.send(result)


def end_with_parent() -> None:
    """Have the kernel end this process as soon as its parent is gone, whatever runs here, where it can: Linux."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end_with(parent: int) -> None:
    """End this process as soon as its parent is gone, also in the middle of a call into a library."""
    end_with_parent()

    def watch() -> None:  # elsewhere, and where the parent was gone before it could be asked for
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _import(name: str, connection: Connection) -> Callable[[Any], Any]:
    try:
        function = import_function(name)
    except Exception:
        connection.send(traceback.format_exc())
        raise SystemExit(1) from None
    connection.send("")
    return function


def import_function(name: str) -> Callable[[Any], Any]:
    """Return what name_of named, and load what it needs."""
    module_name, _, attribute = name.partition(":")
    module = importlib.import_module(module_name)
    for needed in getattr(module, "WORKER_IMPORTS", ()):
        importlib.import_module(needed)
    return getattr(module, attribute)
