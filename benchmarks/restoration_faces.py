"""Find the upright faces of photographs for train.restoration's --faces, with the builder's dlib detector.

python benchmarks/restoration_faces.py PHOTOS --output faces.csv [--scale 2]
"""

import argparse
import csv
import sys
from pathlib import Path

from PIL import Image

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a clone, too

from celebahq_builder.dlib_faces import detect
from train.restoration.faces import COLUMNS
from train.restoration.photos import read_photos


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="folder or zip, as given to python -m train.restoration --photos")
    parser.add_argument("--output", type=Path, required=True, help="CSV to write")
    parser.add_argument("--scale", type=float, default=2.0, help="enlarge first: faces of 80 / SCALE pixels are found")
    args = parser.parse_args()
    rows = []
    for name, photo in read_photos(args.photos, "photos/").items():
        for found in detect(Image.fromarray(photo), args.scale, 0, "hog"):
            if found.score > 0:  # dlib's own threshold: no landmarks confirm what lies below
                left, top = (round(edge) for edge in found.center - found.side / 2)
                rows.append((name.removeprefix("photos/"), left, top, round(found.side), round(found.side)))
    with args.output.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    print(f"{args.output}: {len(rows)} faces in {len({row[0] for row in rows})} photographs")


if __name__ == "__main__":
    main()
