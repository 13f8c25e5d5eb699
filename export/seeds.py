"""What the user types for grids, and the places that an interpolation through seeds goes by."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from export.sample import UsageError, latents, slerp


def parse_grid(text: str) -> tuple[int, int]:
    """Return (columns, rows) of "4x3".

    Raises:
        UsageError: it is not of this form.
    """
    match = re.fullmatch(r"\s*([1-9][0-9]{0,3})[xX×]([1-9][0-9]{0,3})\s*", text)
    if not match:
        raise UsageError(f"--grid: got {text!r}, expected columns and rows like 4x4")
    return int(match[1]), int(match[2])


@dataclass(frozen=True)
class LatentPoint:
    """A latent to generate: a seed's own, or one on the way to the next seed's."""

    seed: int
    towards: int
    """The next seed; the seed itself where step is 0."""
    step: int = 0
    steps: int = 1
    """step / steps of the way."""

    @property
    def name(self) -> str:
        """As a file is called: seed0007, or seed0007-0008-03of10."""
        if not self.step:
            return f"seed{self.seed:04d}"
        return f"seed{self.seed:04d}-{self.towards:04d}-{self.step:0{len(str(self.steps))}d}of{self.steps}"


def label_caption(label: np.ndarray) -> str:
    """Return a label (label_size,) as a caption has it: the number of a class, else its numbers with commas."""
    if np.array_equal(label, np.eye(len(label), dtype=label.dtype)[label.argmax()]):
        return str(int(label.argmax()))
    return ",".join(f"{value:.9g}" for value in label)


def interpolate(seeds: Sequence[int], between: int) -> list[LatentPoint]:
    """Return the way through all seeds with `between` places from each to the next; with 0, the seeds alone."""
    places = [
        LatentPoint(seed, towards if step else seed, step, between + 1)
        for seed, towards in pairwise(seeds)
        for step in range(between + 1)
    ]
    return [*places, LatentPoint(seeds[-1], seeds[-1], 0, between + 1)]


def interpolate_latents(places: Sequence[LatentPoint], latent_size: int, truncation: float | None = None) -> np.ndarray:
    """Return the latents of places, (n, latent_size) float32: a seed's own, bit for bit, or export.sample.slerp's."""
    start = latents([place.seed for place in places], latent_size, truncation)
    if not any(place.step for place in places):
        return start
    end = latents([place.towards for place in places], latent_size, truncation)
    fraction = np.asarray([[place.step / place.steps] for place in places])
    return np.where(fraction == 0, start, slerp(start, end, fraction))
