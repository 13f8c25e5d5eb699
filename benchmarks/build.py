"""python benchmarks/build.py PHOTOS --against CHECKOUT [--every N] [--set NAME=VALUE ...]: CPU, before and after.

CHECKOUT is another state of this repository, `git worktree add ../before COMMIT` say. One process of each takes the
same photo in turn, as the workers of a build do, in one thread, so that whatever else the machine does falls on both.
Printed are the CPU of both, their ratio, and in how many photos they made the same faces, pixel for pixel, and the
same rows (landmarks, score, perceptual hash).

    python benchmarks/build.py PHOTOS --against CHECKOUT --commands 3    # whole commands in turn, user and system CPU
    python benchmarks/build.py PHOTOS --scaling                          # one worker against two, on a quiet machine

A whole command is everything: start, imports, photos, faces on the disk, the HDF5 file, the report.
"""

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
WORKER = """
import hashlib, json, sys, time
from pathlib import Path
from celebahq_builder.config import BuildConfig
try:
    from celebahq_builder.process_photo import Task, process_photo
    from celebahq_builder.sources.listing import file_stamp
except ImportError:  # before the packages were rearranged
    from celebahq_builder.photo_folder import file_stamp
    from celebahq_builder.render_photo import Task, render_photo as process_photo
try:
    from celebahq_builder.state.waiting_faces import decode_face
except ImportError:
    try:
        from celebahq_builder.state.build_folder import decode_face
    except ImportError:
        from celebahq_builder.build_folder import decode_face
folder, options = Path(sys.argv[1]), json.loads(sys.argv[2])
config = BuildConfig(input=folder, **({"device": "cpu", "restore": "fast"} | options))
for line in sys.stdin:
    name = line.rstrip("\\n")
    data, stamp = (folder / name).read_bytes(), file_stamp(folder, name)
    began = time.process_time()
    result = process_photo(Task(name, config, None), stamp, data)
    cpu = time.process_time() - began
    faces = {index: hashlib.sha256(decode_face(face).tobytes()).hexdigest() for index, face in result.faces.items()}
    rows = [(row.status, row.reason, row.landmarks, row.score, row.perceptual_hash) for row in result.rows]
    print(json.dumps({"cpu": cpu, "faces": faces, "rows": rows}), flush=True)
"""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def start(checkout: Path, photos: Path, options: dict[str, object]) -> subprocess.Popen[str]:
    """Start a process that works on the photos that it is told, with the program of a checkout."""
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(photos.resolve()), json.dumps(options)],
        cwd=checkout,
        env=os.environ | ONE_THREAD | {"PYTHONPATH": str(checkout.resolve())},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def answer(worker: subprocess.Popen[str], name: str) -> dict:
    """Have one photo processed."""
    assert worker.stdin and worker.stdout
    worker.stdin.write(f"{name}\n")
    worker.stdin.flush()
    return json.loads(worker.stdout.readline())


def value_of(text: str) -> object:
    """What an option on the command line means: a number where it is one."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--against", type=Path, help="the other checkout")
    parser.add_argument("--every", type=int, default=1, help="take every Nth photo, by name")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="NAME=VALUE", help="options of BuildConfig, on both sides"
    )
    parser.add_argument("--commands", type=int, default=0, metavar="TIMES", help="whole commands, so many times each")
    parser.add_argument("--scaling", action="store_true", help="one worker against two, wall and CPU")
    options = parser.parse_args()
    if options.against is None and not options.scaling:
        parser.error("--against or --scaling: got neither, expected one")
    shared = {name: value_of(text) for name, _, text in (pair.partition("=") for pair in options.set)}
    names = sorted(path.name for path in options.photos.iterdir() if path.is_file())[:: options.every]
    if options.scaling:
        scaling(options.photos, names, shared)
    elif options.commands:
        commands(options.photos, names, shared, options.against, options.commands)
    else:
        photo_by_photo(options.photos, names, shared, options.against)


def photo_by_photo(photos: Path, names: list[str], shared: dict[str, object], against: Path) -> None:
    """Compare what workers do."""
    workers = [start(path, photos, shared) for path in (against, ROOT)]
    for worker in workers:  # what is loaded once is nobody's time
        answer(worker, names[0])
    cpu, same_faces, same_rows, faces = [], 0, 0, 0
    for turn, name in enumerate(names):
        order = (0, 1) if turn % 2 else (1, 0)
        results = {which: answer(workers[which], name) for which in order}
        cpu.append((results[0]["cpu"], results[1]["cpu"]))
        same_faces += results[0]["faces"] == results[1]["faces"]
        same_rows += results[0]["rows"] == results[1]["rows"]
        faces += len(results[1]["faces"])
    for worker in workers:
        worker.communicate()
    before, after = np.array(cpu).T
    print(f"{len(names)} photos, {faces} faces: {before.sum():.1f} CPU-s before, {after.sum():.1f} after, ", end="")
    print(f"{after.sum() / before.sum():.3f} of it; by the median photo {np.median(after / before):.3f}")
    print(f"same faces in {same_faces}, same rows in {same_rows} of {len(names)} photos")


def commands(photos: Path, names: list[str], shared: dict[str, object], against: Path, times: int) -> None:
    """Compare whole commands with one worker: user and system CPU of the command and of its worker."""
    import h5py

    with tempfile.TemporaryDirectory() as folder:
        root = linked(photos, names, Path(folder))
        used: dict[Path, list[float]] = {against: [], ROOT: []}
        digests: dict[Path, str] = {}
        for turn in range(times):
            for checkout in (against, ROOT) if turn % 2 else (ROOT, against):
                output = Path(folder) / "out" / "faces.h5"
                used[checkout].append(whole_command(checkout, root, output, shared, 1)[1])
                with h5py.File(output) as file:
                    data = file[f"data{shared.get('resolution', 1024)}x{shared.get('resolution', 1024)}"][()]
                # The order may differ, for scores do.
                faces = sorted(hashlib.sha256(face.tobytes()).hexdigest() for face in data)
                digests[checkout] = hashlib.sha256("".join(faces).encode()).hexdigest()
    before, after = (np.array(used[checkout]) for checkout in (against, ROOT))
    print(f"{len(names)} photos, {len(data)} faces, whole commands, CPU-s before {before.round(1).tolist()}, ", end="")
    print(f"after {after.round(1).tolist()}: {after.sum() / before.sum():.3f} of it; ", end="")
    print("the same faces" if digests[against] == digests[ROOT] else "other faces")


def scaling(photos: Path, names: list[str], shared: dict[str, object]) -> None:
    """Print how many times as fast two workers are as one; the machine must have nothing else to do."""
    with tempfile.TemporaryDirectory() as folder:
        root = linked(photos, names, Path(folder))
        seconds: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
        for workers in (1, 2, 2, 1):
            seconds[workers].append(whole_command(ROOT, root, Path(folder) / "out" / "faces.h5", shared, workers))
            print("{} workers: {:.1f} s, {:.1f} CPU-s".format(workers, *seconds[workers][-1]), flush=True)
    one, two = (np.min(seconds[workers], axis=0) for workers in (1, 2))
    print(f"{len(names)} photos: {one[0]:.1f} s with one worker, {two[0]:.1f} with two, ", end="")
    print(f"{one[0] / two[0]:.2f} times as fast, {two[1] / one[1]:.2f} times the CPU")


def linked(photos: Path, names: list[str], folder: Path) -> Path:
    """A folder with these photos alone."""
    root = folder / "photos"
    root.mkdir()
    for name in names:
        (root / name).symlink_to((photos / name).resolve())
    return root


def whole_command(
    checkout: Path, photos: Path, output: Path, shared: dict[str, object], workers: int
) -> tuple[float, float]:
    """Run celebahq-build anew; return its seconds, and its CPU seconds."""
    output.parent.mkdir(exist_ok=True)
    for path in output.parent.iterdir():
        path.unlink()
    options = {"device": "cpu", "restore": "fast", **shared, "input": photos, "output": output, "workers": workers}
    words = [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "celebahq_builder", *words],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout.resolve())},
        check=True,
        capture_output=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
