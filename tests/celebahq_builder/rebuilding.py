"""Photos whose faces are where their bytes say, random changes of a build, and whether it equals one from scratch."""

import json
import random
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from celebahq_builder import build as build_module
from celebahq_builder.build import build
from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.hdf5_format.rows import read_rows
from celebahq_builder.landmarks import Face
from celebahq_builder.report.build_report import report_path

FACE = np.array([(60, 60), (100, 60), (80, 82), (63, 101), (97, 101)], np.float32) / 4 - (20, 20)
SIDE = 48


def found_faces(photo, faces, min_face, detector, check, landmarks_from):
    """In the place of find_faces: up to three faces, where the first pixels of the photo say; some beyond its edge."""
    count, *places = (int(value) for value in photo[0, :4].reshape(-1)[:10])
    found = []
    for i in range(count % 4):
        x, y, size = places[3 * i : 3 * i + 3]
        points = (FACE * (0.6 + size / 400) + (4 + x % 40, 8 + y % 32)).astype(np.float32)
        face = Face(points)
        try:
            check(points)
        except UnusablePhotoError as refusal:
            refusal.face = face
            found.append(refusal)
            continue
        if faces != "all":
            return [face]
        found.append(face)
    if not found:
        raise UnusablePhotoError("no face found")
    return found if faces == "all" else found[:1]


def marks_of(photo):
    """In the place of marks_text: what the second pixel says."""
    return ("", "dark", "gray", "blurred gray")[int(photo[1, 0, 0]) % 4]


def make_photo(path: Path, seed: int, png) -> None:
    """Write a photo; those of seeds 3, 13, 23 ... are equal."""
    rng = np.random.default_rng(3 if seed % 10 == 3 else seed)
    pixels = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    pixels[0, 0, 0] = pixels[0, 0, 0] % 4 or 1 + seed % 2
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"no image" if seed % 12 == 7 else png(pixels))


class Sequence:
    """A build whose photos and options change at random, one step at a time."""

    def __init__(self, folder: Path, seed: int, png, **options) -> None:
        self.rng, self.folder, self.png = random.Random(seed), folder, png
        self.next = 0
        self.photos = folder / "photos"
        self.config = BuildConfig(
            **{"input": self.photos, "output": folder / "f.h5", "resolution": 32, "restore": "off", "workers": 0}
            | {"max_invented": 0.3, "min_face": 5.0, "keep": 6}
            | options
        )
        for _ in range(8):
            self.add()

    def names(self) -> list[str]:
        return sorted(path.relative_to(self.photos).as_posix() for path in self.photos.rglob("*.png"))

    def add(self) -> None:
        make_photo(self.photos / f"{'ab'[self.next % 2]}/{self.next:02}.png", self.next, self.png)
        self.next += 1

    def change(self) -> str:
        """Change something; return what."""
        kinds = ["add", "remove", "rewrite", "keep", "dedupe", "exclude", "include", "threshold"]
        kinds += ["compression", "refuse"]
        kinds += [] if self.config.shards is None else ["shards"] * 3
        kind = self.rng.choice(kinds)
        if kind == "add":
            for _ in range(self.rng.randint(1, 4)):
                self.add()
        elif kind == "remove" and len(self.names()) > 5:
            (self.photos / self.rng.choice(self.names())).unlink()
        elif kind == "rewrite":
            make_photo(self.photos / self.rng.choice(self.names()), self.rng.randint(100, 199), self.png)
        elif kind == "keep":
            self.config = replace(self.config, keep=self.rng.randint(2, 12))
        elif kind == "dedupe":
            self.config = replace(self.config, dedupe=self.rng.choice(["exact", "near", "off"]))
        elif kind in ("exclude", "include"):
            self.write_list(kind)
        elif kind == "threshold":
            name, values = self.rng.choice(
                [("max_padding", (1.0, 0.5, 0.2)), ("max_invented", (0.0, 0.3, 1.0)), ("min_face", (5.0, 9.0, 12.0))]
            )
            self.config = replace(self.config, **{name: self.rng.choice(values)})
        elif kind == "shards":
            self.config = replace(self.config, shards=self.rng.choice([1, 2, 3, "auto"]))
        elif kind == "refuse":
            self.config = replace(self.config, refuse=self.rng.choice([(), ("dark",), ("blurred", "gray")]))
        elif kind == "compression":
            self.config = replace(self.config, compression=self.rng.choice(["none", "gzip"]))
        return kind

    def write_list(self, kind: str) -> None:
        """Name a few photos and faces, none of which is in the other list."""
        other = {"exclude": self.config.include, "include": self.config.exclude}[kind]
        taken = set() if other is None else {line.split("#")[0] for line in other.read_text().splitlines()}
        free = [name for name in self.names() if name not in taken]
        chosen = self.rng.sample(free, min(len(free), self.rng.randint(0, 4)))
        lines = [f"{name}#{self.rng.randint(0, 2)}" if self.rng.random() < 0.6 else name for name in chosen]
        path = self.folder / f"{kind}-{self.rng.randrange(10**9)}.txt"
        path.write_text("".join(f"{line}\n" for line in lines))
        self.config = replace(self.config, **{kind: path})

    def rebuild(self, looked_at: list[str]) -> list[str]:
        """Build, compare with a build from scratch; return the photos that were looked at."""
        del looked_at[:]
        build(self.config)
        seen = sorted(looked_at)
        number = len(list(self.folder.glob("fresh*")))
        assert differences(self.config.output, from_scratch(self.config, self.folder / f"fresh{number}")) == []
        return seen

    def set(self, **options) -> None:
        self.config = replace(self.config, **options)

    def rows(self) -> dict[str, dict]:
        """The rows of the file, by their names."""
        return {f"{row['source']}#{row['face_index']}": row for row in read_rows(self.config.output).as_dicts()}

    def name_of(self, **wanted) -> str:
        """The name of the first row that is like this."""
        rows = self.rows().items()
        return next(name for name, row in rows if all(row[key] == value for key, value in wanted.items()))

    def listed(self, option: str, *lines: str) -> None:
        """Give a list as --exclude or --include."""
        path = self.folder / f"{option}.txt"
        path.write_text("".join(f"{line}\n" for line in lines))
        self.set(**{option: path})


def without_page(patch: pytest.MonkeyPatch) -> None:
    """Have builds write a line in the place of a page, which takes longer than all else where photos are small."""

    def write(config, rows, choice, *kept):
        page = report_path(config.output)
        page.write_text(f'<meta name="celebahq-build" content="{config.output.name}">{len(choice.kept)}')
        return page

    patch.setattr(build_module, "_write_report", write)


def from_scratch(config: BuildConfig, folder: Path) -> Path | None:
    """Build into another folder, without the page, which nobody compares; None where there is no face."""
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        without_page(patch)
        try:
            return build(replace(config, output=folder / "fresh.h5")).output
        except BuildError as error:
            assert "no face in the" in str(error)
            return None


def contents(path: Path) -> dict:
    """Every dataset and attribute of a file, as bytes, without what tells how far down faces were looked for.

    That is also in the hash by which shards know each other.
    """
    found = {}
    with h5py.File(path) as file:
        config = json.loads(file.attrs["config"])
        config.pop("looked_for", None)
        hidden = ("config", "shard_set")
        found["attributes"] = {name: value for name, value in file.attrs.items() if name not in hidden} | config

        def visit(name, item):
            if isinstance(item, h5py.Dataset):
                values = item[:]
                data = values.tolist() if item.dtype.kind == "O" else values.tobytes()
                found[name] = (str(item.dtype), values.shape, data, item.compression)

        file.visititems(visit)
    return found


def differences(one: Path, other: Path) -> list[str]:
    """Return the names of what is not equal, byte for byte, in two files and the tables beside them."""
    a, b = contents(one), contents(other)
    found = [name for name in sorted(a.keys() | b.keys()) if a.get(name) != b.get(name)]
    tables = [path.with_name(path.name + ".rows.csv").read_bytes() for path in (one, other)]
    return found + ([] if tables[0] == tables[1] else ["rows.csv"])
