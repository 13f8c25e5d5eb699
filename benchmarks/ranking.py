"""python benchmarks/ranking.py DATA: how the quality score ranks: the official order, degraded copies, CelebA's choice.

DATA holds celebahq_rank/ (28 official faces and their places), in_the_wild/, celeba_aligned/ and
celebahq_image_list.txt. Printed are

- Spearman's rho with the official order where form and constants are chosen without the face that is judged (leave one
  out: what is best on the other 27 faces and on the tuning half of the degraded crops judges it by its place among
  those 27), with its 95 % bootstrap interval; in-sample beside it;
- how often an original scores above a degraded copy of itself, on the tuning half and on the judging half of the
  photographs. Crops have a source pixel a pixel at least, JPEG quality 90 or more, and no padding to speak of;
- the area under the curve on aligned CelebA faces, of which 300 were chosen for CelebA-HQ.
"""

import csv
import hashlib
import io
import sys
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from scipy import ndimage
from scipy.stats import rankdata, spearmanr

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a clone, too

from celebahq_builder.align import align_face, face_quad
from celebahq_builder.coverage import coverage
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.landmarks import Face, find_faces
from celebahq_builder.photos import decode_photo
from celebahq_builder.quality import CALIBRATED, Constants, Measures, measure, score_measures

CANDIDATES = [
    Constants(detail=detail, noise_floors=floors, natural_fall=fall, ringing_weight=weight)
    for detail, floors, fall, weight in product(
        [(1, 4), (1, 5), (2, 5), (1, 6)], (1.5, 2.0, 2.5), (1.0, 1.1, 1.2), (2.0, 3.0)
    )
]


def to_uint8(image: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def jpeg(face: np.ndarray) -> np.ndarray:
    Image.fromarray(face).save(data := io.BytesIO(), "JPEG", quality=10)
    return np.asarray(Image.open(data).convert("RGB"))


def resized(face: np.ndarray) -> np.ndarray:
    small = Image.fromarray(face).resize((len(face) // 3,) * 2, Image.Resampling.LANCZOS)
    return np.asarray(small.resize((len(face),) * 2, Image.Resampling.BICUBIC))


def screen(side: int) -> np.ndarray:
    y, x = np.mgrid[:side, :side] * (2 * np.pi / 6 / np.sqrt(2))
    return (np.cos(x + y) * np.cos(x - y))[..., None]


WORSE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "blur 1 px": lambda face: to_uint8(ndimage.gaussian_filter(face.astype(np.float32), (1, 1, 0))),
    "motion 9 px": lambda face: to_uint8(ndimage.uniform_filter1d(face.astype(np.float32), 9, axis=1)),
    "noise 15": lambda face: to_uint8(face + np.random.default_rng(0).normal(0, 15, face.shape)),
    "gray noise 15": lambda face: to_uint8(face + np.random.default_rng(0).normal(0, 15, (*face.shape[:2], 1))),
    "JPEG Q10": jpeg,
    "16 levels": lambda face: (face // 16 * 16 + 8).astype(np.uint8),
    "1-bit dither": lambda face: np.asarray(Image.fromarray(face).convert("1").convert("RGB")),
    "halftone": lambda face: to_uint8(face + 30 * screen(len(face))),
    "oversharpened 2, 300 %": lambda face: np.asarray(Image.fromarray(face).filter(ImageFilter.UnsharpMask(2, 300, 0))),
    "oversharpened 1, 400 %": lambda face: np.asarray(Image.fromarray(face).filter(ImageFilter.UnsharpMask(1, 400, 0))),
    "washed out": lambda face: to_uint8(0.4 * face + 130),
    "reduced 3x": resized,
    "darkened 4x": lambda face: to_uint8(face / 4),
}


def score(measures: Measures, constants: Constants = CALIBRATED) -> float:
    return score_measures(measures, constants).score


def official(data: Path) -> tuple[np.ndarray, list[tuple[str, np.ndarray]]]:
    with (data / "celebahq_rank.csv").open() as file:
        rows = list(csv.DictReader(file))
    faces = [(row["file"], np.asarray(Image.open(data / "celebahq_rank" / row["file"]).convert("RGB"))) for row in rows]
    return np.array([int(row["celebahq_idx"]) for row in rows]), faces


def sharp_crops(data: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield faces at the largest power of two from 128 that their photographs fill."""
    with (data / "in_the_wild.csv").open() as file:
        names = [row["file"] for row in csv.DictReader(file) if float(row["jpeg_quality_est"] or 100) >= 90]
    for name in names:
        try:
            photo = decode_photo((data / "in_the_wild" / name).read_bytes())
            found = find_faces(photo, "all")
        except UnusablePhotoError:
            continue
        for face in found:
            if isinstance(face, Face):
                quad = face_quad(face.landmarks)
                side = float(np.hypot(*(quad[3] - quad[0])))
                if side >= 128 and coverage(quad, photo.shape[1::-1]).padding < 0.1:
                    yield name, align_face(photo, face.landmarks, min(1024, 1 << int(np.log2(side))))


def is_tuning(name: str) -> bool:
    return hashlib.sha256(name.encode()).digest()[0] % 2 == 0


def rho(places: np.ndarray, scores: np.ndarray) -> float:
    return float(spearmanr(places, scores).statistic)


def above(copies: list[dict[str, Measures]], name: str, constants: Constants = CALIBRATED) -> list[bool]:
    return [score(copy[name], constants) < score(copy[""], constants) for copy in copies]


def nested(places: np.ndarray, measures: list[Measures], tuning: list[dict[str, Measures]]) -> np.ndarray:
    """Predict each face's place, 0 to 1, without it; print which candidates were chosen how often."""
    scores = np.array([[score(m, candidate) for m in measures] for candidate in CANDIDATES])
    held = np.array([np.mean([np.mean(above(tuning, name, c)) for name in WORSE]) for c in CANDIDATES])
    chosen, predicted = [], np.empty(len(places))
    for i in range(len(places)):
        others = np.arange(len(places)) != i
        best = int(np.argmax([h - rho(places[others], s[others]) for h, s in zip(held, scores, strict=True)]))
        chosen.append(best)
        predicted[i] = np.mean(scores[best, others] < scores[best, i])
    for best in sorted(set(chosen)):
        print(f"  chosen {chosen.count(best)} times: {CANDIDATES[best]}")
    return predicted


def main(data: Path) -> None:
    places, faces = official(data)
    measure(faces[0][1])
    start = time.process_time()
    measures = [measure(face) for _, face in faces]
    print(f"{1e3 * (time.process_time() - start) / len(faces):.1f} CPU-ms a face of 1024x1024")

    halves: dict[bool, list[dict[str, Measures]]] = {True: [], False: []}
    tuning = []
    for index, (name, face) in enumerate([*faces, *sharp_crops(data)]):
        copies = {"": measure(face)} | {what: measure(worsen(face)) for what, worsen in WORSE.items()}
        halves[is_tuning(name)].append(copies)
        if is_tuning(name) and index >= len(faces):  # official faces are judged one by one: none may choose for itself
            tuning.append(copies)

    in_sample = rho(places, np.array([score(m) for m in measures]))
    predicted = nested(places, measures, tuning)
    draws = np.random.default_rng(0).integers(0, len(places), (10_000, len(places)))
    low, high = np.quantile([rho(places[draw], predicted[draw]) for draw in draws], (0.025, 0.975))
    print(
        f"rho, nested: {rho(places, predicted):+.3f}, 95 % interval {low:+.3f}..{high:+.3f}; in-sample {in_sample:+.3f}"
    )

    print(f"original above its copy, tuning half ({len(halves[True])} crops) and judging half ({len(halves[False])}):")
    for what in WORSE:
        shares = [np.mean(above(halves[half], what)) for half in (True, False)]
        print(f"  {what:>24} {shares[0]:6.1%} {shares[1]:6.1%}")

    chosen = {line.split()[2] for line in (data / "celebahq_image_list.txt").read_text().splitlines()[1:]}
    aligned = sorted((data / "celeba_aligned").iterdir())
    crops = [np.asarray(Image.open(path).convert("RGB"))[57:185, 25:153] for path in aligned]
    ranks = rankdata([score(measure(np.ascontiguousarray(crop))) for crop in crops])
    is_chosen = np.array([path.name in chosen for path in aligned])
    n = is_chosen.sum()
    area = (ranks[is_chosen].sum() - n * (n + 1) / 2) / (n * (len(crops) - n))
    print(f"area under the curve, {n} chosen of {len(crops)} aligned CelebA faces: {area:.3f}")


if __name__ == "__main__":
    if len(sys.argv) != 2 or not (Path(sys.argv[1]) / "celebahq_rank.csv").exists():
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
