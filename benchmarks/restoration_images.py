"""Before/after images of restored faces, for docs/restoration.md and for looking at.

python benchmarks/restoration_images.py PHOTOS... --output SHEET.jpg [--restore fast] [--reduce 1] [--quality 0]
"""

import argparse
import io
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a clone, too

from celebahq_builder.align import align_face
from celebahq_builder.landmarks import Face, find_faces
from celebahq_builder.photos import decode_photo
from celebahq_builder.restore_face import restore_face

MIDDLE = slice(212, 812)  # of a face of 1024 pixels: from the brows to the mouth
SIDE = 320  # of one of the pair, on the sheet


def damage(photo: np.ndarray, reduce: int, quality: int) -> np.ndarray:
    """A small, compressed photo, as the web would have it; reduce 1 and quality 0 change nothing. (H, W, 3) uint8."""
    if reduce > 1:
        size = photo.shape[1] // reduce, photo.shape[0] // reduce
        photo = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    if quality:
        stream = io.BytesIO()
        Image.fromarray(photo).save(stream, "JPEG", quality=quality)
        photo = np.asarray(Image.open(stream).convert("RGB"))
    return photo


def before_after(photo: np.ndarray, restore: str) -> np.ndarray | None:
    """(600, 1200, 3) uint8: the middle of the largest face without and with restoration; None where none is found."""
    faces = find_faces(photo, faces="largest", min_face=8.0, detector="hog")
    if not isinstance(faces[0], Face):
        return None
    before = align_face(photo, faces[0].landmarks)
    done = restore_face(photo, faces[0].landmarks, size=restore)
    after = align_face(done.photo, done.landmarks)
    shift = np.abs(before.mean((0, 1)) - after.mean((0, 1))).max()
    print(f"color shift {shift:.2f} of 255, {'enlarged' if done.enlarged else 'not enlarged'}")
    return np.concatenate([before[MIDDLE, MIDDLE], after[MIDDLE, MIDDLE]], axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, nargs="+", help="photographs")
    parser.add_argument("--output", type=Path, required=True, help="image to write: two pairs a row")
    parser.add_argument("--restore", default="fast", choices=("fast", "fast-free", "full"))
    parser.add_argument("--reduce", type=int, default=1, help="make the photo so many times smaller first")
    parser.add_argument("--quality", type=int, default=0, help="then compress it as a JPEG of this quality")
    args = parser.parse_args()
    pairs = []
    for path in args.photos:
        print(f"{path.name}: ", end="")
        image = before_after(damage(decode_photo(path.read_bytes()), args.reduce, args.quality), args.restore)
        if image is None:
            print("no face found")
            continue
        small = Image.fromarray(image).resize((2 * SIDE, SIDE), Image.Resampling.LANCZOS)
        pairs.append(np.pad(np.asarray(small), ((0, 6), (0, 6), (0, 0)), constant_values=255))
    if len(pairs) % 2:
        pairs.append(np.full_like(pairs[0], 255))
    rows = [np.concatenate(pairs[i : i + 2], axis=1) for i in range(0, len(pairs), 2)]
    Image.fromarray(np.concatenate(rows)).save(args.output, quality=80)


if __name__ == "__main__":
    main()
