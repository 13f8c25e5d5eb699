"""Builds of real photographs that change at random, killed meanwhile: each must end as one build from scratch.

    python benchmarks/rebuild_sequences.py PHOTOS --sequences 20

A sequence builds from some of the photographs, with dlib. Then it goes on, a step at a time: photos are added, removed,
replaced or touched; --keep, --dedupe, thresholds, --refuse, --exclude, --include, --labels, --shards, --compression
change. Each step's command is ended with SIGKILL at random moments before it may finish. Last comes one build from
scratch, of the same photos with the same options, and everything is compared, byte for byte: levels, columns, rows and
attributes of the file and of its shards, the tables and labels beside it, and the page but for the paths it names. A
set of shards that replaced another has `-r2` in its names, which is no difference.
Among the photographs are copies, re-compressed copies, a cut face and a damaged file. Exit code 1 if anything differs.
"""

import argparse
import io
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
_SMALL = 450 * 360  # pixels: photographs that take little time
_LIKE_ANOTHER = ("copy.jpg", "smaller.jpg", "cut.jpg")


class Sequence:
    """Photographs and options, drawn by a seed.

    Args:
        pool: photographs to draw from.
        folder: becomes the place of photos, lists and outputs.
    """

    def __init__(self, pool: list[Path], folder: Path, seed: int, resolution: int, num_photos: int) -> None:
        self.rng, self.folder, self.number = random.Random(seed), folder, 0
        self.photos, self.output = folder / "photos", folder / "made" / "f.h5"
        chosen = self.rng.sample(pool, num_photos)
        self.there = {f"{'ab'[i % 2]}/{path.name}": path.read_bytes() for i, path in enumerate(chosen)}
        self.there |= dict(zip((f"a/{name}" for name in _LIKE_ANOTHER), _like(chosen[0], chosen[1]), strict=True))
        self.there["b/damaged.jpg"] = chosen[2].read_bytes()[:700]
        self.options: dict[str, str] = {
            "faces": self.rng.choice(["largest", "all"]),
            "detector": self.rng.choice(["auto", "hog"]),
            "resolution": str(resolution),
            "restore": "off",
            "min-face": "20",
            "keep": str(self.rng.randint(4, num_photos)),
        }
        self.log: list[str] = []
        for name in self.rng.sample(sorted(self.there), len(self.there) * 2 // 3):
            self.put(name)

    def put(self, name: str, data: bytes | None = None) -> None:
        path = self.photos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.there[name] if data is None else data)

    def names(self) -> list[str]:
        return sorted(path.relative_to(self.photos).as_posix() for path in self.photos.rglob("*.jpg"))

    def change(self, last: bool) -> None:
        """Change something, and log what. No photograph is touched last: where only that is new, the file stays."""
        rng, names = self.rng, self.names()
        absent = sorted(self.there.keys() - set(names))
        kinds = ["add", "add", "remove", "replace", "touch", "exclude", "exclude", "include", "include", "keep"]
        kinds = [kind for kind in kinds if kind != "touch" or not last]
        kinds += ["dedupe", "threshold", "threshold", "refuse", "labels", "shards", "compression"]
        what = rng.choice(kinds)
        said = ""
        if what == "add":
            added = rng.sample(absent, min(len(absent), rng.randint(1, 4)))
            for name in added:
                self.put(name)
            said = " ".join(added)
        elif what == "remove" and len(names) > 6:
            said = rng.choice(names)
            (self.photos / said).unlink()
        elif what == "replace":
            said = rng.choice(names)
            self.put(said, self.there[rng.choice(sorted(self.there))])
        elif what == "touch":
            said = rng.choice(names)
            os.utime(self.photos / said, (1e9, 1e9 + rng.randint(0, 9999)))
        elif what in ("exclude", "include"):
            said = self.write_list(what)
        elif what == "threshold":
            name, *values = rng.choice(
                [("max-padding", "0.02", "0.2", "1"), ("max-invented", "0", "0.3", "1"), ("min-face", "20", "40", "60")]
            )
            if name != "min-face" or self.output.exists():  # a smaller one than was begun with is refused
                self.options[name] = rng.choice(values)
                said = f"{name} {self.options[name]}"
        else:
            values = {
                "keep": [str(rng.randint(2, 25))],
                "dedupe": ["exact", "near", "off"],
                "refuse": ["", "blurred", "gray noisy blurred"],
                "labels": ["", "folders", str(self.write_labels())],
                "shards": ["", "1", "2", "3", "auto"],
                "compression": ["none", "gzip"],
            }
            if what in values:
                self.options[what] = said = rng.choice(values[what])
        self.log.append(f"{what} {said}".strip())

    def write_list(self, what: str) -> str:
        """Name a few photos and faces, none of which is in the other list."""
        other = self.options.get({"exclude": "include", "include": "exclude"}[what])
        taken = {line.split("#")[0] for line in Path(other).read_text().splitlines()} if other else set()
        free = [name for name in self.names() if name not in taken]
        # Not an empty one: it changes nothing, so that a page that does not name it stays.
        names = self.rng.sample(free, min(len(free), self.rng.randint(1, 4)))
        lines = [f"{name}#{self.rng.choice((0, 0, 1))}" if self.rng.random() < 0.6 else name for name in names]
        self.number += 1
        path = self.folder / f"{what}-{self.number}.txt"
        path.write_text("".join(f"{line}\n" for line in lines))
        self.options[what] = str(path)
        return " ".join(lines)

    def write_labels(self) -> Path:
        """A class for every photograph that there can be."""
        self.number += 1
        path = self.folder / f"labels-{self.number}.csv"
        lines = [f"{name},{self.rng.choice(('red', 'green', 'blue'))}" for name in sorted(self.there)]
        path.write_text("name,class\n" + "\n".join(lines) + "\n")
        return path

    def command(self, output: Path) -> list[str]:
        words = [sys.executable, "-m", "celebahq_builder", "--input", str(self.photos), "--output", str(output)]
        for name, value in self.options.items():
            words += [f"--{name}", *value.split()] if value else []
        return [*words, "--workers", str(self.rng.randint(1, 2))]


def _like(one: Path, other: Path) -> list[bytes]:
    """The bytes of a photograph; it, smaller and compressed again; another, cut through the face."""
    found = [one.read_bytes()]
    with Image.open(one) as image, Image.open(other) as second:
        smaller = image.convert("RGB").resize((image.width * 9 // 10, image.height * 9 // 10))
        cut = second.convert("RGB").crop((second.width // 2, 0, second.width, second.height))
    for changed in (smaller, cut):
        changed.save(data := io.BytesIO(), "JPEG", quality=80)
        found.append(data.getvalue())
    return found


def build(command: list[str]) -> str:
    """Build to the end; return the line of a refusal, empty where there is a file.

    Raises:
        RuntimeError: it ended in another way.
    """
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=_environment())
    if done.returncode not in (0, 2) or "Traceback" in done.stderr:
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr}")
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def kill(command: list[str], after: float) -> bool:
    """Begin a build and end it with SIGKILL; say whether it was still there."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_environment())
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.kill()
    return process.wait() == -signal.SIGKILL


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


def contents(output: Path) -> dict[str, object]:
    """Everything that a build leaves, by name; its path is OUTPUT in the page, and --workers is left out."""
    found: dict[str, object] = {}
    for path in sorted(path for path in output.parent.rglob("*") if path.is_file()):
        name = re.sub(r"-r\d+\.h5$", ".h5", path.relative_to(output.parent).as_posix())
        if path.suffix == ".h5":
            with h5py.File(path) as file:
                items: dict[str, h5py.Dataset] = {}
                file.visititems(items.__setitem__)
                found |= {f"{name}: attribute {key}": str(value) for key, value in file.attrs.items()}
                found |= {
                    f"{name}: {key}": _data(item) for key, item in items.items() if isinstance(item, h5py.Dataset)
                }
        elif path.suffix == ".html":
            page = path.read_text().replace("<wbr>", "").replace(str(output), "OUTPUT")
            # the number of workers does not stand in a command where it is the machine's own
            page = re.sub(r" (<span[^>]*>)?--workers(</span>)? \d+|(?<=--workers</th><td>)\d+", "", page)
            found |= {f"{name}: line {i}": line for i, line in enumerate(page.splitlines())}
        else:
            found[name] = path.read_bytes()
    return found


def _data(item: h5py.Dataset) -> tuple[object, ...]:
    values = item[:]
    data = values.tolist() if values.dtype.kind == "O" else values.tobytes()
    return str(item.dtype), values.shape, item.compression, item.is_virtual, data


def run_sequence(pool: list[Path], seed: int, options: argparse.Namespace) -> tuple[list[str], int]:
    """Return the names of what differs from a build from scratch, and how many kills came in time."""
    with tempfile.TemporaryDirectory(prefix="rebuild-sequences-") as folder:
        sequence = Sequence(pool, Path(folder), seed, options.resolution, options.photos)
        rng, output, fresh = sequence.rng, sequence.output, Path(folder) / "fresh" / "f.h5"
        output.parent.mkdir()
        fresh.parent.mkdir()
        seconds, kills = options.seconds, 0
        for step in range(options.steps):
            last = step == options.steps - 1
            for _ in range(rng.randint(1, 3) if step else 0):
                sequence.change(last)
            if last:  # a larger one leaves landmarks as they were found before, which from scratch differ by a hair
                sequence.options["min-face"] = "20"
            killed = sum(kill(sequence.command(output), rng.uniform(0, seconds)) for _ in range(rng.randint(1, 3)))
            kills += killed
            sequence.log.append(f"{killed} kills")
            if last or rng.random() < 0.6:  # else it is changed while half done
                began = time.monotonic()
                sequence.log.append(f"built {build(sequence.command(output))};")
                seconds = seconds if step else time.monotonic() - began
        refusal = build(sequence.command(fresh))
        one, other = ({}, {}) if refusal else (contents(output), contents(fresh))
        unequal = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
        what = refusal or f"{len(one):,} things compared, differ: {', '.join(unequal[:12]) or 'none'}"
        print(f"sequence {seed}: {options.steps} steps, {kills} kills; {what}", flush=True)
        if options.verbose or unequal:
            print(f"  {' '.join(sequence.command(output)[3:])}\n  {'; '.join(sequence.log)}", flush=True)
        if unequal and options.keep is not None:
            shutil.copytree(folder, options.keep / str(seed), dirs_exist_ok=True)
        return unequal, kills


def small_photographs(folder: Path) -> list[Path]:
    """The photographs of a folder that take little time, in the order of their names."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in (".jpg", ".jpeg"):
            with Image.open(path) as image:
                found += [path] if image.width * image.height <= _SMALL else []
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("input", type=Path, help="folder of photographs")
    parser.add_argument("--sequences", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the first sequence")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--photos", type=int, default=12)
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=8.0, help="within which the first kills fall")
    parser.add_argument("--keep", type=Path, help="folder for what differs")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    pool, equal, kills = small_photographs(options.input), 0, 0
    for seed in range(options.seed, options.seed + options.sequences):
        unequal, killed = run_sequence(pool, seed, options)
        equal += not unequal
        kills += killed
    print(f"{equal} of {options.sequences} sequences equal a build from scratch; {kills} kills")
    sys.exit(0 if equal == options.sequences else 1)


if __name__ == "__main__":
    main()
