"""Decode thousands of damaged photos: each must become pixels or a refusal, in flat memory and without a word.

    python benchmarks/fuzz_photos.py --files 5000

photo_mutations.py makes them; each is a function of --seed and its number.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from photo_mutations import photo, seeds


def serve(files: list[tuple[str, bytes]], seed: int, first: int, last: int) -> None:
    """Decode a range of files and print what became of each kind; anything but pixels and refusals ends it."""
    from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
    from celebahq_builder.photos import decode_photo

    for number in range(first, last):
        kind, data = photo(files, seed, number)
        print(number, flush=True)
        started = time.perf_counter()
        try:
            outcome = "decoded" if decode_photo(data).ndim == 3 else "?"
        except UnusablePhotoError as refusal:
            outcome = refusal.reason
        took = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"={kind}\t{outcome}\t{took:.3f}\t{peak}", flush=True)


def main() -> None:
    """Run the ranges in processes of bounded memory; exit with 1 when anything else than the promised came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--range", type=int, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--heic", help="a HEIC to damage as well, since nothing here writes one")
    args = parser.parse_args()
    files = seeds()
    if args.heic:
        files += [("HEIC", Path(args.heic).read_bytes())] * 4
    if args.range:
        serve(files, args.seed, *args.range)
        return

    outcomes, peaks, slowest, bad = Counter(), [], 0.0, []
    first = 0
    while first < args.files:
        last = min(first + 1000, args.files)
        command = [sys.executable, __file__, "--seed", str(args.seed), "--range", str(first), str(last)]
        command += ["--heic", args.heic] if args.heic else []
        limit = f"ulimit -v 4000000; exec {' '.join(command)}"
        done = subprocess.run(["bash", "-c", limit], capture_output=True, text=True)
        lines = done.stdout.splitlines()
        for line in lines:
            if line.startswith("="):
                kind, outcome, took, peak = line[1:].split("\t")
                outcomes[kind, outcome] += 1
                slowest = max(slowest, float(took))
                peaks.append(int(peak))
        if done.stderr:
            bad.append(f"stderr of {first} to {last}: {done.stderr.strip()[-2000:]}")
        if done.returncode:
            at = int(next(line for line in reversed(lines) if not line.startswith("=")))
            bad.append(f"file {at} of seed {args.seed}: its process ended with {done.returncode}")
            last = at + 1
        first = last
    for (kind, outcome), count in sorted(outcomes.items()):
        print(f"{kind:5} {count:>6,}  {outcome}")
    print(f"{sum(outcomes.values()):,} files, slowest {slowest:.2f} s, peak {min(peaks)} to {max(peaks)} MB a process")
    for line in bad:
        print(line)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
