"""python benchmarks/formats.py FACES [--count 2000] [--repeats 3]: what every format costs, in and out.

The first images of a folder or zip become a dataset; that is converted to each format, and what comes out is imported
again, beside a plain h5py loop that copies the same file image by image, level by level. All take turns in one process;
each figure is the smallest CPU time of the repeats, and every import must equal the file it came from.
"""

import argparse
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a clone, too

from celebahq_builder.commands.convert import ConvertConfig, convert
from celebahq_builder.commands.import_images import ImportConfig, import_images
from celebahq_builder.hdf5 import open_dataset

FORMATS = ("stylegan-zip", "tfrecords", "webdataset", "imagefolder", "png-folder", "parquet", "lmdb")


def copy_plainly(source: Path, output: Path) -> None:
    """Copy a dataset as anybody would: image by image, level by level."""
    with h5py.File(source) as given, h5py.File(output, "w") as made:
        levels = [name for name in given if name.startswith("data")]
        for name in levels:
            made.create_dataset(name, given[name].shape, np.uint8, chunks=(1, *given[name].shape[1:]))
        for i in range(len(given[levels[0]])):
            for name in levels:
                made[name][i] = given[name][i]


def same_pixels(path: Path, other: Path) -> bool:
    with open_dataset(path) as one, open_dataset(other) as two:
        r, rows = one.resolution, range(len(one))
        return len(one) == len(two) and np.array_equal(one.read(r, rows), two.read(r, rows))


def cpu_seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def measure(first: Path, folder: Path, count: int, repeats: int) -> dict[str, float]:
    """Return the smallest CPU seconds of each kind of work on the same images."""
    faces, again, best = folder / "faces.h5", folder / "again.h5", dict[str, float]()
    import_images(ImportConfig(sources=(first,), output=faces, limit=count))

    def took(name: str, work: Callable[[], object]) -> None:
        best[name] = min(best.get(name, np.inf), cpu_seconds(work))

    for _ in range(repeats):
        took("h5py, plain copy", lambda: copy_plainly(faces, folder / "plain.h5"))
        took("import images", lambda: import_images(ImportConfig(sources=(first,), output=again, limit=count)))
        again.unlink()
        took("import h5", lambda: import_images(ImportConfig(sources=(faces,), output=again)))
        for name in FORMATS:
            made = folder / (f"{name}.zip" if name == "stylegan-zip" else name)
            again.unlink()
            took(f"convert {name}", lambda made=made, name=name: convert(ConvertConfig(faces, name, made)))
            took(f"import {name}", lambda made=made: import_images(ImportConfig(sources=(made,), output=again)))
            if not same_pixels(faces, again):
                raise SystemExit(f"{name}: what was imported differs from what was converted")
            shutil.rmtree(made) if made.is_dir() else made.unlink()
        again.unlink()
        (folder / "plain.h5").unlink()
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    logging.getLogger("celebahq").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        best = measure(options.images, Path(folder), options.count, options.repeats)
    plain = best["h5py, plain copy"]
    print(f"{'':22}  images a CPU second   times a plain copy")
    for name, seconds in best.items():
        print(f"{name:22}  {options.count / seconds:12,.0f}  {seconds / plain:18.2f}")


if __name__ == "__main__":
    main()
