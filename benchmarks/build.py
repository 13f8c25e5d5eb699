"""python benchmarks/build.py PHOTOS --against CHECKOUT [--every N] [--set NAME=VALUE ...]: CPU, before and after.

CHECKOUT is another state of this repository, `git worktree add ../before COMMIT` say. One process of each takes the
same photo in turn, as the workers of a build do, in one thread, so that whatever else the machine does falls on both.
Printed are the CPU of both, their ratio, and in how many photos they made the same faces, byte for byte, and the same
rows (landmarks, score, perceptual hash).
"""

import argparse
import json
import os
import subprocess
import sys
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
folder, options = Path(sys.argv[1]), json.loads(sys.argv[2])
config = BuildConfig(input=folder, **({"device": "cpu", "restore": "fast"} | options))
for line in sys.stdin:
    name = line.rstrip("\\n")
    data, stamp = (folder / name).read_bytes(), file_stamp(folder, name)
    began = time.process_time()
    result = process_photo(Task(name, config, None), stamp, data)
    cpu = time.process_time() - began
    faces = {index: hashlib.sha256(face).hexdigest() for index, face in result.faces.items()}
    rows = [(row.status, row.reason, row.landmarks, row.score, row.perceptual_hash) for row in result.rows]
    print(json.dumps({"cpu": cpu, "faces": faces, "rows": rows}), flush=True)
"""


def start(checkout: Path, photos: Path, options: dict[str, object]) -> subprocess.Popen[str]:
    """Start a process that works on the photos that it is told, with the program of a checkout."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(photos.resolve()), json.dumps(options)],
        cwd=checkout,
        env=os.environ | threads | {"PYTHONPATH": str(checkout.resolve())},
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--against", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="NAME=VALUE", help="options of BuildConfig, on both sides"
    )
    options = parser.parse_args()
    shared = {name: value_of(text) for name, _, text in (pair.partition("=") for pair in options.set)}
    workers = [start(path, options.photos, shared) for path in (options.against, ROOT)]
    names = sorted(path.name for path in options.photos.iterdir() if path.is_file())[:: options.every]
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
    print(f"{before.sum() / after.sum():.3f} times as fast; by the median photo {np.median(before / after):.3f} times")
    print(f"same faces in {same_faces}, same rows in {same_rows} of {len(names)} photos")


if __name__ == "__main__":
    main()
