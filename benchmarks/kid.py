"""python benchmarks/kid.py: CPU time of KID's subsets against the same formula as torch-fidelity computes it, in turns.

Features are drawn as Inception's lie: not negative, most of them small. Theirs is written out after the published
formula (Binkowski et al. 2018) in numpy and float32, as torch-fidelity 0.4 has it: three products of matrices, a power,
sums without the diagonal. Both draw their subsets first, and both are given the same number of threads.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a clone, too

from train.metrics.kid import kid

DIMENSIONS = 2048


def main() -> None:
    """Print a line a turn, then the least of each and the ratio: others use the machine, too."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5000, help="features a set")
    parser.add_argument("--subsets", type=int, default=10, help="of 1,000, a turn")
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    reals, fakes = (
        np.maximum(random.normal(shift, 0.4, (options.images, DIMENSIONS)), 0).astype(np.float32)
        for shift in (0.2, 0.22)
    )
    print(f"{options.images} features a set, {os.environ.get('OMP_NUM_THREADS', 'all')} threads")
    taken: dict[str, list[float]] = {"ours": [], "theirs": []}
    for turn in range(options.turns):
        for name, computation in {"ours": ours, "theirs": theirs}.items():
            seconds, value = timed(computation, reals, fakes, options.subsets)
            taken[name].append(seconds / options.subsets)
            print(f"turn {turn}  {name:6} {1e3 * taken[name][-1]:6.1f} CPU-ms a subset  {value:.8f}", flush=True)
    least, other = (min(taken[name]) for name in taken)
    print(f"ours {1e3 * least:.1f}, theirs {1e3 * other:.1f} CPU-ms a subset: {least / other:.2f} times")


def timed(computation: Callable[..., float], *arguments: object) -> tuple[float, float]:
    """Return the CPU seconds of this process that a computation took, and its value."""
    start = time.process_time()
    value = computation(*arguments)
    return time.process_time() - start, value


def ours(reals: np.ndarray, fakes: np.ndarray, subsets: int) -> float:
    """As --metrics kid computes it."""
    return kid(reals, fakes, subsets=subsets)[0]


def theirs(reals: np.ndarray, fakes: np.ndarray, subsets: int) -> float:
    """The formula, product by product."""
    random = np.random.RandomState(0)
    values = []
    for _ in range(subsets):
        x = reals[random.choice(len(reals), 1000, replace=False)]
        y = fakes[random.choice(len(fakes), 1000, replace=False)]
        xx, yy, xy = ((np.matmul(a, b.T) / DIMENSIONS + 1.0) ** 3 for a, b in ((x, x), (y, y), (x, y)))
        within = sum((table.sum() - np.diagonal(table).sum()) / (1000 * 999) for table in (xx, yy))
        values.append(within - 2 * xy.sum() / 1000**2)
    return float(np.mean(values))


if __name__ == "__main__":
    main()
