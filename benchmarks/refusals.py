"""python benchmarks/refusals.py [--image FILE]: copies of a free photograph that a build refuses, and why.

Builds a folder of them with `celebahq-build` as any user would, prints the row of each, and draws them on one sheet:
docs/images/refusals.jpg. Exits 1 where a copy is refused for another reason than the one that it was made for.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parent.parent
_PHOTO = ROOT / "examples" / "in-the-wild" / "grace_hopper.jpg"  # 512x600, public domain
_OPTIONS = ["--max-padding", ".15", "--refuse", "dark", "--dedupe", "near", "--restore", "off", "--resolution", "128"]
_SIDE = 168


def copies() -> dict[str, tuple[str, Image.Image]]:
    """Return the reason that is expected, which is the file's name -> what was done, the copy."""
    photo = Image.open(_PHOTO).convert("RGB")
    width, height = photo.size
    half, below, pixels = photo.copy(), photo.copy(), np.asarray(photo)
    ImageDraw.Draw(half).rectangle((240, 0, width, height), fill="gray")
    ImageDraw.Draw(below).rectangle((0, 240, width, height), fill="gray")
    return {
        "kept": ("as it is", photo),
        "duplicate": ("nine tenths of its size", photo.resize((width * 9 // 10, height * 9 // 10))),
        "cut by the edge of the photo": ("cut at the near eye", photo.crop((222, 0, width, height))),
        "too much padding": ("cut around the face", photo.crop((150, 60, 400, 400))),
        "face too small": ("a sixth of its size", _shrunk(photo, 6)),
        "implausible landmarks": ("covered below the eyes", below),
        "uncertain landmarks": ("less than half as wide", photo.resize((width * 9 // 20, height))),
        "profile": ("one half covered", half),
        "marked dark": ("darkened 4x", Image.fromarray((pixels[:, ::-1] // 4).astype(np.uint8))),
        "no face found": ("the flag", photo.crop((0, 0, 150, 400))),
        "truncated or corrupt file": ("half of the file", photo.copy()),
        "not an image": ("a text", Image.new("RGB", (96, 96), "gray")),
    }


def _shrunk(photo: Image.Image, factor: int) -> Image.Image:
    """Return a photo of the same size that holds the whole one, so much smaller."""
    small = photo.resize((photo.width // factor, photo.height // factor), Image.Resampling.BOX)
    canvas = Image.new("RGB", photo.size, "white")
    canvas.paste(small, (photo.width // 2, photo.height // 2))
    return canvas


def reasons(folder: Path) -> dict[str, str]:
    """Build the folder; return name -> "kept", or why not."""
    output = folder.parent / "faces.h5"
    command = [sys.executable, "-m", "celebahq_builder", "--input", str(folder), "--output", str(output), *_OPTIONS]
    subprocess.run(command, check=True, cwd=ROOT)
    with output.with_name("faces.h5.rows.csv").open(encoding="utf-8", newline="") as file:
        return {Path(row["source"]).stem: row["reason"] or row["status"] for row in csv.DictReader(file)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", type=Path, default=ROOT / "docs" / "images" / "refusals.jpg")
    options = parser.parse_args()
    made = copies()
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        photos.mkdir()
        for name, (_, image) in made.items():
            image.save(photos / f"{name}.jpg", quality=95)
        whole = (photos / "truncated or corrupt file.jpg").read_bytes()
        (photos / "truncated or corrupt file.jpg").write_bytes(whole[: len(whole) // 2])
        (photos / "not an image.jpg").write_text("a text whose name ends in .jpg\n")
        found = reasons(photos)
    wrong = [f"{name}: got {found[name]}" for name in made if found[name] != name]
    sheet = Image.new("RGB", (6 * (_SIDE + 2), 2 * (_SIDE + 28)), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (name, (what, image)) in enumerate(made.items()):
        x, y = (_SIDE + 2) * (i % 6), (_SIDE + 28) * (i // 6)
        if name.startswith("truncated"):
            image.paste("gray", (0, image.height // 2, *image.size))
        image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
        sheet.paste(image, (x + (_SIDE - image.width) // 2, y + (_SIDE - image.height) // 2))
        draw.text((x + 2, y + _SIDE + 1), what, fill="gray")
        draw.text((x + 2, y + _SIDE + 13), found[name], fill="black")
        print(f"{what:<26} {found[name]}")
    sheet.save(options.image, quality=88)
    sys.exit("\n".join(wrong) or None)


if __name__ == "__main__":
    main()
