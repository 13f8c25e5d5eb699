"""How far long work is: a bar with rate and time left on a terminal, a plain line every few seconds elsewhere.

Silent unless a command shows it (celebahq.command.run_command): who calls a function from Python sees nothing.
"""

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Protocol

SECONDS_A_LINE = 5.0
_shown = False


class Progress(Protocol):
    """What progress() gives."""

    def advance(self, count: int = 1, note: str = "") -> None:
        """Say that `count` more are done, and in a few words what came of them so far."""

    def update(self, done: int, total: int | None = None) -> None:
        """Say how many are done in all, and how many there will be where that was not known before."""

    def note(self, text: str) -> None:
        """Change the words behind the bar without any advance."""


def show_progress(shown: bool = True) -> None:
    """Show the progress of what runs from now on in this process, or no longer."""
    global _shown
    _shown = shown


def is_progress_shown() -> bool:
    """Whether show_progress has said so."""
    return _shown


@contextlib.contextmanager
def progress(what: str, total: int | None = None, unit: str = "") -> Iterator[Progress]:
    """Show how far the work in this block is, on stderr.

    Args:
        what: in a word or two, as "photos".
        total: how many there are; None: not known.
        unit: of the rate, as "images"; "B" for bytes, which are then counted in MB.
    """
    if not _shown:
        yield _Silent()
    elif sys.stderr.isatty():
        with _bar(what, total, unit) as bar:
            yield bar
    else:
        yield PlainProgress(what, total, unit)


class _Silent:
    def advance(self, count: int = 1, note: str = "") -> None: ...

    def update(self, done: int, total: int | None = None) -> None: ...

    def note(self, text: str) -> None: ...


class PlainProgress:
    """Prints a line to stderr every few seconds, and the last one."""

    def __init__(self, what: str, total: int | None = None, unit: str = "") -> None:
        self._what, self._total, self._unit = what, total, unit
        self._done, self._note = 0, ""
        self._first: tuple[float, int] | None = None
        self._began = self._last = time.monotonic()

    def advance(self, count: int = 1, note: str = "") -> None:
        self._note = note or self._note
        self._tell(self._done + count)

    def update(self, done: int, total: int | None = None) -> None:
        self._total = total or self._total
        # what was there when a download goes on is not this run's work
        self._first = self._first or (time.monotonic(), done)
        self._tell(done)

    def note(self, text: str) -> None:
        self._note = text
        self._tell(self._done)

    def _tell(self, done: int) -> None:
        finished = done == self._total and done != self._done
        self._done, now = done, time.monotonic()
        if now - self._last < SECONDS_A_LINE and not finished:
            return
        self._last = now
        began, before = self._first or (self._began, 0)
        rate = (done - before) / max(now - began, 1e-9)
        of = f"/{self._amount(self._total)}" if self._total else ""
        left = f", {clock((self._total - done) / rate)} left" if self._total and rate > 0 else ""
        speed = f", {self._speed(rate)}" if rate > 0 else ""
        note = f"; {self._note}" if self._note else ""
        print(f"{self._what}: {self._amount(done)}{of}{speed}{left}{note}", file=sys.stderr, flush=True)

    def _amount(self, count: int) -> str:
        return f"{count / 1e6:.1f} MB" if self._unit == "B" else str(count)

    def _speed(self, rate: float) -> str:
        if self._unit == "B":
            return f"{rate / 1e6:.1f} MB/s"
        digits = f"{rate:.1f}" if rate >= 1 else f"{rate:.2g}"
        return f"{digits} {self._unit} a second".replace("  ", " ")


@contextlib.contextmanager
def _bar(what: str, total: int | None, unit: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as RichProgress

    counts: tuple[ProgressColumn, ...] = (MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    if unit == "B":
        counts = (DownloadColumn(), TransferSpeedColumn())
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=14 if unit == "B" else 40),  # a download fits 80 columns
        *counts,
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
    )
    with RichProgress(*columns, console=Console(stderr=True)) as rich:
        short = what if len(what) <= 30 else f"{what[:14]}…{what[-15:]}"
        task = rich.add_task(short, total=total, rate="", note="")

        class Bar:
            def advance(self, count: int = 1, note: str = "") -> None:
                rich.update(task, advance=count, rate=self._rate())
                if note:
                    self.note(note)

            def update(self, done: int, total: int | None = None) -> None:
                rich.update(task, completed=done, rate=self._rate())
                if total is not None:
                    rich.update(task, total=total)

            def note(self, text: str) -> None:
                rich.update(task, note=text)

            def _rate(self) -> str:
                speed = rich.tasks[0].speed
                return f"{speed:.1f} {unit}/s".replace(" /", "/") if speed else ""

        yield Bar()


def clock(seconds: float) -> str:
    """Return a length of time as h:mm:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
