"""How long a process has worked: what it computed and what it waited for a disk or a network, not for a processor.

So a photo that is out of time on a busy machine is out of time on an idle one. Elsewhere than on Linux it is the clock.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

_GAP = 5.0
"""Seconds between two looks from which on they say nothing of the process: who looks was stopped, or had other work."""
_COMPUTES = "R"  # or could, if a processor were free


class WorkClock:
    """Counts the seconds of a process from start() on, whenever look() is called, some times a second.

    Args:
        pid: of the process, of one thread or one that the others wait for.
        proc: where Linux tells of processes.
        now: seconds by the clock.
    """

    def __init__(self, pid: int, proc: Path = Path("/proc"), now: Callable[[], float] = time.monotonic) -> None:
        self._stat, self._now = proc / str(pid) / "stat", now
        self._spent = self._computed = 0.0
        self._looked: float | None = None
        """When it was looked at; None: what passes now does not count."""

    def start(self) -> None:
        """Count from here on."""
        self._computed, _ = self._read() or (0.0, "")
        self._looked = self._now()

    def pause(self) -> None:
        """Count no more until start() is called again."""
        self.look()
        self._looked = None

    def look(self) -> float:
        """Count what has passed since the last look; return the seconds so far."""
        if self._looked is None:
            return self._spent
        now = self._now()
        passed, self._looked = now - self._looked, now
        found = self._read()
        computed, state = (self._computed, "") if found is None else found
        spent, self._computed = computed - self._computed, computed
        if state != _COMPUTES and passed <= _GAP:
            spent = max(spent, passed)
        self._spent += spent
        return self._spent

    def _read(self) -> tuple[float, str] | None:
        """Return the seconds that it computed, and what it does just now; None where the system does not tell."""
        try:
            words = self._stat.read_text("latin1").rpartition(")")[2].split()  # its name may hold anything
            return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK"), words[0]
        except (OSError, IndexError, ValueError):
            return None
