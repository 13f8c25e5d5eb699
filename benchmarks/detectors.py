"""python benchmarks/detectors.py DATA [--part faces points] [--ways ...]: two detectors, and what places the points.

DATA is the folder that holds in_the_wild/ and celeba_aligned/. `faces`: which of the faces in detector_faces.csv each
way finds, by the width of the face, what it takes for faces beside them, what that does to the crop, and what it costs.
`points`: how far the eyes lie from where CelebA's own landmarks have them, with the faces reduced.

detector_faces.csv was made by looking at everything that HOG (score -0.4 and more) or CenterFace (0.2 and more, at four
scales) took for a face: "face", or "unclear" (hidden, dark or blurred beyond judging), which counts neither way. Faces
that neither saw are not in it: of the 335 that people annotated in its photographs of FDDB, 17, small or blurred.
"""

import argparse
import csv
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from celebahq_builder import centerface, landmarks
from celebahq_builder.align import face_quad
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.detections import Detection, box_around
from celebahq_builder.dlib_faces import detect, five_points
from celebahq_builder.landmarks import Face, find_faces
from celebahq_builder.photos import decode_photo

WIDTHS = (20, 50, 100)
CELEBA_EYES = np.array([(69, 111), (108, 111)], float)


def usable(photo: np.ndarray, **options) -> list[Face]:
    try:
        return [face for face in find_faces(photo, "all", **options) if isinstance(face, Face)]
    except UnusablePhotoError:
        return []


def raw(kind: str) -> Callable[[np.ndarray], list]:
    def hog(photo: np.ndarray) -> list[np.ndarray]:
        scale = landmarks._dlib_scale(photo.shape, 20, 4e6)
        return [found.centre for found in detect(Image.fromarray(photo), scale, 0, "hog")]

    def network(photo: np.ndarray) -> list[np.ndarray]:
        return [found.centre for found in centerface.detect(photo, landmarks._centerface_scale(photo.shape, 20))]

    return hog if kind == "hog" else network


WAYS: dict[str, Callable[[np.ndarray], list]] = {
    "HOG, every detection": raw("hog"),
    "CenterFace, every detection": raw("centerface"),
    "hog": lambda photo: usable(photo, detector="hog"),
    "auto": lambda photo: usable(photo, detector="auto"),
    "centerface": lambda photo: usable(photo, detector="centerface"),
    "centerface, its own points": lambda photo: usable(photo, detector="centerface", landmarks_from="detector"),
}


def centre(found: Face | np.ndarray) -> np.ndarray:
    return found.landmarks[[0, 1, 3, 4]].mean(0) if isinstance(found, Face) else found


def matched(found: list, known: list[dict]) -> list[int | None]:
    """Return for each face that was found the index of the known one whose middle half holds its centre, or None."""
    result: list[int | None] = []
    for x, y in map(centre, found):
        away = [
            max(abs(x - k["left"] - k["width"] / 2) / k["width"], abs(y - k["top"] - k["height"] / 2) / k["height"])
            for k in known
        ]
        best = int(np.argmin(away)) if away else 0
        result.append(best if away and away[best] < 0.5 else None)
    return result


def faces(data: Path, every: int, ways: list[str]) -> None:
    known = defaultdict(list)
    with Path(__file__).with_name("detector_faces.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            known[row["file"]].append({k: v if k in ("file", "label") else float(v) for k, v in row.items()})
    paths = sorted((data / "in_the_wild").iterdir())[::every]
    results: dict[str, dict[str, list]] = {}
    for name in ways:
        began = time.process_time()
        results[name] = {path.name: WAYS[name](decode_photo(path.read_bytes())) for path in paths}
        report(name, results[name], known, time.process_time() - began)
    for name in ("centerface", "centerface, its own points"):
        if "hog" in results and name in results:
            crops(name, results["hog"], results[name])


def report(name: str, results: dict[str, list], known: dict[str, list[dict]], seconds: float) -> None:
    found, total, unclear, false = dict.fromkeys(WIDTHS, 0), dict.fromkeys(WIDTHS, 0), 0, []
    for file, faces_found in results.items():
        at = matched(faces_found, known[file])
        hits = {index for index in at if index is not None}
        unclear += sum(index is not None and known[file][index]["label"] == "unclear" for index in at)
        false += [(file, centre(one).round().tolist()) for one, i in zip(faces_found, at, strict=True) if i is None]
        for index, face in enumerate(known[file]):
            for width in WIDTHS:
                if face["label"] == "face" and min(face["width"], face["height"]) >= width:
                    total[width] += 1
                    found[width] += index in hits
    recall = ", ".join(f"{width} px {found[width]} of {total[width]}" for width in WIDTHS)
    photos = sum(bool(faces_found) for faces_found in results.values())
    print(f"{name}: {recall}; {unclear} unclear, {len(false)} others; {photos} photos; {seconds:.0f} CPU-s", flush=True)
    for file, (x, y) in false[:12]:
        print(f"    {file} at {x:.0f}, {y:.0f}")


def crops(name: str, ones: dict[str, list[Face]], others: dict[str, list[Face]]) -> None:
    """Print how far the corners of the crop move, in pixels of a crop of 1024, against those of dlib alone."""
    moved = []
    for file, found in ones.items():
        for face in found:
            quad = face_quad(face.landmarks)
            side = np.linalg.norm(quad[3] - quad[0])
            near = [face_quad(other.landmarks) for other in others[file]]
            apart = [np.linalg.norm(other - quad, axis=1).max() / side * 1024 for other in near]
            moved += [min(apart)] if apart and min(apart) < 400 else []
    median, most, all_but = np.percentile(moved, (50, 90, 99))
    print(f"crop of {name} against hog's: {len(moved)} faces, px of 1024: {median:.0f}, {most:.0f}, {all_but:.0f}")


def points(data: Path, every: int) -> None:
    """Print how far the eyes of aligned CelebA faces are from where they have to be."""
    paths = sorted((data / "celeba_aligned").glob("*.jpg"))[:: 4 * every]
    print(f"{len(paths)} aligned CelebA faces: eyes off, in eye distances (median, 90th percentile); CPU-ms a face")
    for scale in (1.0, 0.5, 0.25):
        errors, seconds = defaultdict(list), defaultdict(float)
        for path in paths:
            photo = decode_photo(path.read_bytes())
            photo = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else photo
            found = centerface.detect(photo, 1.0)
            if not found:
                continue
            middle = np.array(photo.shape[1::-1]) / 2
            first = min(found, key=lambda one: float(np.linalg.norm(one.centre - middle)))
            start = Detection(*box_around(first.points), first.score)
            for name, read in {
                "dlib68": lambda: five_points(Image.fromarray(photo), start),  # noqa: B023
                "detector": lambda: centerface.five_points(photo, first),  # noqa: B023
            }.items():
                began = time.process_time()
                eyes = (read()[0][:2] + 0.5) / scale - 0.5
                seconds[name] += time.process_time() - began
                errors[name].append(np.linalg.norm(eyes - CELEBA_EYES, axis=1).max() / 39)
        for name, values in errors.items():
            median, most = np.percentile(values, (50, 90))
            cost = seconds[name] / len(values) * 1000
            said = f"{median:.3f}, {most:.3f}; {cost:.0f} ms; {len(values)} faces"
            print(f"  eyes {39 * scale:.0f} px apart, {name}: {said}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--part", choices=("faces", "points"), nargs="*", default=["faces", "points"])
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--ways", choices=WAYS, nargs="*", default=list(WAYS))
    options = parser.parse_args()
    if "faces" in options.part:
        faces(options.data, options.every, options.ways)
    if "points" in options.part:
        points(options.data, options.every)


if __name__ == "__main__":
    main()
