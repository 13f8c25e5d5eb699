"""What restoration costs a face, how the quality scores move, what it does not reward, and how much memory it takes.

OMP_NUM_THREADS=1 python benchmarks/restoration.py speed PHOTOS [--count 20] [--modes off fast full] [--device cpu]
OMP_NUM_THREADS=1 python benchmarks/restoration.py ranking PHOTOS... [--count 20] [--restore fast]
OMP_NUM_THREADS=1 python benchmarks/restoration.py threshold FACES [--count 5] [--restore fast]
OMP_NUM_THREADS=1 python benchmarks/restoration.py memory [--megapixels 100] [--restore fast]
"""

import argparse
import io
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from scipy.stats import spearmanr

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a clone, too

from celebahq.command import run_command
from celebahq.device import choose_device
from celebahq_builder.config import BuildConfig
from celebahq_builder.photos import decode_photo, find_photos
from celebahq_builder.process_photo import Task, process_photo
from celebahq_builder.quality import quality_score
from celebahq_builder.sources.input_photos import FileStamp
from celebahq_builder.state.manifest import Row
from celebahq_builder.state.waiting_faces import decode_face


def faces_of(data: bytes, name: str, config: BuildConfig) -> list[tuple[Row, np.ndarray, float]]:
    """(row, face, CPU seconds of the whole photo) of every face of one photo."""
    begin = time.process_time()
    result = process_photo(Task(name, config, None), FileStamp(len(data), 0), data)
    seconds = time.process_time() - begin
    aligned = [row for row in result.rows if row.status == "aligned"]
    return [(row, decode_face(result.faces[row.face_index]), seconds) for row in aligned]


def config_for(photos: Path, restore: str, device: str = "cpu") -> BuildConfig:
    return BuildConfig(input=photos, restore=restore, device=device)


def speed(args: argparse.Namespace) -> None:
    """Seconds a face, and how the scores move, with the modes taking turns on every photo."""
    names = find_photos(args.photos[0])
    names = names[:: max(1, len(names) // args.count)][: args.count]
    rows: dict[str, list] = {mode: [] for mode in args.modes}
    for name in names:
        data = (args.photos[0] / name).read_bytes()
        turns = {mode: faces_of(data, name, config_for(args.photos[0], mode, args.device)) for mode in args.modes}
        if all(turns.values()):
            for mode, turn in turns.items():
                rows[mode].append(turn[0])
    sides = [1024 * row.scale for row, _, _ in rows[args.modes[0]]]
    print(f"{len(sides)} faces, sides of their boxes {np.percentile(sides, [0, 25, 50, 75, 100]).round()} px")
    print("mode   CPU-s a face: mean, median, most   score: mean   rho(score, side)   rho(score of the face, side)")
    for mode, found in rows.items():
        seconds = [seconds for _, _, seconds in found]
        scores = [row.score for row, _, _ in found]
        scored = [quality_score(face).score for _, face, _ in found]
        cost = f"{np.mean(seconds):8.2f} {np.median(seconds):8.2f} {np.max(seconds):8.2f}"
        rho = f"{spearmanr(scores, sides).statistic:14.3f} {spearmanr(scored, sides).statistic:18.3f}"
        print(f"{mode:<5} {cost} {np.mean(scores):18.3f} {rho}")


def ranking(args: argparse.Namespace) -> None:
    """Whether a photo reduced to a quarter and restored ever outranks the original, on the largest faces."""
    found = []
    for folder in args.photos:
        for name in find_photos(folder):
            data = (folder / name).read_bytes()
            faces = faces_of(data, name, config_for(folder, "off"))
            found += [(faces[0][0].scale, name, data, folder)] if faces else []
    found = sorted(found, key=lambda face: -face[0])[: args.count]
    print(f"{len(found)} faces, from {found[-1][0]:.2f} to {found[0][0]:.2f} source pixels a pixel")
    wins = {"score": 0, "score of the face": 0}
    for scale, name, data, folder in found:
        config = config_for(folder, args.restore)
        photo = decode_photo(data)
        small = cv2.resize(photo, (photo.shape[1] // 4, photo.shape[0] // 4), interpolation=cv2.INTER_AREA)
        stream = io.BytesIO()
        Image.fromarray(small).save(stream, "PNG")
        original, reduced = (
            faces_of(given, name, replace(config, min_face=8.0)) for given in (data, stream.getvalue())
        )
        if not original or not reduced:
            print(f"{name}: no face found once it is small")
            continue
        pairs = {
            "score": (original[0][0].score, reduced[0][0].score),
            "score of the face": tuple(quality_score(face).score for _, face, _ in (original[0], reduced[0])),
        }
        for which, (before, after) in pairs.items():
            wins[which] += after >= before
        line = ", ".join(f"{which} {before:.3f} -> {after:.3f}" for which, (before, after) in pairs.items())
        print(f"{name} ({scale:.2f}): {line}", flush=True)
    for which, number in wins.items():
        print(f"by {which}: {number} of {len(found)} outrank their original once reduced and restored")


def threshold(args: argparse.Namespace) -> None:
    """Up to what size super-resolution pays: the sharpest of aligned faces of 1024, reduced and cut out again."""
    from celebahq_builder.align import align_face
    from celebahq_builder.restore import SCALE, remove_artifacts, super_resolve
    from train.restoration.protocol import psnr
    from train.restoration.texture import texture_distance

    def cut(image: np.ndarray) -> np.ndarray:
        """The whole square image as a face of 1024, by landmarks whose box it is; mirrored around it."""
        side, around = len(image), len(image) // 8
        landmarks = np.array([[0.375, 0.475], [0.625, 0.475], [0.5, 0.6], [0.375, 0.725], [0.625, 0.725]]) * side - 0.5
        return align_face(np.pad(image, ((around,) * 2, (around,) * 2, (0, 0)), "symmetric"), landmarks + around)

    found = [decode_photo((args.photos[0] / name).read_bytes()) for name in find_photos(args.photos[0])]
    faces = [face for face in found if face.shape == (1024, 1024, 3)]
    faces = sorted(faces, key=lambda face: -quality_score(face).score)[: args.count]
    ways = {
        "bilinear": lambda photo: photo,
        "Lanczos": lambda photo: cv2.resize(photo, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_LANCZOS4),
        "network": lambda photo: super_resolve(photo, args.restore, device=args.device),
    }
    print("side/1024, then PSNR in dB, texture distance and CPU-s of each way")
    for share in (0.25, 0.35, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99):
        made, seconds = {way: [] for way in ways}, dict.fromkeys(ways, 0.0)
        for face in faces:
            small = Image.fromarray(face).resize((round(1024 * share),) * 2, Image.Resampling.LANCZOS)
            small.save(stream := io.BytesIO(), "JPEG", quality=90)
            clean = remove_artifacts(decode_photo(stream.getvalue()), args.restore)
            for way, enlarge in ways.items():
                begin = time.process_time()
                made[way].append(cut(enlarge(clean)))
                seconds[way] += time.process_time() - begin
        cells = []
        for way, images in made.items():
            error = np.mean([psnr(*pair) for pair in zip(faces, images, strict=True)])
            texture = texture_distance(faces, images)
            cells.append(f"{way} {error:.2f} {texture:5.1f} {seconds[way] / len(faces):.2f}")
        print(f"{share:.2f}   {'   '.join(cells)}", flush=True)


def memory(args: argparse.Namespace) -> None:
    """Peak memory of a large photo; the photo itself is three bytes a pixel, and so is the result."""
    from celebahq_builder.restore import remove_artifacts, super_resolve

    side = round((args.megapixels * 1e6) ** 0.5)
    tile = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    small = cv2.resize(np.tile(tile, (4, 4, 1)), (1024, 1024), interpolation=cv2.INTER_CUBIC)
    jpeg = cv2.imdecode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_COLOR)
    super_resolve(small[:300, :300], args.restore)  # what the networks themselves take
    remove_artifacts(jpeg, args.restore)
    print(f"before the large photo: {peak_mb():,.0f} MB at most")
    photo = np.tile(jpeg, (-(-side // 1024), -(-side // 1024), 1))[:side, :side].copy()
    begin = time.process_time()
    remove_artifacts(photo, args.restore)
    seconds = time.process_time() - begin
    print(f"{photo.shape}, {photo.nbytes / 1e6:,.0f} MB: {peak_mb():,.0f} MB at most, {seconds:.0f} CPU-s")


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "ranking", "threshold", "memory"))
    parser.add_argument("photos", type=Path, nargs="*")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--modes", nargs="+", default=["off", "fast", "full"])
    parser.add_argument("--restore", default="fast")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--megapixels", type=float, default=100)
    given = parser.parse_args()
    if given.what != "memory" and not given.photos:
        parser.error("PHOTOS is missing")
    what = {"speed": speed, "ranking": ranking, "threshold": threshold, "memory": memory}[given.what]
    run_command(lambda: choose_device(given.device) and what(given), "restoration.py", interrupted="stopped")
