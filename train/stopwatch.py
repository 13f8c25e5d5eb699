"""Seconds of training over all processes of a run; images, metrics and checkpoints do not count."""

import time


class Stopwatch:
    """Runs while iterations run.

    Args:
        seconds: of the processes before.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.began_at = 0
        """Images shown when it was last started."""

    def start(self, nimg: int) -> None:
        self.began_at, self._since = nimg, time.monotonic()

    def stop(self, nimg: int) -> float:
        """Add what has passed to seconds, and return the seconds a thousand images since the start."""
        elapsed = time.monotonic() - self._since
        self.seconds += elapsed
        return elapsed / max(nimg - self.began_at, 1) * 1000
