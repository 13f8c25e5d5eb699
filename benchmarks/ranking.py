"""python benchmarks/ranking.py DATA: how the quality score ranks: the official order, CelebA's choice, copies, pairs.

DATA holds celebahq_rank/ (28 official faces and their places), in_the_wild/, celeba_aligned/ and
celebahq_image_list.txt. Form and constants are chosen anew in every fold, by the sum of Spearman's rho on the official
faces, of the area under the curve on aligned CelebA faces (half of them were chosen for CelebA-HQ), and of how often
the originals of the tuning half stand above their copies. Printed are

- rho where each official face is placed by what was chosen without it, with its 95 % bootstrap interval;
- the area under the curve where each tenth is ranked by what was chosen on the others; and both in-sample;
- how often an original scores above a degraded copy of itself, on the tuning half and on the judging half of the
  photographs. Crops have a source pixel a pixel at least, JPEG quality 90 or more, and no padding to speak of;
- how often the better of two different photographs, as a person sees it, has the higher score (ranking_pairs.csv).
  The pairs of the judging half, and the faces in them, chose nothing.
"""

import csv
import hashlib
import io
import sys
import time
from collections import Counter
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
from celebahq_builder.coverage import coverage, inside_photo
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.landmarks import Face, find_faces
from celebahq_builder.photos import decode_photo
from celebahq_builder.quality import CALIBRATED, Constants, Measures, measure, score_measures

CANDIDATES = [
    Constants(detail=detail, noise_floors=floors, unseen_weight=unseen, half_overshoot=overshoot)
    for detail, floors, unseen, overshoot in product(
        [(0, 4), (0, 5), (1, 4), (1, 5)], (2.0, 3.0), (0.0, 0.05, 0.1, 0.2), (0.01, 0.02, 0.04)
    )
]
FOLDS = 10
HERE = Path(__file__).resolve().parent


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


def area(ranked: np.ndarray, chosen: np.ndarray) -> float:
    """Area under the curve of scores that should be higher where chosen."""
    n = chosen.sum()
    return float((rankdata(ranked)[chosen].sum() - n * (n + 1) / 2) / (n * (len(chosen) - n)))


def aligned_faces(data: Path) -> tuple[np.ndarray, list[Measures]]:
    """Which of the aligned CelebA faces were chosen for CelebA-HQ, and their measures at 128x128."""
    listed = {line.split()[2] for line in (data / "celebahq_image_list.txt").read_text().splitlines()[1:]}
    paths = sorted((data / "celeba_aligned").iterdir())
    crops = (np.asarray(Image.open(path).convert("RGB"))[57:185, 25:153] for path in paths)
    return np.array([path.name in listed for path in paths]), [measure(np.ascontiguousarray(crop)) for crop in crops]


class Nested:
    """Chooses among the candidates by a part of the evidence, to judge the rest."""

    def __init__(
        self,
        places: np.ndarray,
        official: list[Measures],
        chosen: np.ndarray,
        aligned: list[Measures],
        tuning: list[dict[str, Measures]],
    ) -> None:
        self.places, self.chosen, self.picks = places, chosen, Counter[int]()
        self.official = np.array([[score(m, candidate) for m in official] for candidate in CANDIDATES])
        self.aligned = np.array([[score(m, candidate) for m in aligned] for candidate in CANDIDATES])
        self.held = np.array([np.mean([np.mean(above(tuning, name, c)) for name in WORSE]) for c in CANDIDATES])

    def pick(self, official: np.ndarray, aligned: np.ndarray) -> int:
        """The best candidate by these official and these aligned faces, and by all tuning crops."""
        rhos = [rho(self.places[official], scores[official]) for scores in self.official]
        areas = [area(scores[aligned], self.chosen[aligned]) for scores in self.aligned]
        best = int(np.argmax(self.held + areas - rhos))
        self.picks[best] += 1
        return best

    def predicted_places(self) -> np.ndarray:
        """Each official face's place among the others, 0 to 1, by what is chosen without it."""
        every, predicted = np.ones(len(self.chosen), bool), np.empty(len(self.places))
        for i in range(len(self.places)):
            others = np.arange(len(self.places)) != i
            scores = self.official[self.pick(others, every)]
            predicted[i] = np.mean(scores[others] < scores[i])
        return predicted

    def areas(self) -> list[float]:
        """The area on each tenth of the aligned faces, by what is chosen without it."""
        every, found = np.ones(len(self.places), bool), []
        fold = np.random.default_rng(0).permutation(len(self.chosen)) % FOLDS
        for i in range(FOLDS):
            scores = self.aligned[self.pick(every, fold != i)]
            found.append(area(scores[fold == i], self.chosen[fold == i]))
        return found


def pair_scores(data: Path) -> dict[str, float]:
    """Scores at 1024x1024, as a build without restoration takes them, of the faces in ranking_faces.csv."""
    found, name, photo = {}, "", np.empty((0, 0, 3), np.uint8)
    with (HERE / "ranking_faces.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["face"].rpartition("#")[0] != name:
                name = row["face"].rpartition("#")[0]
                content = (data / "in_the_wild" / name).read_bytes()
                if not hashlib.sha256(content).hexdigest().startswith(row["sha256"]):
                    sys.exit(f"{data / 'in_the_wild' / name}: got another photo, expected sha256 {row['sha256']}...")
                photo = decode_photo(content)
            points = np.array(row["landmarks"].split(), np.float32).reshape(5, 2)
            shown = inside_photo(face_quad(points), photo.shape[1::-1], 1024)
            found[row["face"]] = score(measure(align_face(photo, points), shown))
    return found


def print_pairs(data: Path) -> None:
    scores = pair_scores(data)
    right: dict[str, list[bool]] = {"tuning": [], "judging": []}
    with (HERE / "ranking_pairs.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            right[row["half"]].append(scores[row["better"]] > scores[row["worse"]])
    for half, found in right.items():
        print(f"the better of two photographs scores more, {half} half: {np.mean(found):.1%} of {len(found)} pairs")


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

    chosen, aligned = aligned_faces(data)
    nested = Nested(places, measures, chosen, aligned, tuning)
    predicted, areas = nested.predicted_places(), nested.areas()
    for best, times in nested.picks.most_common():
        print(f"  chosen {times} times: {CANDIDATES[best]}")
    draws = np.random.default_rng(0).integers(0, len(places), (10_000, len(places)))
    low, high = np.quantile([rho(places[draw], predicted[draw]) for draw in draws], (0.025, 0.975))
    in_sample = rho(places, np.array([score(m) for m in measures]))
    print(
        f"rho, nested: {rho(places, predicted):+.3f}, 95 % interval {low:+.3f}..{high:+.3f}; in-sample {in_sample:+.3f}"
    )
    half_width = 1.96 * np.std(areas, ddof=1) / FOLDS**0.5
    print(
        f"area under the curve, {chosen.sum()} chosen of {len(chosen)} aligned faces, nested: {np.mean(areas):.3f} "
        f"+- {half_width:.3f}; in-sample {area(np.array([score(m) for m in aligned]), chosen):.3f}"
    )

    print(f"original above its copy, tuning half ({len(halves[True])} crops) and judging half ({len(halves[False])}):")
    for what in WORSE:
        shares = [np.mean(above(halves[half], what)) for half in (True, False)]
        print(f"  {what:>24} {shares[0]:6.1%} {shares[1]:6.1%}")
    print_pairs(data)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not (Path(sys.argv[1]) / "celebahq_rank.csv").exists():
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
