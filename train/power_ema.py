"""Power-law averages of the generator, and any other length from them afterwards (Karras et al., arXiv:2312.02696).

An average of power law gives the weights of time tau, of t in all, the weight (g + 1) tau^g / t^(g + 1): its length
grows with training. Two of them, kept in checkpoints, span the others: the profile of a third is the combination of
theirs that comes nearest in the least squares (section 3.2 and Appendix C of the article). Time is counted from where
the resolution came in: weights of before are those of another network.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

LENGTHS = (0.05, 0.10)
"""Standard deviations of the two averages' profiles, relative to the time trained."""
LONGEST = 0.28
"""Beyond it there is no power law: the flat profile has 12 ** -0.5."""


def exponent(length: float) -> float:
    """Return g of a profile whose standard deviation is `length` times the time trained.

    length^2 = (g + 1) / ((g + 2)^2 (g + 3)), which is a cubic in g with one root above 0.
    """
    inverse = length**-2
    roots = np.roots([1.0, 7.0, 16.0 - inverse, 12.0 - inverse])
    return float(roots[np.isreal(roots)].real.max())


class PowerAverages:
    """The two averages of a generator's active parameters, updated once an iteration.

    Args:
        current: (P,) float32, the parameters up to the resolution of the moment: a view, which training changes.
        start: images shown when the resolution came in.
    """

    def __init__(self, current: Tensor, start: int) -> None:
        self.current, self.start = current, start
        self.vectors = [current.clone() for _ in LENGTHS]
        self._exponents = [exponent(length) for length in LENGTHS]

    @torch.no_grad()
    def update(self, nimg: int, size: int) -> None:
        """Move both after an iteration of `size` images, which ended at nimg."""
        for vector, g in zip(self.vectors, self._exponents, strict=True):
            vector.lerp_(self.current, 1 - (1 - size / (nimg - self.start)) ** (g + 1))

    def state_dict(self) -> dict[str, Any]:
        """Return the state, for a checkpoint."""
        named = zip(LENGTHS, self.vectors, strict=True)
        return {"start": self.start, **{f"{length:g}": vector.cpu().clone() for length, vector in named}}

    @classmethod
    def restored(cls, state: dict[str, Any], parameters: Tensor) -> "PowerAverages":
        """Return those of a checkpoint; parameters: all of the generator's, of which the averaged ones come first."""
        saved = [state[f"{length:g}"] for length in LENGTHS]
        averages = cls(parameters[: len(saved[0])], state["start"])
        for vector, old in zip(averages.vectors, saved, strict=True):
            vector.copy_(old)
        return averages


@dataclass(frozen=True)
class Profile:
    """What a power-law average weighs: everything up to a time, by a power of the time. time in images, from 1."""

    time: float
    g: float

    def product(self, other: "Profile") -> float:
        """Return the integral of both profiles' product."""
        powers = self.g + other.g + 1
        shorter = min(self.time, other.time)
        # as powers of quotients below 1: the times alone would overflow
        quotients = (shorter / self.time) ** (self.g + 1) * (shorter / other.time) ** (other.g + 1)
        return (self.g + 1) * (other.g + 1) / powers * quotients / shorter


def combination(known: list[Profile], wanted: Profile) -> tuple[np.ndarray, float]:
    """Return the weights, whose sum is 1, of the known profiles that come nearest to the wanted one, and how far off.

    Returns:
        (K,) float64, and the distance as a share of the wanted profile's norm, 0 for the same one.
    """
    count = len(known)
    system = np.zeros((count + 1, count + 1))
    system[:count, :count] = [[a.product(b) for b in known] for a in known]
    system[count, :count] = system[:count, count] = 1.0  # the sum: a multiplier
    scale = np.trace(system) / count
    system[:count, :count] /= scale
    right = np.append(np.array([a.product(wanted) for a in known]) / scale, 1.0)
    weights = np.linalg.lstsq(system, right, rcond=1e-12)[0][:count]
    gram = np.array([[a.product(b) for b in known] for a in known])
    cross = np.array([a.product(wanted) for a in known])
    norm = wanted.product(wanted)
    missed = max(weights @ gram @ weights - 2 * weights @ cross + norm, 0.0)
    return weights, float(np.sqrt(missed / norm))
