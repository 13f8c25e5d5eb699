"""What the user types for seeds and grids: 0-3,8 and 4x4."""

import math
import re

from export.config import UsageError

MAX_SEED = 2**32 - 1
"""The largest that numpy.random.RandomState takes."""
MAX_IMAGES = 1_000_000


def parse_seeds(text: str) -> list[int]:
    """Return the seeds of "7", "0-15" (both ends count) or "0-3,8,100-103", in the order given.

    Raises:
        UsageError: it is not of this form, a seed comes twice or is too large.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,10})(?:-([0-9]{1,10}))?\s*", part)
        if not match:
            raise UsageError(f"--seeds: {text!r}, seeds like 7, 0-15 or 0-3,8 are wanted")
        first, last = int(match[1]), int(match[2] or match[1])
        if first > last:
            raise UsageError(f"--seeds: {part.strip()} runs backwards, {last}-{first} is wanted")
        if last > MAX_SEED:
            raise UsageError(f"--seeds: {last}, at most {MAX_SEED} is wanted")
        if len(seeds) + last - first >= MAX_IMAGES:
            raise UsageError(f"--seeds: {text!r} is more than {MAX_IMAGES:,} images, fewer a command are wanted")
        seeds += range(first, last + 1)
    if len(set(seeds)) < len(seeds):
        twice = next(seed for i, seed in enumerate(seeds) if seed in seeds[:i])
        raise UsageError(f"--seeds: {twice} comes twice, each seed once is wanted")
    return seeds


def parse_grid(text: str) -> tuple[int, int]:
    """Return (columns, rows) of "4x3".

    Raises:
        UsageError: it is not of this form.
    """
    match = re.fullmatch(r"\s*([1-9][0-9]{0,3})[xX×]([1-9][0-9]{0,3})\s*", text)
    if not match:
        raise UsageError(f"--grid: {text!r}, columns and rows like 4x4 are wanted")
    return int(match[1]), int(match[2])


def squarest_grid(count: int) -> tuple[int, int]:
    """Return the (columns, rows) of a full grid of count places that is nearest to a square, wider than high."""
    rows = next(rows for rows in range(math.isqrt(count), 0, -1) if count % rows == 0)
    return count // rows, rows
