"""python benchmarks/acceptance.py DATA [--every N]: how much of a face photos show, and what a cut does to its score.

DATA is the folder that holds in_the_wild/. First six portraits are cut from the left in five steps, up to the near eye,
with the landmarks that the whole photograph has: the score must not rise by more than 0.01. Then, over all photographs
(or every Nth): of how many faces a part lies outside the photo, by how much.
"""

import argparse
from pathlib import Path

import numpy as np

from celebahq_builder.align import align_face, face_quad
from celebahq_builder.config import MAX_INVENTED
from celebahq_builder.coverage import coverage, inside_photo
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.landmarks import Face, find_faces
from celebahq_builder.photos import decode_photo
from celebahq_builder.quality import quality_score

SIX = (
    "caltech__image_0008.jpg",
    "caltech__image_0015.jpg",
    "caltech__image_0025.jpg",
    "faceapijs__angry.jpg",
    "human__person-nicole.jpg",
    "insightface__inspireface_bulk_Rob_Lowe_0002.jpg",
)


def faces_of(path: Path) -> tuple[np.ndarray, list[Face]]:
    try:
        photo = decode_photo(path.read_bytes())
        return photo, [face for face in find_faces(photo, "all") if isinstance(face, Face)]
    except UnusablePhotoError:
        return np.empty((0, 0, 3), np.uint8), []


def count(paths: list[Path]) -> None:
    found = []
    for path in paths:
        photo, faces = faces_of(path)
        found += [coverage(face_quad(face.landmarks), photo.shape[1::-1]) for face in faces]
    padding, invented = np.array(found).T
    print(f"{len(found)} faces in {len(paths)} photographs; crop beyond the photo: {(padding > 0).sum()}", end="")
    print(f", by more than a quarter: {(padding > 0.25).sum()}", end="; ")
    print(
        f"face beyond the photo: {(invented > 0).sum()}, by more than {MAX_INVENTED}: {(invented > MAX_INVENTED).sum()}"
    )


def cut(path: Path) -> float:
    """Print the scores of one portrait as it is cut; return by how much they rise above the whole one's at most."""
    photo, faces = faces_of(path)
    points = faces[0].landmarks
    quad, size = face_quad(points), photo.shape[1::-1]
    shown = inside_photo(quad, size, 1024)
    whole = quality_score(align_face(photo, points), shown).score
    line, rise = f"{path.name[:44]:>44} {whole:6.3f}", -1.0
    first, last = max(float(quad[:, 0].min()), 0.0), float(points[0, 0])
    for x in np.linspace(first, last, 6)[1:].round().astype(int):
        part, moved = photo[:, x:], points - [x, 0]
        box = face_quad(moved)
        shown = inside_photo(box, part.shape[1::-1], 1024)
        face = align_face(part, moved)
        score, bare = quality_score(face, shown).score, quality_score(face).score
        invented = coverage(box, part.shape[1::-1]).invented
        line += f"  {score:6.3f} ({bare:.3f}){'*' if invented > MAX_INVENTED else ' '}"
        rise = max(rise, score - whole)
    print(line, f" {rise:+.3f}")
    return rise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--every", type=int, default=1)
    options = parser.parse_args()
    folder = options.data / "in_the_wild"
    print("score whole, then cut in five steps (without the mask); * refused by default; largest rise")
    worst = max(cut(folder / name) for name in SIX)
    print(f"largest rise of all: {worst:+.3f} (0.01 may be)")
    count(sorted(folder.iterdir())[:: options.every])


if __name__ == "__main__":
    main()
