"""What training on a dataset will take on this machine: one rough figure, said before somebody waits for years."""

import functools
import time
from pathlib import Path

from celebahq.device import cpu_cores

# Billion floating-point operations one training iteration takes an image, the paper's networks, by torch's counter.
_GFLOP = {4: 1.5, 8: 12.4, 16: 55.9, 32: 230, 64: 491, 128: 752, 256: 1013, 512: 1274, 1024: 1536}
_PHASE_KIMG = 800  # the paper: each resolution fades in for 800 thousand images and is held for as many
_LAST_PHASES = 2  # more of them at the end
_SHARE = 0.6  # of a matrix product's speed; python -m train.benchmark measures the rest
_SIDE = 1024


def training_gflop(resolution: int) -> float:
    """Return the billion operations of `python -m train` up to a resolution, with the paper's preset."""
    sides = [r for r in _GFLOP if r <= resolution]
    kimg = dict.fromkeys(sides, 2.0 * _PHASE_KIMG)
    kimg[sides[0]] = _PHASE_KIMG  # nothing fades into the first
    kimg[sides[-1]] += _LAST_PHASES * _PHASE_KIMG
    return sum(1000 * kimg[r] * _GFLOP[r] for r in sides)


@functools.cache  # a tenth of a second, at the end of every build of a process
def cpu_gflops() -> float:
    """Return how many billion operations a second a matrix product reaches on this machine's CPU, with all cores."""
    import numpy as np

    a = np.ones((_SIDE, _SIDE), np.float32)
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        np.matmul(a, a)
        best = min(best, time.perf_counter() - began)
    return 2 * _SIDE**3 / best / 1e9


def training_estimate(resolution: int) -> tuple[str, bool]:
    """Return in words what training takes here, and whether that is more than anybody waits for."""
    if _has_gpu():
        return "days to weeks on one GPU at 1024x1024, less below; python -m train.benchmark measures it", False
    seconds = training_gflop(resolution) / (cpu_gflops() * _SHARE)
    cores = cpu_cores()
    words = f"about {_duration(seconds)} without a GPU ({cores} CPU cores, estimated)"
    return words, seconds > 30 * 86400


def _has_gpu() -> bool:
    """Without loading torch for it, which takes seconds."""
    return Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists()


def _duration(seconds: float) -> str:
    for unit, length in (("years", 365.25 * 86400), ("months", 30.4 * 86400), ("days", 86400), ("hours", 3600)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:,.0f} {unit}"
    return "an hour"
