"""Choose the best N of ten million faces: seconds and memory, on synthetic columns.

    python benchmarks/selection.py --faces 10000000 --keep 1000000
    python benchmarks/selection.py --faces 10000000 --keep 1000000 --journal --end

The columns are those that the choice reads: scores (with ties, as rounded ones have), names of photos in Arrow, hashes
of pixels (a tenth of them equal). The memory is the peak of the whole process, columns included. Exit code 1 where it
takes more than a minute or 2 GiB. With --journal a manifest of that many rows is written, then read and chosen from, in
one minute of two quiet cores, and 2 GiB; --end goes on through what the end of a build writes of all rows: 3 kB of disk
a row.
"""

import argparse
import contextlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from celebahq_builder.config import BuildConfig
from celebahq_builder.hdf5_format.row_tables import csv_path, write_row_tables
from celebahq_builder.hdf5_format.rows import write_rows
from celebahq_builder.report.build_report import write_report
from celebahq_builder.state.best_faces import Choice, choose
from celebahq_builder.state.choose_columns import BELOW_CUTOFF, DUPLICATE, Faces, choose_rows
from celebahq_builder.state.file_rows import file_rows
from celebahq_builder.state.manifest import Row, read_manifest
from celebahq_builder.state.name_order import name_order
from celebahq_builder.state.photo_changes import photo_digests
from celebahq_builder.state.row_table import RowTable

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

    _, ends, data = names.buffers()
    starts = np.frombuffer(ends, np.int32)[: count + 1]
    text, starts, faces = np.frombuffer(data, np.uint8)[: starts[-1]], starts[:-1], np.zeros(count, np.int32)

    def by_name(rows: np.ndarray, groups: np.ndarray) -> np.ndarray:
        return name_order(text, starts, faces, rows, groups)

    return Faces(np.negative(score, out=score), by_name, same)


def peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


def peak_of_stage() -> float:
    """Return the most memory since the last call, in GiB; where the kernel does not forget it, since the start."""
    found = peak_gib()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return found


def journal_lines(count: int, seed: int = 0) -> Iterator[bytes]:
    """Yield the manifest of that many photographs of one face, as a build writes it: a header, then a line each."""
    rng, at = np.random.default_rng(seed), 1 << 16
    row = Row(
        source="NAME", source_bytes=1, source_mtime_ns=10**18, status="aligned", source_sha256="SHA",
        pixel_sha256="SHA", perceptual_hash="SHA", face_sha256="SHA", width=1000, height=1000, scale=0.123456789,
        score=0.25, breadth=0.123456789, isotropy=0.123456789, padding=0.0, invented=0.0, num_judged=0,
        landmarks=((123.4567890123, 234.5678901234),) * 5, quad=((123.4567890123, 234.5678901234),) * 4,
    )  # fmt: skip
    pattern = json.dumps(asdict(row)).replace('"score": 0.25', '"score": %.7f')
    pattern = pattern.replace("NAME", "in-the-wild/%d.jpg").replace('"SHA"', '"%064x"') + "\n"
    yield b'{"resolution": 1024}\n'
    for first in range(0, count, at):
        size = min(at, count - first)
        scores, numbers = rng.random(size), rng.integers(0, 1 << 62, size)
        pixels = np.where(rng.random(size) < 0.1, rng.integers(0, 1 << 62, size) % (count // 10 + 1), numbers)
        columns = (range(first, first + size), numbers.tolist(), pixels.tolist(), scores.tolist())
        yield "".join(pattern % (i, n, p, s, n, n) for i, n, p, s in zip(*columns, strict=True)).encode()


def through_the_journal(count: int, keep: int, folder: Path | None, end: bool) -> None:
    """Write a journal, then read it and choose in a process of its own, and print what that took."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = Path(place) / "manifest.jsonl"
        with path.open("wb") as file:
            file.writelines(journal_lines(count))
        print(f"journal of {count:,} rows, {path.stat().st_size / 1e9:.1f} GB", flush=True)
        command = [sys.executable, __file__, "--read", str(path), "--keep", str(keep), *(["--end"] if end else [])]
        sys.exit(subprocess.run(command, check=False).returncode)


def through_the_end(rows: RowTable, choice: Choice, folder: Path) -> None:
    """Write what the end of a build writes of all rows: group, tables and page; print what each step took."""
    config = BuildConfig(input=folder, output=folder / "faces.h5")
    began, cpu = time.monotonic(), time.process_time()

    def tell(step: str) -> None:
        nonlocal began, cpu
        now, now_cpu = time.monotonic(), time.process_time()
        peak = peak_of_stage()
        print(f"{step}: {now - began:.1f} s ({now_cpu - cpu:.1f} CPU-s), peak {peak:.2f} GiB", flush=True)
        began, cpu = now, now_cpu

    peak_of_stage()
    found = file_rows(rows, choice, folder)
    tell("rows in slices, by name")
    digests = photo_digests(found.rows)
    tell(f"digests of photos ({digests['photos_times_sha256'][:16]})")
    with h5py.File(config.output, "w") as file:
        write_rows(file, found.rows)
    size = config.output.stat().st_size
    config.output.unlink()  # a disk need not hold all at once
    tell(f"the group rows, {size / 1e9:.2f} GB")
    write_row_tables(config.output, found.rows)
    tell(f"tables, {csv_path(config.output).stat().st_size / 1e9:.2f} GB of csv")
    write_report(folder / "report.html", config, found, choice, None, {})
    tell(f"page, {(folder / 'report.html').stat().st_size / 1e6:.0f} MB")


def read_and_choose(path: Path, keep: int, end: bool) -> None:
    """Read a journal and choose; exit code 1 where both together take more than a minute, or 2 GiB."""
    before, began, cpu = peak_gib(), time.monotonic(), time.process_time()
    _, rows = read_manifest(path)
    read, read_cpu, held = time.monotonic() - began, time.process_time() - cpu, peak_gib()
    began, cpu = time.monotonic(), time.process_time()
    choice = choose(rows, keep, "exact")
    seconds, cpu, peak = time.monotonic() - began, time.process_time() - cpu, peak_gib()
    print(f"{len(rows):,} rows read in {read:.1f} s ({read_cpu:.1f} CPU-s)")
    counts = f"{len(choice.kept):,} kept, {len(choice.duplicates):,} duplicates, {len(choice.below_cutoff):,} below"
    print(f"chosen in {seconds:.1f} s ({cpu:.1f} CPU-s): {counts}")
    print(f"peak of the process {peak:.2f} GiB; {before:.2f} before, {held:.2f} with the rows")
    print(f"memory a row: {(held - before) * (1 << 30) / len(rows):.0f} bytes; best: {choice.kept[0].source}")
    sys.stdout.flush()
    if end:
        through_the_end(rows, choice, path.parent)
    found = f"selection: reading and choosing took {read + seconds:.0f} s and {peak:.2f} GiB"
    sys.exit(0 if read + seconds <= SECONDS and peak <= GIB else f"{found}, expected {SECONDS:g} s and {GIB:g} GiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=10_000_000)
    parser.add_argument("--keep", type=int, default=1_000_000)
    parser.add_argument("--journal", action="store_true", help="from a manifest on the disk, as a resumed build")
    parser.add_argument("--folder", type=Path, help="where that is written; 1.3 kB a row")
    parser.add_argument("--end", action="store_true", help="with --journal: then through the end of the build, too")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        read_and_choose(options.read, options.keep, options.end)
    if options.journal:
        through_the_journal(options.faces, options.keep, options.folder, options.end)
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
    sys.exit(0 if seconds <= SECONDS and peak <= GIB else f"selection: more than {SECONDS:g} s or {GIB:g} GiB")


if __name__ == "__main__":
    main()
