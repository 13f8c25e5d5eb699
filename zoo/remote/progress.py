"""How far a download is: a bar with rate and time left on a terminal, a line every ten seconds elsewhere. No torch."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS_A_LINE = 10.0


def say(line: str) -> None:
    """Tell the user what is going on, on stderr: stdout is for results."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def download_progress(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Give a function to call with the bytes that are there and the bytes that there will be, None: not known.

    Args:
        what: name of the file; on a terminal, its middle is left out where it is long.
    """
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

        bar_column = BarColumn(bar_width=14)  # all of it fits 80 columns
        columns = ("{task.description}", bar_column, DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(what if len(what) <= 30 else f"{what[:14]}…{what[-15:]}", total=None)
            yield lambda have, total: bar.update(task, completed=have, total=total)
        return

    first: tuple[float, int] | None = None
    last = time.monotonic()

    def advance(have: int, total: int | None) -> None:
        nonlocal first, last
        now = time.monotonic()
        first = first or (now, have)
        if now - last < SECONDS_A_LINE and have != total:
            return
        last = now
        rate = (have - first[1]) / (now - first[0]) if now - first[0] > 0.1 else 0
        speed = f", {rate / 1e6:.1f} MB/s" if rate else ""
        left = f", {(total - have) / rate:.0f} s left" if total and rate and have < total else ""
        of = f" of {total / 1e6:.1f}" if total else ""
        say(f"{what}: {have / 1e6:.1f}{of} MB{speed}{left}")

    yield advance
