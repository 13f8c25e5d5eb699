"""Kill a build with SIGKILL at random moments, resume it each time, compare with an uninterrupted one, byte for byte.

    python benchmarks/kill_and_resume.py --input PHOTOS --kills 5

The moments are spread over the photos, and the last one falls into the writing of the HDF5 file. Prints how many rows
were done at each, how long the workers outlived the build, and whether every dataset of the two files is equal; exit
code 1 if not, if a kill came too late, or if a worker was still there after five seconds. Linux (it looks into /proc).
With --ray, the kill tests of kill_on_ray.py instead: a worker, a node and the build itself killed on a cluster of Ray.
"""

import functools
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import h5py
import tyro


@dataclass(frozen=True, kw_only=True)
class Options:
    """Kill a build at random moments and compare what it ends with."""

    input: Path
    """Folder of photographs."""
    kills: int = 5
    """How many times; the last while the HDF5 file is written."""
    seed: int = 0
    """Of the moments."""
    resolution: int = 1024
    workers: int = 2
    """Of the killed build; the uninterrupted one has 1."""
    restore: str = "off"
    """As of celebahq-build."""
    ray: bool = False
    """On two nodes of Ray on this machine, which lose a worker, a node and the build."""
    program: Path | None = None
    """Python file to run in place of the builder, for a kill test with other stages."""


def main() -> None:
    options = tyro.cli(Options, config=(tyro.conf.FlagCreatePairsOff,))
    if options.ray:
        on_ray(options)
    with tempfile.TemporaryDirectory(prefix="kill-and-resume-") as folder:
        whole, killed = Path(folder) / "whole.h5", Path(folder) / "killed.h5"
        began = time.monotonic()
        if subprocess.run(command(options, whole, 1), stdout=subprocess.DEVNULL).returncode:
            sys.exit("kill_and_resume: the uninterrupted build failed")
        with h5py.File(whole) as file:
            num_faces = len(file["data1x1"])
        print(f"uninterrupted, 1 worker: {time.monotonic() - began:.0f} s, {num_faces} faces")

        manifest, partial = (
            killed.with_name("killed.h5.build") / "manifest.jsonl",
            killed.with_name("killed.h5.partial"),
        )
        generator, landed, orphans = random.Random(options.seed), 0, 0
        moments = sorted(generator.randrange(num_faces) for _ in range(options.kills - 1))
        for number, wanted in enumerate([*moments, None]):
            process = subprocess.Popen(
                command(options, killed, options.workers), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            while process.poll() is None and not (partial.exists() if wanted is None else num_rows(manifest) > wanted):
                time.sleep(0.001)
            time.sleep(generator.uniform(0, 0.02 if wanted is None else 0.5))
            workers = descendants(process.pid)
            process.kill()
            landed += process.wait() == -signal.SIGKILL
            left, seconds = wait_for_the_end_of(workers)
            orphans += left
            where = "writing the HDF5 file" if wanted is None else f"{num_rows(manifest)} rows so far"
            ended = f"{len(workers) - left} of {len(workers)} workers ended within {seconds:.2f} s"
            print(f"kill {number + 1}: status {process.returncode}, {where}; {ended}", flush=True)
        subprocess.run(command(options, killed, options.workers), check=True, stdout=subprocess.DEVNULL)
        unequal = differences(whole, killed)
        print(f"datasets that differ: {', '.join(unequal) or 'none'}; {landed} of {options.kills} kills came in time")
        print(f"orphans: {orphans or 'none'}")
    sys.exit(1 if unequal or orphans or landed < options.kills else 0)


def on_ray(options: Options) -> NoReturn:
    """Compare what each kill test on Ray ends with to a local build."""
    from kill_on_ray import kill_tests

    with tempfile.TemporaryDirectory(prefix="kill-on-ray-") as folder:
        whole, unequal = Path(folder) / "whole.h5", 0
        if subprocess.run(command(options, whole, 1), stdout=subprocess.DEVNULL).returncode:
            sys.exit("kill_and_resume: the uninterrupted build failed")
        build = functools.partial(command, options, workers=2)
        found = kill_tests(lambda output, more: build(output) + more, Path(folder), num_rows, options.seed)
        for what, output, words in found:
            names = differences(whole, output) if output.exists() else ["no file"]
            unequal += bool(names)
            print(f"killed {what}: {words}; datasets that differ: {', '.join(names) or 'none'}")
    sys.exit(1 if unequal else 0)


def descendants(pid: int) -> list[int]:
    """Return the processes that a process started, and those that they started: what workers are forked from, too."""
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:  # it has ended
        return []
    return [one for child in children for one in (child, *descendants(child))]


def wait_for_the_end_of(pids: list[int], patience: float = 5.0) -> tuple[int, float]:
    """Return how many of the processes are still there after `patience` seconds, and how long it took."""
    began = time.monotonic()
    while (left := sum(map(is_running, pids))) and time.monotonic() - began < patience:
        time.sleep(0.01)
    return left, time.monotonic() - began


def is_running(pid: int) -> bool:
    """Say whether a process is there; a zombie, which only waits to be read off, is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def num_rows(manifest: Path) -> int:
    """Whole lines of a manifest, without its first, which holds the options."""
    return max(manifest.read_bytes().count(b"\n") - 1, 0) if manifest.exists() else 0


def command(options: Options, output: Path, workers: int) -> list[str]:
    words = ["--input", options.input, "--output", output, "--resolution", options.resolution, "--workers", workers]
    words += ["--restore", options.restore]
    program = ["-m", "celebahq_builder"] if options.program is None else [str(options.program)]
    return [sys.executable, *program, *map(str, words)]


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
