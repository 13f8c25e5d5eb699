"""Send thousands of malformed HDF5 files through every command: each must be read, or refused in one line.

    python benchmarks/fuzz_hdf5.py --files 2000                     # every command's function, in one process
    python benchmarks/fuzz_hdf5.py --files 200 --programs           # the programs, one each file, by turns

Ctrl-C ends it with the report so far. hdf5_mutations.py makes the files; each is a function of its number from --first
on. Exit code 1 where an exception, a warning, a raw control character, a file that was refused yet left a result, or
growing memory came out.
"""

import argparse
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from hdf5_mutations import sound_file, weird_file

ROOT = Path(__file__).resolve().parent.parent
MEMORY_KB = 8_000_000
MOST_GROWTH_MB = 150
STOPPED = "stopped before the last file"
FORMATS = ("stylegan-zip", "tfrecords", "webdataset", "imagefolder", "png-folder", "parquet", "lmdb")


def functions(file: Path, good: Path, out: Path, number: int) -> dict[str, Callable[[], object]]:
    """Return what each command runs; convert takes the formats by turns."""
    from celebahq_builder.commands.compare import CompareConfig, compare
    from celebahq_builder.commands.convert import ConvertConfig, convert
    from celebahq_builder.commands.extract import ExtractConfig, extract
    from celebahq_builder.commands.import_images import ImportConfig, import_images
    from celebahq_builder.commands.info import InfoConfig, info
    from celebahq_builder.commands.merge import MergeConfig, merge
    from celebahq_builder.commands.preview import PreviewConfig, preview
    from celebahq_builder.commands.push import PushConfig, push
    from celebahq_builder.commands.select import SelectConfig, SortConfig, select, sort
    from celebahq_builder.commands.verify import VerifyConfig, verify

    hub = {"repo": "me/faces", "license": "cc0-1.0", "photos_license": "mine", "dry_run": True}
    to, bad = FORMATS[number % len(FORMATS)], ("stop", "skip")[number % 2]
    return {
        "info": lambda: info(InfoConfig(file=file, json=number % 2 == 0)),
        "verify": lambda: verify(VerifyConfig(file=file, photos=out)),
        "preview": lambda: preview(PreviewConfig(file=file, output=out / "preview.png")),
        "extract": lambda: extract(ExtractConfig(file=file, output=out / "extract", names="source", bad=bad)),
        "compare": lambda: compare(CompareConfig(file, good)),
        "convert": lambda: convert(ConvertConfig(file=file, to=to, output=out / "convert")),
        "import": lambda: import_images(ImportConfig(sources=(file,), output=out / "import.h5", bad=bad)),
        "push": lambda: push(PushConfig(file=file, output=out / "push", **hub)),
        "select": lambda: select(SelectConfig(file=file, output=out / "select.h5", where="score >= .3", top=3)),
        "sort": lambda: sort(SortConfig(file=file, output=out / "sort.h5", by="face_index")),
        "merge": lambda: merge(MergeConfig(files=(file, good), output=out / "merge.h5", folders=True)),
        "train": lambda: open_for_training(file),
    }


def open_for_training(file: Path) -> None:
    """Read what a run reads before its first iteration: the fingerprint and a minibatch of each level."""
    import torch

    from celebahq_builder.hdf5 import open_dataset
    from train.data import RealFaces
    from train.state.run_folder import dataset_fingerprint

    with open_dataset(file) as dataset:
        dataset_fingerprint(dataset)
        if 4 in dataset.resolutions:
            data = RealFaces(dataset, torch.device("cpu"), seed=0, resident_bytes=1 << 28)
            for resolution in dataset.resolutions:
                if resolution >= 4:
                    data.batch(resolution, 0, 4)


class Listener(logging.Handler):
    """Keeps what a command says."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())


def serve(first: int, last: int) -> None:
    """Run a range of files through all functions; print a line a call."""
    from celebahq.errors import CelebAHQError

    listener = Listener()
    logging.getLogger("celebahq").addHandler(listener)
    logging.getLogger("celebahq").setLevel(logging.INFO)
    with tempfile.TemporaryDirectory() as folder:
        file, good, out = (Path(folder) / name for name in ("weird.h5", "good.h5", "out"))
        sound_file(good, np.random.default_rng(0))
        for number in range(first, last):
            kind = weird_file(file, number)
            for name, call in functions(file, good, out, number).items():
                print(f"{number} {name}", flush=True)
                out.mkdir()
                listener.told.clear()
                started, fault = time.perf_counter(), ""
                try:
                    with warnings.catch_warnings(record=True) as warned:
                        warnings.simplefilter("always", RuntimeWarning)
                        call()
                    outcome = "read"
                    fault = "".join(f"{warning.filename}: {warning.message}" for warning in warned)
                except (CelebAHQError, OSError) as refusal:
                    outcome, message = "refused", str(refusal)
                    if "\n" in message or not message.isprintable():
                        fault = f"a refusal that is no printable line: {message!r}"
                    if name in ("preview", "convert", "import") and any(
                        path.name in ("preview.png", "convert", "import.h5") for path in out.iterdir()
                    ):
                        fault = f"refused ({message}), and left {sorted(path.name for path in out.iterdir())}"
                except Exception:
                    outcome, fault = "fault", traceback.format_exc()
                if raw := [text for text in listener.told if not text.replace("\n", "").isprintable()]:
                    fault = fault or f"control characters: {raw[0]!r}"
                took = time.perf_counter() - started
                shutil.rmtree(out)
                print(f"={kind}\t{name}\t{outcome}\t{took:.3f}\t{resident_mb()}\t{fault!r}", flush=True)


def resident_mb() -> int:
    """Return the memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


def lines_until_stopped(process: subprocess.Popen, bad: list[str]) -> Iterator[str]:
    """Yield what a process says; after Ctrl-C it is ended, and `bad` says so."""
    try:
        yield from process.stdout
    except KeyboardInterrupt:
        process.kill()
        bad.append(STOPPED)


def in_one_process(first: int, last: int) -> list[str]:
    """Run the functions; a process that dies is named and replaced. Return what was wrong."""
    outcomes, memory, slowest, bad = Counter(), [], (0.0, ""), []
    while first < last:
        command = [sys.executable, __file__, "--range", str(first), str(last)]
        limit = f"ulimit -v {MEMORY_KB}; exec {' '.join(command)}"
        environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
        with subprocess.Popen(["bash", "-c", limit], stdout=subprocess.PIPE, text=True, env=environment) as process:
            at = f"{first} start"
            for line in lines_until_stopped(process, bad):
                if not line.startswith("="):
                    at = line.strip()
                    continue
                kind, name, outcome, took, resident, fault = line[1:].rstrip("\n").split("\t")
                outcomes[name, kind, outcome] += 1
                memory.append(int(resident))
                slowest = max(slowest, (float(took), at))
                if fault != "''":
                    bad.append(f"file {at}: {fault}")
        if process.returncode and STOPPED not in bad:
            bad.append(f"file {at}: its process ended with {process.returncode}")
        first = int(at.split()[0]) + 1 if process.returncode and STOPPED not in bad else last
    for name in dict.fromkeys(key[0] for key in outcomes):
        counts = [
            f"{kind}: " + ", ".join(f"{outcomes[name, kind, o]:,} {o}" for o in ("read", "refused", "fault"))
            for kind in ("structure", "header", "bytes")
        ]
        print(f"{name:<8}  {'; '.join(counts)}")
    print(f"{sum(outcomes.values()):,} calls, slowest {slowest[0]:.1f} s (file {slowest[1]})")
    early, late = max(memory[: max(9, len(memory) // 10)]), memory[-1]
    print(f"memory {early} MB after the first tenth, {late} MB at the end")
    if late - early > MOST_GROWTH_MB:
        bad.append(f"memory grew by {late - early} MB")
    return bad


def by_programs(first: int, last: int) -> list[str]:
    """Run one program a file, by turns; return what was wrong."""
    outcomes, bad = Counter(), []
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    with tempfile.TemporaryDirectory() as folder:
        file, good, out = (Path(folder) / name for name in ("weird.h5", "good.h5", "out"))
        sound_file(good, np.random.default_rng(0))
        told = ["--license", "cc0-1.0", "--photos-license", "mine", "--dry-run"]
        data = [sys.executable, "-P", "-m", "celebahq_builder.dataset"]
        train = [sys.executable, "-P", "-m", "train", "--dataset", file, "--outdir", out]
        short = "--preset smoke --resolution 8 --total-kimg 0.016 --minibatch 8 --device cpu"
        programs = {
            "info": [*data, "info", file],
            "verify": [*data, "verify", file],
            "preview": [*data, "preview", file, "--output", out / "a.png"],
            "extract": [*data, "extract", file, "--output", out / "a"],
            "compare": [*data, "compare", file, good],
            "convert": [*data, "convert", file, "--to", "stylegan-zip", "--output", out / "a.zip"],
            "import": [*data, "import", file, "--output", out / "a.h5"],
            "push": [*data, "push", file, "--repo", "me/a", "--output", out / "a", *told],
            "train": [*train, *short.split()],
        }
        for number in range(first, last):
            kind, (name, words) = weird_file(file, number), list(programs.items())[number % len(programs)]
            out.mkdir(exist_ok=True)
            limit = ["bash", "-c", f'ulimit -v {MEMORY_KB}; exec "$@"', "-", *map(str, words)]
            ended = subprocess.run(
                limit, capture_output=True, text=True, errors="replace", env=environment, timeout=300
            )
            shutil.rmtree(out)
            outcomes[name, kind, ended.returncode] += 1
            said = ended.stdout + ended.stderr
            prefix = "celebahq-train: " if name == "train" else "celebahq-data: "
            lines = [line for line in ended.stderr.splitlines() if line.startswith(prefix)]
            if ended.returncode not in (0, 1, 2) or "Traceback" in said:
                bad.append(f"file {number} {name}: exit code {ended.returncode}: {said[-2000:]}")
            elif (len(lines) == 1) != (ended.returncode == 2):
                bad.append(f"file {number} {name}: exit code {ended.returncode} with {ended.stderr[-500:]!r}")
            elif not all(c.isprintable() or c in "\n\r" for c in said):
                bad.append(f"file {number} {name}: control characters: {said[-500:]!r}")
    for (name, kind, code), count in sorted(outcomes.items()):
        print(f"{name:<8}  {kind:<9}  exit code {code}: {count}")
    print(f"{sum(outcomes.values())} programs")
    return bad


def main() -> None:
    """Run, report, exit with 1 when anything but the promised came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--programs", action="store_true", help="run the programs instead of their functions")
    parser.add_argument("--range", type=int, nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.range:
        serve(*args.range)
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    run = by_programs if args.programs else in_one_process
    bad = run(args.first, args.first + args.files)
    for line in bad:
        print(line.replace("\\n", "\n") if "Traceback" in line else line)
    print(f"{len(bad)} faults" if bad else "no fault")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
