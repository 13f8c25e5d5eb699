"""python benchmarks/near_duplicates.py [celeba128-0.zip ...]: CPU time of the search for near hashes by their number.

Hashes of the faces in zips, or drawn ones. Each is looked for and then added, as a build does: once with every hash
looked up, once with each compared with all. Both must find the same; HashIndex changes from one to the other at
FEWEST_TO_LOOK_UP.
"""

import io
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a clone, too

from celebahq_builder.hash_index import HashIndex
from celebahq_builder.perceptual_hash import perceptual_hash


def hashes_of(zips: list[str]) -> list[str]:
    if not zips:
        rng = np.random.default_rng(0)
        return [rng.bytes(32).hex() for _ in range(20_000)]
    found = []
    for path in zips:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith((".webp", ".png", ".jpg")):
                    found.append(perceptual_hash(np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB"))))
    return found


def pairs(hashes: list[str], fewest_to_look_up: int) -> int:
    index, found = HashIndex(fewest_to_look_up), 0
    for i, digits in enumerate(hashes):
        found += len(index.near(digits))
        index.add(("", i), digits)
    return found


def main() -> None:
    hashes = hashes_of(sys.argv[1:])
    first: dict[str, float] = {}
    for number in (len(hashes) // 4, len(hashes)):
        line, counts = f"{number:>6}", set()
        for name, fewest in (("looked up", 1), ("compared with all", len(hashes) + 1)):
            start = time.process_time()
            counts.add(pairs(hashes[:number], fewest))
            took = time.process_time() - start
            line += f"   {name} {took:6.2f} s ({took / first.setdefault(name, took):.1f}x)"
        if len(counts) != 1:
            sys.exit(f"{number}: the two found {counts} pairs")
        print(f"{line}   {counts.pop()} near pairs")


if __name__ == "__main__":
    main()
