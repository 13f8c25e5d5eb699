"""python benchmarks/near_copies.py DATA FOLDER [--rows ROWS.csv]: which copy of a photograph --dedupe near keeps.

DATA holds in_the_wild/. FOLDER gets 24 of its photographs (12 of each half, as benchmarks/marks.py halves them), each
as it is and in 14 copies: with something laid over it (text, a credit line, a logo, tiled words, lines), compressed,
halved, cut a little, brighter, darker. Then

    celebahq-build --input FOLDER --output near.h5 --restore off --dedupe near
    python benchmarks/near_copies.py DATA FOLDER --rows near.h5.rows.csv

prints, by kind of copy and by half, how many copies are near the original by their hash, and of these how many
originals score more; and of how many photographs a copy is kept over which something lies.
"""

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a clone, too

from celebahq_builder.align import face_quad
from celebahq_builder.landmarks import Face, find_faces
from celebahq_builder.perceptual_hash import MOST_BITS_APART
from celebahq_builder.photos import decode_photo

TUNING = [
    "caltech__image_0001.jpg",
    "codeformer__06.png",
    "compreface__006_A.jpg",
    "deepface__img19.jpg",
    "fddb__001159.jpg",
    "face_recognition__tests_obama3.jpg",
    "facenet__test_images_angelina_jolie_1.jpg",
    "human__stock-emotions-a-3.jpg",
    "insightface__inspireface_bulk_rgb_fake.jpg",
    "caltech__image_0405.jpg",
    "deepface__img42.jpg",
    "fddb__001596.jpg",
]
JUDGING = [
    "caltech__image_0092.jpg",
    "compreface__004_A.jpg",
    "deepface__img36.jpg",
    "dlib__Tom_Cruise_avp_2014_4.jpg",
    "face_recognition__obama_small.jpg",
    "faceapijs__neutral.jpg",
    "facenet__test_images_kate_siegel_1.jpg",
    "fddb__001060.jpg",
    "gfpgan__Blake_Lively.jpg",
    "human__person-celeste.jpg",
    "insightface__inspireface_rotate_rot_0.jpg",
    "caltech__image_0413.jpg",
]
WHITE = (255, 255, 255, 255)
Draw = Callable[[ImageDraw.ImageDraw, np.ndarray, float], None]


def font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=max(8, int(size)))


def laid_over(photo: Image.Image, quad: np.ndarray, draw: Draw, opacity: float, turned: float = 0) -> Image.Image:
    """Draw onto a copy; `draw` gets the middle of the crop and its side."""
    side = float(np.hypot(*(quad[3] - quad[0])))
    size = (int(1.5 * max(photo.size)),) * 2 if turned else photo.size
    layer = Image.new("RGBA", size, (0, 0, 0, 0))
    draw(ImageDraw.Draw(layer), quad.mean(axis=0), side)
    if turned:
        layer = layer.rotate(turned, Image.Resampling.BICUBIC)
        left, top = ((big - small) // 2 for big, small in zip(size, photo.size, strict=True))
        layer = layer.crop((left, top, left + photo.size[0], top + photo.size[1]))
    layer.putalpha(layer.getchannel("A").point(lambda alpha: int(alpha * opacity)))
    return Image.alpha_composite(photo.convert("RGBA"), layer).convert("RGB")


def words(draw: ImageDraw.ImageDraw, center: np.ndarray, side: float) -> None:
    draw.text((center[0], center[1] + 0.15 * side), "SAMPLE PHOTO", font=font(0.09 * side), fill=WHITE, anchor="mm")


def credit(draw: ImageDraw.ImageDraw, center: np.ndarray, side: float) -> None:
    at, text = (center[0], center[1] + 0.4 * side), "(c) photographer / agency 2026"
    draw.text(at, text, font=font(0.045 * side), fill=WHITE, anchor="mm")


def logo(draw: ImageDraw.ImageDraw, center: np.ndarray, side: float) -> None:
    at, radius = center + np.array([0.33, -0.35]) * side, 0.1 * side
    draw.ellipse([*(at - radius), *(at + radius)], fill=(200, 20, 30, 255))
    draw.text(tuple(at), "TV", font=font(radius), fill=WHITE, anchor="mm")


def tiles(draw: ImageDraw.ImageDraw, _: np.ndarray, side: float) -> None:
    step, size = 0.33 * side, max(draw.im.size)
    for i in range(int(size / (0.6 * step)) + 1):
        for j in range(int(size / step) + 1):
            draw.text(((j + i % 2 / 2) * step, 0.6 * i * step), "sample", font=font(0.055 * side), fill=WHITE)


def lines(draw: ImageDraw.ImageDraw, _: np.ndarray, side: float) -> None:
    width, height = draw.im.size
    for ends in ((0, 0, width, height), (width, 0, 0, height)):
        draw.line(ends, fill=WHITE, width=max(1, int(side / 150)))


def copies(photo: Image.Image, quad: np.ndarray) -> dict[str, tuple[Image.Image, int]]:
    """Return each copy and the quality of its JPEG, by kind."""
    width, height = photo.size
    half = photo.resize((max(1, width // 2), max(1, height // 2)), Image.Resampling.LANCZOS)
    cut = photo.crop((int(0.03 * width), int(0.02 * height), int(0.98 * width), int(0.97 * height)))
    return {kind: (laid_over(photo, quad, *how), 95) for kind, how in LAID_OVER.items()} | {
        **{f"JPEG Q{quality}": (photo, quality) for quality in (95, 75, 30)},
        "half the size": (half, 92),
        "cut a little": (cut, 95),
        "brighter": (photo.point(lambda level: min(255, int(1.2 * level))), 95),
        "darker": (photo.point(lambda level: int(0.8 * level)), 95),
    }


LAID_OVER: dict[str, tuple] = {
    "words": (words, 0.7),
    "faint words": (words, 0.35),
    "credit line": (credit, 0.9),
    "logo": (logo, 1.0),
    "tiled words": (tiles, 0.3, 30),
    "tiled words, strong": (tiles, 0.6, 30),
    "crossing lines": (lines, 0.4),
}


def make(data: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*TUNING, *JUDGING):
        content = (data / "in_the_wild" / name).read_bytes()
        photo = decode_photo(content)
        (face,) = (face for face in find_faces(photo, "largest") if isinstance(face, Face))
        stem = Path(name).stem
        (folder / f"{stem}@original{Path(name).suffix}").write_bytes(content)
        for kind, (copy, quality) in copies(Image.fromarray(photo), face_quad(face.landmarks)).items():
            copy.save(folder / f"{stem}@{kind}.jpg", quality=quality, subsampling=0 if quality > 90 else 2)


def print_rows(path: Path) -> None:
    groups: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            stem, kind = row["source"].rsplit(".", 1)[0].rsplit("@", 1)
            groups[stem][kind] = row
    halves = [[groups[Path(name).stem] for name in half] for half in (TUNING, JUDGING)]
    print(f"{'copy':>20}  near, of 12; of these the original scores more (tuning half, judging half)")
    for kind in sorted(set(next(iter(groups.values()))) - {"original"}, key=lambda kind: (kind not in LAID_OVER, kind)):
        line = f"{kind:>20}"
        for half in halves:
            pairs = [(group["original"], group[kind]) for group in half if group[kind]["score"]]
            near = [pair for pair in pairs if bits_apart(*pair) <= MOST_BITS_APART]
            line += f"  {len(near):2} {sum(float(one['score']) > float(other['score']) for one, other in near):2}"
        print(line)
    for title, half in zip(("tuning", "judging"), halves, strict=True):
        kept = [
            (group["original"], row) for group in half for kind, row in group.items() if is_marked_and_kept(kind, row)
        ]
        near = sum(bits_apart(*pair) <= MOST_BITS_APART for pair in kept)
        print(f"{title} half: {near} of {len(half)} kept copies that are near have something laid over them;", end=" ")
        print(f"{len(kept) - near} more are not near and kept beside them")


def is_marked_and_kept(kind: str, row: dict[str, str]) -> bool:
    return kind in LAID_OVER and row["status"] == "kept"


def bits_apart(one: dict[str, str], other: dict[str, str]) -> int:
    return (int(one["perceptual_hash"], 16) ^ int(other["perceptual_hash"], 16)).bit_count()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=Path)
    options = parser.parse_args()
    if options.rows is None:
        make(options.data, options.folder)
    else:
        print_rows(options.rows)


if __name__ == "__main__":
    main()
