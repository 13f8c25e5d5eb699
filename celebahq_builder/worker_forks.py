"""Workers by fork: one process loads what every worker needs, once, and each worker begins as a copy of it.

On Linux alone: elsewhere libraries do not live through a fork. The process that is forked from computes nothing and has
one thread, at every fork; where a library gave it more, or it cannot load something, workers start by themselves.
"""

import contextlib
import gc
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection, Pipe
from multiprocessing.reduction import recv_handle, send_handle
from pathlib import Path
from typing import Any, NoReturn

from celebahq_builder.worker_process import end_with_parent, import_function, serve, start_python

_THREADS = Path("/proc/self/task")
_begun: list["ForkServer"] = []
_LOST = -signal.SIGKILL  # what became of a worker that went with the process it was forked from


class ForkServer:
    """The process that workers are forked from, and the socket to it. It ends with this process, and they with it."""

    def __init__(self) -> None:
        self._socket, theirs = Pipe()
        with theirs:
            self._process = start_python(f"from {__name__} import serve_forks; serve_forks", theirs.fileno())
        self._is_lost = False

    def load(self, function: str, item: Any = None) -> None:
        """Have it import a function, by its name as of name_of, and call preload(item) beside it, unless it is None."""
        with contextlib.suppress(OSError):  # noticed by the first fork
            self._socket.send(("load", (function, item)))

    def fork(self, descriptor: int, may_ask: bool) -> "ForkedProcess | None":
        """Return a worker that takes items from a pipe; None where none can be forked."""
        pid = self.ask(("fork", may_ask), None, descriptor)
        return None if pid is None else ForkedProcess(self, pid)

    def ask(self, request: tuple[str, Any], if_lost: Any, descriptor: int | None = None) -> Any:
        if self._is_lost:
            return if_lost
        try:
            self._socket.send(request)
            if descriptor is not None:
                send_handle(self._socket, descriptor, self._process.pid)
            return self._socket.recv()
        except (EOFError, OSError):
            self.close()
            return if_lost
        except BaseException:  # Ctrl-C: the answer still to come would be taken for another's
            self.close()
            raise

    def close(self) -> None:
        """End it, and all that were forked from it."""
        self._is_lost = True
        self._socket.close()
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def begun(function: str) -> Iterator[None]:
    """Let the process that workers are forked from start, and import a function, while this one does other things.

    The first fork_server() in the `with` block takes it; else it ends with the block.
    """
    if can_fork():
        with contextlib.suppress(OSError):  # no room for another process: said when one is needed
            _begun.append(ForkServer())
            _begun[0].load(function)
    try:
        yield
    finally:
        while _begun:
            _begun.pop().close()


def fork_server() -> ForkServer:
    """Return one that has begun, or a new one."""
    return _begun.pop() if _begun else ForkServer()


def can_fork() -> bool:
    """Say whether libraries live through a fork here, and threads can be counted."""
    return sys.platform == "linux" and _THREADS.exists()


class ForkedProcess:
    """A worker as subprocess.Popen would show it."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        self.pid = pid
        self._server = server
        self._status: int | None = None

    def poll(self) -> int | None:
        if self._status is None:
            self._status = self._server.ask(("poll", self.pid), _LOST)
        return self._status

    def wait(self) -> int:
        if self._status is None:
            self._status = self._server.ask(("wait", self.pid), _LOST)
        return self._status

    def kill(self) -> None:
        if self.poll() is None:  # its number is its own until it was waited for
            os.kill(self.pid, signal.SIGKILL)


def serve_forks(descriptor: int, parent: int) -> None:
    """Load, then fork a worker for each pipe that comes; the body of the process."""
    end_with_parent()
    if os.getppid() != parent:  # it was gone before
        return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, as some that start a build leave it, workers end unseen
    connection = Connection(descriptor)
    with contextlib.suppress(EOFError, ConnectionError):  # the build ended
        while True:
            what, value = connection.recv()
            if what == "load":
                try:
                    _load(*value)
                except Exception:  # a worker that starts by itself says what is wrong
                    return
            elif what == "fork":
                connection.send(_fork(connection, recv_handle(connection), value))
            else:
                pid, status = os.waitpid(value, 0 if what == "wait" else os.WNOHANG)
                connection.send(os.waitstatus_to_exitcode(status) if pid else None)


def _load(name: str, item: Any) -> None:
    import_function(name)
    module = importlib.import_module(name.partition(":")[0])
    if item is not None and hasattr(module, "preload"):
        module.preload(item)
    gc.freeze()  # or the first collection in a worker would copy every page


def _fork(connection: Connection, pipe: int, may_ask: bool) -> int | None:
    try:
        if len(list(_THREADS.iterdir())) > 1:  # a lock that another thread holds would never open in the copy
            return None
        server = os.getpid()
        with contextlib.suppress(OSError):  # no room for another process
            if pid := os.fork():
                return pid
            connection.close()
            _work(pipe, server, may_ask)
        return None
    finally:
        os.close(pipe)


def _work(pipe: int, server: int, may_ask: bool) -> NoReturn:
    """Be a worker, and end as one that started by itself would."""
    status = 1
    try:
        os.setsid()
        serve(pipe, server, may_ask)
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)
