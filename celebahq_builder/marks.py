"""Marks: what a person may hold against a face, one word each; --refuse names those that keep a face out.

The thresholds were chosen on one half of real photographs and of copies that were worsened by known amounts;
benchmarks/marks.py prints what they come to on the other half, and docs/measurements.md has the numbers.
"""

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from celebahq_builder.mark_measures import MarkMeasures

Mark = Literal["blurred", "motion", "dark", "bright", "noisy", "blocks", "screen", "posterized", "dithered", "gray"]
MARKS: tuple[Mark, ...] = get_args(Mark)
MARKS_VERSION = 2
"""Changes with what is measured and with the thresholds: marks of another version are not known."""
UNMEASURED = "unmeasured"
"""Stands for the marks of a face that another version made: --refuse has its photo looked at again."""
UNMEASURABLE = "unmeasurable"
"""Stands for those of a face that has fewer than some hundred pixels in its photo."""

_SMALL_SIDE = 256  # the blur that counts as such grows beyond


def blur_limit(side: float) -> float:
    """Return the blur from which a face of so many pixels a side is blurred, in these pixels.

    A small face loses its eyes to a blur that nobody sees in a large one.
    """
    return 1.3 * max(1.0, side / _SMALL_SIDE) ** 0.4


_HOLDS: dict[Mark, Callable[["MarkMeasures"], bool]] = {
    "blurred": lambda m: m.blur >= blur_limit(m.side),
    # A trail spreads a point by its length / sqrt(12).
    "motion": lambda m: m.motion > 0 and m.motion >= math.sqrt(12) * blur_limit(m.side),
    # By the brightest parts: the darkness of a skin is not that of a photograph.
    "dark": lambda m: m.high < 90,
    "bright": lambda m: m.white >= 0.08,
    "noisy": lambda m: m.noise >= 3.3 and m.screen < 2.2,
    "blocks": lambda m: m.blocks >= 1.5,
    # Motion blur has zeros, between which its spectrum stands out a little.
    "screen": lambda m: m.screen >= (3.2 if m.motion else 2.2),
    "posterized": lambda m: m.fill < 0.55,
    "dithered": lambda m: m.extremes >= 0.85 and m.low <= 24 and m.high >= 231,
    "gray": lambda m: m.colors < 0.13 * m.high,
}


def marks_text(measures: "MarkMeasures | None") -> str:
    """Return what a row says: its marks, separated by spaces."""
    return UNMEASURABLE if measures is None else " ".join(evaluate_marks(measures))


def evaluate_marks(measures: "MarkMeasures") -> tuple[Mark, ...]:
    """Return the marks that numbers come to, in the order of MARKS."""
    found = {mark for mark in MARKS if _HOLDS[mark](measures)}
    if "dithered" in found:  # two levels are posterized and noisy, and say nothing of blocks
        found -= {"posterized", "noisy", "blocks", "bright"}
    if "posterized" in found:  # its steps are no noise
        found -= {"noisy"}
    return tuple(mark for mark in MARKS if mark in found)


def refusing_mark(marks: str, refuse: Iterable[str]) -> str:
    """Return the first of a row's marks that --refuse names; empty where it names none."""
    named = set(refuse)
    return next((mark for mark in marks.split() if mark in named), "")
