"""python benchmarks/covered.py DATA [--half choose judge] [--every N] [--bare]: which way up covered faces are taken.

DATA is the folder that holds in_the_wild/ and celeba_aligned/. The largest face of each photograph is cut out with its
surroundings and covered in nine shapes, each filled in one of four ways; bare and covered it lies upright and turned by
quarters. Printed: how many are taken the right way up, how many another, how many are refused. The hash of a name says
to which half a photograph belongs: constants are chosen on one and judged on the other.
"""

import argparse
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from celebahq_builder import landmarks
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.detections import box_around
from celebahq_builder.landmarks import Face, eye_distance, find_faces
from celebahq_builder.photos import decode_photo

EYES_PX, AROUND = 36, 3  # of a cut: at most so far apart, and so many eye distances to each side
FILLS = ("black", "gray", "noise", "skin")


def box(left: float, top: float, right: float, bottom: float) -> list[list[tuple[float, float]]]:
    return [[(left, top), (right, top), (right, bottom), (left, bottom)]]


def oval(x: float, y: float, width: float, height: float) -> list[tuple[float, float]]:
    return [(x + width * np.cos(a), y + height * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 40)]


# In eye distances from between the eyes, along and across them: eyes at (-.5, 0) and (.5, 0), the mouth near y = 1.
SHAPES = {
    "bar over the lower half": box(-1.7, 0.45, 1.7, 2.2),
    "bar over the upper half": box(-1.7, -1.3, 1.7, 0.45),
    "bar over the eyes": box(-1.7, -0.35, 1.7, 0.35),
    "bar over the mouth": box(-1.7, 0.75, 1.7, 1.3),
    "one eye": box(-1.1, -0.4, -0.05, 0.4),
    "one side": box(-1.7, -1.3, 0, 2.2),
    "bar down the middle": box(-0.35, -1.3, 0.35, 2.2),
    "glasses": [oval(-0.5, 0.05, 0.42, 0.33), oval(0.5, 0.05, 0.42, 0.33), *box(-1.2, -0.1, 1.2, 0.0)],
    "mask": [[(-1.15, 0.3), (0, 0.3), (1.15, 0.3), (1.0, 1.1), (0.45, 1.75), (-0.45, 1.75), (-1.0, 1.1)]],
}


@dataclass(frozen=True)
class Case:
    """An image, and by how many degrees counter-clockwise it is to be turned to have its face upright."""

    name: str
    cover: str
    image: np.ndarray
    turned: int
    points: np.ndarray


def half_of(name: str) -> str:
    return ("choose", "judge")[int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2]


def upright_face(photo: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Cut the largest face out, with its surroundings; return that and its five points, or None without a face."""
    try:
        (face,) = find_faces(photo, detector="auto")
    except UnusablePhotoError:
        return None
    if not isinstance(face, Face) or face.turned:
        return None
    apart = eye_distance(face.landmarks)
    middle = face.landmarks[[0, 1, 3, 4]].mean(0)
    left, top = np.maximum(middle - AROUND * apart, 0).astype(int)
    right, bottom = (middle + AROUND * apart).astype(int)
    part, points = photo[top:bottom, left:right], face.landmarks - (left, top)
    if (scale := EYES_PX / apart) < 1:
        part = cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        points = (points + 0.5) * scale - 0.5
    return np.ascontiguousarray(part), points


def cover(image: np.ndarray, points: np.ndarray, shape: str, fill: str, rng: np.random.Generator) -> np.ndarray:
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    (ex, ey), (mx, my) = points[1] - points[0], mouth - eyes
    along = np.array([ex + my, ey - mx]) / np.hypot(ex + my, ey - mx) * eye_distance(points)
    axes = np.array([along, (-along[1], along[0])])
    inside = np.zeros(image.shape[:2], np.uint8)
    for polygon in SHAPES[shape]:
        cv2.fillPoly(inside, [np.round(eyes + np.array(polygon) @ axes).astype(np.int32)], 1)
    x, y = np.round(eyes + [0, 0.55] @ axes).astype(int).clip(0, np.array(image.shape[1::-1]) - 1)
    near = max(2, round(0.15 * eye_distance(points)))
    skin = np.median(image[max(y - near, 0) : y + near, max(x - near, 0) : x + near].reshape(-1, 3), axis=0)
    filled = {
        "black": np.full(image.shape, 12.0),
        "gray": np.full(image.shape, 128.0),
        "noise": rng.uniform(0, 256, image.shape),
        "skin": skin + rng.normal(0, 4, image.shape),
    }[fill]
    return np.where(inside[..., None] > 0, filled.clip(0, 255), image).astype(np.uint8)


def turn(image: np.ndarray, quarters: int) -> np.ndarray:
    return np.ascontiguousarray(np.rot90(image, -quarters))


def cases(path: Path, bare: bool = False) -> Iterator[Case]:
    """The face of a photograph bare and covered: 9 upright, and 3 + 3 turned by quarters; or the 3 bare ones alone."""
    if (found := upright_face(decode_photo(path.read_bytes()))) is None:
        return
    image, points = found
    rng = np.random.default_rng(int(hashlib.sha256(path.name.encode()).hexdigest()[:8], 16))
    first = int(rng.integers(len(FILLS)))
    covered = {
        shape: cover(image, points, shape, FILLS[(first + i) % len(FILLS)], rng) for i, shape in enumerate(SHAPES)
    }
    for shape, pixels in () if bare else covered.items():
        yield Case(path.name, shape, pixels, 0, points)
    for quarters, shape in enumerate(rng.choice(list(SHAPES), 3, replace=False).tolist(), 1):
        yield Case(path.name, "", turn(image, quarters), 90 * quarters, points)
        if not bare:
            yield Case(path.name, shape, turn(covered[shape], quarters), 90 * quarters, points)


def outcome(case: Case) -> str:
    try:
        (face,) = find_faces(case.image, detector="auto")
    except UnusablePhotoError:
        return "refused"
    if isinstance(face, UnusablePhotoError):
        return "refused"
    degrees = box_around(face.landmarks)[2] - box_around(case.points)[2] - case.turned
    return "right" if abs((degrees + 180) % 360 - 180) < 60 else "wrong"


def before_and_after(case: Case) -> tuple[str, str]:
    """What became of a case without CenterFace's word on which way up a face is, and with it."""
    asked = landmarks._is_another_way_up
    dropped = []

    def noting(*args) -> bool:
        dropped.append(asked(*args))
        return dropped[-1]

    landmarks._is_another_way_up = noting
    try:
        after = outcome(case)
        landmarks._is_another_way_up = lambda *_: False
        return outcome(case) if any(dropped) else after, after
    finally:
        landmarks._is_another_way_up = asked


def kind_of(case: Case) -> str:
    if case.turned:
        return "covered, turned" if case.cover else f"bare, turned {case.turned}"
    return case.cover


def photographs(data: Path, halves: list[str], every: int) -> list[Path]:
    paths = sorted((data / "in_the_wild").glob("*.*")) + sorted((data / "celeba_aligned").glob("*.jpg"))[::2]
    return [path for path in paths if half_of(path.name) in halves][::every]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--half", choices=("choose", "judge"), nargs="*", default=["choose", "judge"])
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--bare", action="store_true", help="only what is turned and not covered")
    options = parser.parse_args()
    counts: dict[str, Counter] = {}
    number = 0
    for path in photographs(options.data, options.half, options.every):
        kind = ""
        for case in cases(path, options.bare):
            kind = kind_of(case)
            results = before_and_after(case)
            counts.setdefault(kind, Counter()).update([("before", results[0]), ("after", results[1])])
            if results[0] != results[1] or "wrong" in results:
                print(f"{case.name}, {case.cover or 'bare'}, turned {case.turned}: {' -> '.join(results)}", flush=True)
        number += bool(kind)
    print(f"{number} photographs; right, wrong, refused without CenterFace's word, and with it")
    for kind, count in counts.items():
        before, after = (
            ", ".join(str(count[when, result]) for result in ("right", "wrong", "refused"))
            for when in ("before", "after")
        )
        print(f"{kind}: {before}; {after}", flush=True)


if __name__ == "__main__":
    main()
