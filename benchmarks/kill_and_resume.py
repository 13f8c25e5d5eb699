"""Kill a build with SIGKILL at random moments, resume it each time, compare with an uninterrupted one, byte for byte.

    python benchmarks/kill_and_resume.py --input PHOTOS --kills 5

Prints the moments, how many photos were done at each, and whether every dataset of the two files is equal.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import h5py
import tyro


@dataclass(frozen=True, kw_only=True)
class Options:
    """Kill a build at random moments and compare what it ends with."""

    input: Path
    """Folder of photographs."""
    kills: int = 5
    """How many times."""
    seed: int = 0
    """Of the moments."""
    resolution: int = 1024
    workers: int = 2
    """Of the killed build; the uninterrupted one has 1."""


def main() -> None:
    options = tyro.cli(Options)
    with tempfile.TemporaryDirectory(prefix="kill-and-resume-") as folder:
        whole, killed = Path(folder) / "whole.h5", Path(folder) / "killed.h5"
        began = time.monotonic()
        subprocess.run(command(options, whole, 1), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds = time.monotonic() - began
        print(f"uninterrupted, 1 worker: {seconds:.0f} s")

        # The moments share the time of one build among them, so that each run gets further than the one before.
        generator = random.Random(options.seed)
        for number in range(options.kills):
            patience = generator.uniform(0.1, 1.2) * seconds / options.workers / (options.kills + 1)
            process = subprocess.Popen(
                command(options, killed, options.workers), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
            status = process.wait()
            manifest = killed.with_name("killed.h5.build") / "manifest.jsonl"
            lines = manifest.read_bytes().splitlines()[1:] if manifest.exists() else []
            print(f"kill {number + 1} after {patience:5.1f} s: status {status}, {len(lines)} rows so far", flush=True)
        subprocess.run(command(options, killed, options.workers), check=True, stdout=subprocess.DEVNULL)
        unequal = differences(whole, killed)
        print(f"datasets that differ: {', '.join(unequal) or 'none'}")
    sys.exit(1 if unequal else 0)


def command(options: Options, output: Path, workers: int) -> list[str]:
    words = ["--input", options.input, "--output", output, "--resolution", options.resolution, "--workers", workers]
    return [sys.executable, "-m", "celebahq_builder", *map(str, words)]


def differences(a: Path, b: Path) -> list[str]:
    """Return the names of the datasets of two files that are not equal, byte for byte."""
    with h5py.File(a) as one, h5py.File(b) as other:
        names: set[str] = set()
        for file in (one, other):
            file.visititems(lambda name, item: names.add(name) if isinstance(item, h5py.Dataset) else None)
        return sorted(n for n in names if n not in one or n not in other or not equal(one[n], other[n]))


def equal(a: h5py.Dataset, b: h5py.Dataset) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return all(
        a[i : i + 64].tolist() == b[i : i + 64].tolist()
        if a.dtype.kind == "O"
        else a[i : i + 64].tobytes() == b[i : i + 64].tobytes()
        for i in range(0, len(a), 64)
    )


if __name__ == "__main__":
    main()
