"""Ctrl-C, SIGTERM and a closed terminal: the first asks the loop to save, the second ends at once."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import TracebackType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class StopSignals:
    """True once a signal asked to stop; the loop then finishes its iteration and saves.

    A thread reads the signals: Python's own handlers run only between two calls into PyTorch, and one iteration at
    1024x1024 on a CPU is minutes long. The second signal ends the process at once, without saving.

    Args:
        info: prints a line.
    """

    def __init__(self, info: Callable[[str], None]) -> None:
        self._info = info
        self._asked = False
        self._listens = threading.current_thread() is threading.main_thread()  # nobody else may set handlers

    def __enter__(self) -> "StopSignals":
        if self._listens:
            self._read_end, self._write_end = os.pipe()
            os.set_blocking(self._write_end, False)
            self._wakeup_before = signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
            ours = [s for s in SIGNALS if s == signal.SIGINT or signal.getsignal(s) != signal.SIG_IGN]  # nohup's SIGHUP
            self._before = {which: signal.signal(which, self._ask) for which in ours}
            self._reader = threading.Thread(target=self._read, name="stop-signals", daemon=True)
            self._reader.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._listens:
            return
        for which, handler in self._before.items():
            signal.signal(which, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._write_end)  # the reader sees the end
        self._reader.join()
        os.close(self._read_end)

    def __bool__(self) -> bool:
        return self._asked

    def _ask(self, signum: int, frame: object) -> None:
        self._asked = True

    def _read(self) -> None:
        count = 0
        while byte := os.read(self._read_end, 1):
            if byte[0] not in SIGNALS:  # a child's or a timer's of the program that called us
                continue
            count += 1
            self._asked = True
            if count == 1:
                with contextlib.suppress(OSError, ValueError):  # the terminal may be gone
                    self._info("stopping after this iteration, saving; once more ends at once, without saving")
            else:
                with contextlib.suppress(OSError, ValueError):
                    if sys.stdout.isatty():
                        os.write(sys.stdout.fileno(), b"\x1b[?25h\n")  # the cursor that the bar has hidden
                os._exit(128 + byte[0])
