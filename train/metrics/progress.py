"""How far a measurement is: a bar with rate and time left on a terminal, a line every ten seconds elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SECONDS_A_LINE = 10.0


@contextmanager
def progress(what: str, total: int, unit: str = "faces") -> Iterator[Callable[[int], None]]:
    """Give a function to call with how many more are done; all goes to stderr. total 0: not known."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(what, total=total or None)
            yield lambda more: bar.advance(task, more)
        return

    done, began, last = 0, time.monotonic(), time.monotonic()

    def advance(more: int) -> None:
        nonlocal done, last
        done, now = done + more, time.monotonic()
        if now - last >= _SECONDS_A_LINE:
            last, rate = now, done / (now - began)
            left = f" of {total}, {(total - done) / rate / 60:.1f} minutes left" if total else ""
            print(f"{what}: {done}{left}, {rate:.3g} {unit} a second", file=sys.stderr, flush=True)

    yield advance
