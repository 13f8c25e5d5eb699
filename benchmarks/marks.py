"""python benchmarks/marks.py DATA [--faces FACES.json] [--gallery DIR] [--image FILE]: marks, on two halves.

DATA holds in_the_wild/, in_the_wild.csv and celeba_aligned/. A photograph is of the tuning half where the first byte of
the sha256 of its name is even: thresholds (celebahq_builder/marks.py) were chosen there. Printed are, by half

- of sharp crops (JPEG quality 88 or more, no mark), worsened by known amounts, how many get the mark;
- of the real faces that get a mark, how many were judged right by eye (benchmarks/marks_by_eye.csv; its author looked
  at every marked face of these photographs), and which real faces that the eye marks are missed.

FACES.json keeps where the faces are, which takes minutes to find. DIR gets a sheet of real faces a mark (not for
publication: the photographs are for research only). FILE, alone, gets docs/images/marks.jpg.
"""

import argparse
import csv
import hashlib
import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a clone, too

from celebahq_builder.align import align_face, face_quad
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.landmarks import Face, find_faces
from celebahq_builder.mark_measures import measure_marks
from celebahq_builder.marks import MARKS, marks_text
from celebahq_builder.photos import decode_photo

CELEBA = np.float32([[69.5, 111.3], [107.9, 111.3], [88.5, 133], [73, 151.5], [104.6, 151.3]])
"""Where the points of its aligned faces lie, on average."""
_SEEN_SIDE = 400  # larger faces are reduced before they are worsened, by whole blocks
_EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "in-the-wild" / "grace_hopper.jpg"
_EXAMPLE_POINTS = np.float32([(223.5, 194.2), (307.6, 189.9), (267.6, 237.5), (232.0, 278.7), (306.2, 274.0)])
_BY_EYE = Path(__file__).with_name("marks_by_eye.csv")
Worsen = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def to_uint8(image: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def jpeg(quality: int) -> Worsen:
    def worsen(image: np.ndarray, _: np.random.Generator) -> np.ndarray:
        Image.fromarray(image).save(data := io.BytesIO(), "JPEG", quality=quality)
        return np.asarray(Image.open(data).convert("RGB"))

    return worsen


def motion(length: int) -> Worsen:
    def worsen(image: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        angle, side = draw.uniform(0, 180), 2 * length + 1
        line = np.zeros((side, side), np.float32)
        line[length, length - length // 2 : length + length // 2 + 1] = 1
        turn = cv2.getRotationMatrix2D((length, length), angle, 1)
        line = cv2.warpAffine(line, turn, (side, side))
        return to_uint8(cv2.filter2D(image.astype(np.float32), -1, line / line.sum(), borderType=cv2.BORDER_REFLECT))

    return worsen


def screen(strength: float, dots: bool) -> Worsen:
    def worsen(image: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        y, x = np.mgrid[: image.shape[0], : image.shape[1]] * (2 * np.pi / draw.uniform(3, 8))
        angle = draw.uniform(0, np.pi)
        wave = np.cos(x * np.cos(angle) + y * np.sin(angle))
        return to_uint8(
            image + strength * (wave * np.cos(y * np.cos(angle) - x * np.sin(angle)) if dots else wave)[..., None]
        )

    return worsen


def blur(sigma: float) -> Worsen:
    return lambda image, _: to_uint8(ndimage.gaussian_filter(image.astype(np.float32), (sigma, sigma, 0)))


def noise(sigma: float) -> Worsen:
    return lambda image, draw: to_uint8(image + draw.normal(0, sigma, image.shape))


def gain(factor: float) -> Worsen:
    return lambda image, _: to_uint8(image * float(factor))


def after(first: Worsen, then: Worsen) -> Worsen:
    return lambda image, draw: then(first(image, draw), draw)


def dithered(image: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return np.asarray(Image.fromarray(image).convert("1").convert("RGB"))


def levels(number: int) -> Worsen:
    return lambda image, _: to_uint8((image // (256 // number) + 0.5) * (256 // number))


WORSE: dict[str, tuple[str, Worsen]] = {
    "blur 1 px": ("blurred", blur(1)),
    "blur 2 px": ("blurred", blur(2)),
    "blur 3 px": ("blurred", blur(3)),
    "blur 2 px, JPEG 85": ("blurred", after(blur(2), jpeg(85))),
    "motion 9 px": ("motion", motion(9)),
    "motion 13 px": ("motion", motion(13)),
    "motion 13 px, JPEG 85": ("motion", after(motion(13), jpeg(85))),
    "darkened 2x": ("dark", gain(1 / 2)),
    "darkened 4x": ("dark", gain(1 / 4)),
    "brightened 2x": ("bright", gain(2)),
    "brightened 3x": ("bright", gain(3)),
    "noise 5": ("noisy", noise(5)),
    "noise 12": ("noisy", noise(12)),
    "noise 12, JPEG 85": ("noisy", after(noise(12), jpeg(85))),
    "JPEG 50": ("blocks", jpeg(50)),
    "JPEG 20": ("blocks", jpeg(20)),
    "JPEG 10": ("blocks", jpeg(10)),
    "halftone of 10 levels": ("screen", screen(10, True)),
    "halftone of 30 levels": ("screen", screen(30, True)),
    "lines of 20 levels": ("screen", screen(20, False)),
    "lines, JPEG 85": ("screen", after(screen(20, False), jpeg(85))),
    "32 levels": ("posterized", levels(32)),
    "8 levels": ("posterized", levels(8)),
    "8 levels, JPEG 95": ("posterized", after(levels(8), jpeg(95))),
    "1-bit dither": ("dithered", dithered),
    "1-bit dither, JPEG 90": ("dithered", after(dithered, jpeg(90))),
    "gray": ("gray", lambda image, _: np.asarray(Image.fromarray(image).convert("L").convert("RGB"))),
}


def is_tuning(name: str) -> bool:
    return hashlib.sha256(name.encode()).digest()[0] % 2 == 0


def of_half(face: str, tuning: bool) -> bool:
    return is_tuning(face.rpartition("#")[0]) is tuning


def find_all(folder: Path) -> dict[str, list[list[list[float]]]]:
    """Return the landmarks of all accepted faces of each photograph."""
    found = {}
    for path in sorted(folder.iterdir()):
        try:
            faces = find_faces(decode_photo(path.read_bytes()), "all", detector="auto")
        except UnusablePhotoError:
            continue
        found[path.name] = [face.landmarks.tolist() for face in faces if isinstance(face, Face)]
    return found


def real_faces(data: Path, faces: dict[str, list]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield name, photo and landmarks; a face of several in a photo is name#its place."""
    for name, found in faces.items():
        photo = decode_photo((data / "in_the_wild" / name).read_bytes()) if found else np.empty(0)
        for i, landmarks in enumerate(found):
            yield f"{name}#{i}", photo, np.float32(landmarks)
    for path in sorted((data / "celeba_aligned").iterdir()):
        yield f"{path.name}#0", np.asarray(Image.open(path).convert("RGB")), CELEBA


def seen(photo: np.ndarray, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut the crop out of the photo, reduced by whole blocks; with its corners there."""
    quad = face_quad(landmarks)
    block = max(1, int(np.hypot(*(quad[3] - quad[0])) // _SEEN_SIDE))
    left, top = np.maximum(quad.min(axis=0).astype(int), 0)
    right, bottom = np.ceil(quad.max(axis=0)).astype(int)
    part = photo[top:bottom, left:right]
    size = part.shape[1] // block, part.shape[0] // block
    part = part[: size[1] * block, : size[0] * block]
    if block > 1:
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(part), (quad - (left, top)) / block


def worsened(data: Path, faces: dict[str, list]) -> None:
    with (data / "in_the_wild.csv").open() as file:
        good = {row["file"] for row in csv.DictReader(file) if float(row["jpeg_quality_est"] or 100) >= 88}
    hits: dict[tuple[str, bool], list[bool]] = {}
    for name, found in faces.items():
        if name not in good or not found:
            continue
        photo = decode_photo((data / "in_the_wild" / name).read_bytes())
        part, quad = seen(photo, np.float32(found[0]))
        if np.hypot(*(quad[3] - quad[0])) < 120 or marks_text(measure_marks(part, quad)):
            continue
        draw = np.random.default_rng(int(hashlib.sha256(name.encode()).hexdigest()[:8], 16))
        for what, (mark, worsen) in WORSE.items():
            given = marks_text(measure_marks(worsen(part, draw), quad)).split()
            hits.setdefault((what, is_tuning(name)), []).append(mark in given)
    numbers = [len(hits["gray", half]) for half in (True, False)]
    print(f"worsened copies that get their mark, tuning half ({numbers[0]} crops) and other half ({numbers[1]}):")
    for what, (mark, _) in WORSE.items():
        shares = [np.mean(hits[what, half]) for half in (True, False)]
        print(f"  {mark:>10}  {what:<24} {shares[0]:5.0%} {shares[1]:5.0%}")


def by_eye(given: dict[str, list[str]]) -> None:
    with _BY_EYE.open() as file:
        eye = [(row["face"], row["mark"], row["right"] == "yes") for row in csv.DictReader(file)]
    judged = {(face, mark): right for face, mark, right in eye}
    print("real faces that get a mark, and of these right by eye; right ones by eye that are missed:")
    for mark in MARKS:
        line = f"  {mark:>10}"
        for half, title in ((True, "tuning"), (False, "other")):
            marked = [face for face, marks in given.items() if mark in marks and of_half(face, half)]
            right = sum(judged.get((face, mark), False) for face in marked)
            missed = [
                face
                for (face, name), yes in judged.items()
                if yes and name == mark and of_half(face, half) and mark not in given.get(face, [])
            ]
            line += f"   {title} half: {len(marked)} marked, {right} right, {len(missed)} missed"
        print(line)
        if unjudged := [face for face, marks in given.items() if mark in marks and (face, mark) not in judged]:
            print(f"             not looked at: {', '.join(unjudged)}")


def gallery(folder: Path, images: dict[str, list[tuple[str, np.ndarray]]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for mark, found in images.items():
        columns = min(8, len(found))
        sheet = Image.new("RGB", (160 * columns, 172 * -(-len(found) // columns)))
        draw = ImageDraw.Draw(sheet)
        for i, (name, face) in enumerate(found):
            x, y = 160 * (i % columns), 172 * (i // columns)
            sheet.paste(Image.fromarray(face), (x, y))
            draw.text((x + 2, y + 160), f"{'tuning' if of_half(name, True) else 'other'} {name[-19:]}")
        sheet.save(folder / f"{mark}.jpg", quality=90)


def example_sheet(path: Path) -> None:
    """Show one face as it is and worsened, with the marks that each gets."""
    photo = np.asarray(Image.open(_EXAMPLE).convert("RGB"))
    part, quad = seen(photo, _EXAMPLE_POINTS)
    shown = ["blur 3 px", "motion 13 px", "darkened 4x", "brightened 3x", "noise 12", "JPEG 10"]
    shown += ["halftone of 30 levels", "8 levels", "1-bit dither", "gray"]
    sheet = Image.new("RGB", (6 * 170, 2 * 196), "white")
    draw = ImageDraw.Draw(sheet)
    for i, what in enumerate(["as it is", *shown]):
        image = part if not i else WORSE[what][1](part, np.random.default_rng(1))
        marks = marks_text(measure_marks(image, quad)) or "no mark"
        x, y = 170 * (i % 6), 196 * (i // 6)
        sheet.paste(Image.fromarray(image).resize((168, 168), Image.Resampling.LANCZOS), (x, y))
        draw.text((x + 2, y + 169), what, fill="gray")
        draw.text((x + 2, y + 181), marks, fill="black")
    sheet.save(path, quality=88)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--faces", type=Path)
    parser.add_argument("--gallery", type=Path)
    parser.add_argument("--image", "--picture", type=Path)
    options = parser.parse_args()
    if options.image is not None:
        example_sheet(options.image)
    if options.data is None:
        return
    if options.faces is not None and options.faces.exists():
        faces = json.loads(options.faces.read_text())
    else:
        faces = find_all(options.data / "in_the_wild")
        if options.faces is not None:
            options.faces.write_text(json.dumps(faces))
    given, images, seconds = {}, {}, 0.0
    for name, photo, landmarks in real_faces(options.data, faces):
        start = time.process_time()
        measures = measure_marks(photo, face_quad(landmarks))
        seconds += time.process_time() - start
        given[name] = marks_text(measures).split()
        for mark in given[name] if options.gallery is not None else ():
            images.setdefault(mark, []).append((name, align_face(photo, landmarks, 160)))
    marked = sum(map(bool, given.values()))
    print(f"{len(given)} real faces, {marked} with a mark; {1e3 * seconds / len(given):.1f} CPU-ms a face")
    by_eye(given)
    if options.gallery is not None:
        gallery(options.gallery, images)
    worsened(options.data, faces)


if __name__ == "__main__":
    main()
