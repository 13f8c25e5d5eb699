"""Choose the best N of ten million faces: seconds and memory, on synthetic columns.

    python benchmarks/selection.py --faces 10000000 --keep 1000000

The columns are those that the choice reads: scores (with ties, as rounded ones have), names of photos in Arrow, hashes
of pixels (a tenth of them equal). The memory is the peak of the whole process, columns included. Exit code 1 where it
takes more than a minute or 2 GiB. What the rows of a build at work take as Python objects is measured on a few.
"""

import argparse
import resource
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from celebahq_builder.state.choose_columns import BELOW_CUTOFF, DUPLICATE, Faces, choose_rows
from celebahq_builder.state.manifest import Row, read_manifest, write_manifest

GIB, SECONDS = 2.0, 60.0


def synthetic(count: int, seed: int = 0) -> Faces:
    """Return columns of that many faces: 16 bytes of name each, 16 of pixels, 8 of score."""
    rng = np.random.default_rng(seed)
    score = np.round(rng.random(count), 7)
    same = rng.integers(0, 2**63, (count, 2), np.uint64)
    equal = rng.integers(0, count, count // 10)
    same[equal] = same[rng.permutation(equal)]
    numbers = pa.array(rng.permutation(count).astype(np.int32)).cast(pa.string())
    names = pc.binary_join_element_wise("in-the-wild/", numbers, ".jpg", "")

    def called(rows: np.ndarray) -> list[tuple[str, int]]:
        return [(name, 0) for name in names.take(pa.array(rows)).to_pylist()]

    return Faces(np.negative(score, out=score), called, same)


def peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


def bytes_a_row(count: int = 20_000) -> float:
    """Return what a row read from a manifest takes, measured."""
    with tempfile.TemporaryDirectory() as folder:
        path, rng = Path(folder) / "manifest.jsonl", np.random.default_rng(0)
        rows = (
            Row(
                source=f"in-the-wild/{i}.jpg", source_bytes=i, source_mtime_ns=10**18 + i, status="aligned",
                source_sha256=f"{i:064x}", pixel_sha256=f"{i + 1:064x}", perceptual_hash=f"{i + 2:064x}",
                face_sha256=f"{i + 3:064x}", width=1000, height=1000, scale=rng.random(), score=rng.random(),
                breadth=rng.random(), isotropy=rng.random(), padding=rng.random(), invented=rng.random(),
                landmarks=tuple(map(tuple, rng.random((5, 2)).tolist())),
                quad=tuple(map(tuple, rng.random((4, 2)).tolist())), num_judged=1,
            )
            for i in range(count)
        )  # fmt: skip
        write_manifest(path, {"resolution": 1024}, rows)
        tracemalloc.start()
        _, read = read_manifest(path)
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    return size / len(read)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=10_000_000)
    parser.add_argument("--keep", type=int, default=1_000_000)
    options = parser.parse_args()
    before, began = peak_gib(), time.monotonic()
    faces = synthetic(options.faces)
    made, columns = time.monotonic() - began, peak_gib()
    began, cpu = time.monotonic(), time.process_time()
    outcomes = choose_rows(faces, options.keep, "exact")
    seconds, cpu, peak = time.monotonic() - began, time.process_time() - cpu, peak_gib()
    kept, duplicates = len(outcomes.kept), int((outcomes.outcome == DUPLICATE).sum())
    print(
        f"{options.faces:,} faces: {kept:,} kept, {duplicates:,} duplicates of them, "
        f"{int((outcomes.outcome == BELOW_CUTOFF).sum()):,} not among the best"
    )
    print(f"chosen in {seconds:.1f} s ({cpu:.1f} CPU-s); columns made in {made:.1f} s")
    print(f"peak of the process {peak:.2f} GiB; {before:.2f} before the columns, {columns:.2f} with them")
    print(f"a row of a build at work, as a Python object: {bytes_a_row():,.0f} bytes")
    sys.exit(0 if seconds <= SECONDS and peak <= GIB else f"selection: more than {SECONDS:g} s or {GIB:g} GiB")


if __name__ == "__main__":
    main()
