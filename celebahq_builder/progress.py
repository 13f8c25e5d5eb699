"""How far a long run is: a bar with rate and time left on a terminal, a plain line every few seconds elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_SECONDS_A_LINE = 5.0


class PlainProgress:
    """Prints a line to stderr every few seconds."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done, self._note = what, total, 0, ""
        self._began = self._last = time.monotonic()

    def advance(self, note: str = "") -> None:
        """One more is done; `note` says in a few words what came of them so far."""
        self._note = note
        self._tell(self._done + 1)

    def note(self, text: str) -> None:
        """Change the words at the end of the line without any advance."""
        self._note = text
        self._tell(self._done)

    def _tell(self, done: int) -> None:
        finished = done == self._total and done != self._done
        self._done = done
        now = time.monotonic()
        if now - self._last < _SECONDS_A_LINE and not finished:
            return
        self._last = now
        rate = self._done / max(now - self._began, 1e-9)
        pace = f", {rate:.1f} a second, {_clock((self._total - self._done) / rate)} left" if self._done else ""
        note = f"; {self._note}" if self._note else ""
        print(f"{self._what}: {self._done}/{self._total}{pace}{note}", file=sys.stderr, flush=True)


@contextmanager
def progress(what: str, total: int) -> Iterator:
    """Give something with advance(note), to be called `total` times."""
    if not sys.stderr.isatty():
        yield PlainProgress(what, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
        console=Console(stderr=True),
    )
    with bar:
        task = bar.add_task(what, total=total, rate="", note="")

        class Bar:
            def advance(self, note: str = "") -> None:
                speed = bar.tasks[task].speed
                bar.update(task, advance=1, note=note, rate=f"{speed:.1f}/s" if speed else "")

            def note(self, text: str) -> None:
                bar.update(task, note=text)

        yield Bar()


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
