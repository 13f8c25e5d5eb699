"""Whether the other ranks live: one that dies ends all of them, with one line that names it."""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

import torch.distributed as dist

BEAT = 0.5
"""Seconds between two signs of life."""
DEAD_AFTER = 40.0
"""Seconds without a sign of life. A process that ended on the same machine is noticed after one beat."""


class Peers:
    """Give signs of life through the store, and watch the next rank's.

    A collective never ends where a rank is gone; on CUDA it does not even fail. So a thread ends the process: by
    os._exit, since the main thread may be inside of one.

    Args:
        store: shared by all ranks; it outlives them where torchrun holds it.
        rank, count: of this process.
        line: what is said of a rank that has died, with {} in the place of its name.
    """

    def __init__(self, store: dist.Store, rank: int, count: int, line: str = "{}, and all end") -> None:
        self._line = line
        self._store, self._rank, self._watched = store, rank, (rank + 1) % count
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peers", daemon=True)

    def __enter__(self) -> "Peers":
        self._store.set(f"who/{self._rank}", f"{socket.gethostname()} {os.getpid()}")
        if threading.current_thread() is threading.main_thread():
            # torchrun sends it to all once one has died: there is time to say which
            self._before = signal.signal(
                signal.SIGTERM, lambda *_: threading.Timer(10, os._exit, (128 + signal.SIGTERM,)).start()
            )
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc is None:
            self._store.set(f"left/{self._rank}", "")
            self._end_watch()
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, self._before)
            return
        if _is_of_a_collective(exc):  # because another rank is gone, most likely: then the thread ends this process
            self._thread.join(DEAD_AFTER + 10)
        first = self._claim()
        self._end_watch()
        if not first:  # another rank says why; tracebacks of the rest would bury it
            sys.stdout.flush()
            os._exit(2 if _is_ours(exc) else 1)

    def _claim(self) -> bool:
        """Whether this is the first rank that fails: it alone says so; the others end when they see it."""
        try:
            return self._store.add("failed", 1) == 1
        except RuntimeError:  # the store is gone with whoever held it
            return True

    def _end_watch(self) -> None:
        self._leaving.set()
        self._thread.join()

    def _watch(self) -> None:
        beats, seen = -1, time.monotonic()
        while not self._leaving.wait(BEAT):
            try:
                self._store.add(f"beat/{self._rank}", 1)
                if self._store.add("failed", 0):
                    self._leaving.wait(3 * BEAT)  # this rank may be ending by itself, and say the same
                    if not self._leaving.is_set():
                        os._exit(1)
                    return
                if self._store.check([f"left/{self._watched}"]):
                    return
                now = self._store.add(f"beat/{self._watched}", 0)
            except RuntimeError:
                self._end(f"the machine of rank 0, or its torchrun, has ended, says rank {self._rank}")
                return
            if now != beats:
                beats, seen = now, time.monotonic()
            dead = self._is_gone() or time.monotonic() - seen > DEAD_AFTER
            if dead and not self._store.check([f"left/{self._watched}"]) and self._claim():
                self._end(f"rank {self._watched} ({self._who()}) has died")

    def _end(self, what: str) -> None:
        if self._leaving.is_set():
            return
        print(self._line.format(what), file=sys.stderr, flush=True)
        os._exit(1)

    def _who(self) -> str:
        if not self._store.check([f"who/{self._watched}"]):
            return "which never began"
        host, pid = self._store.get(f"who/{self._watched}").decode().split()
        return f"process {pid} on {host}"

    def _is_gone(self) -> bool:
        """Whether the watched rank was a process of this machine that is no more."""
        if not self._store.check([f"who/{self._watched}"]):
            return False
        host, pid = self._store.get(f"who/{self._watched}").decode().split()
        if host != socket.gethostname():
            return False
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        with contextlib.suppress(OSError):  # only Linux says so: ended, though nobody has asked yet how
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in ("Z", "X")
        return False


def _is_of_a_collective(error: BaseException) -> bool:
    words = ("gloo", "nccl", "connection closed", "connection reset", "process group")
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)


def _is_ours(error: BaseException) -> bool:
    from celebahq.errors import CelebAHQError

    return isinstance(error, CelebAHQError)
