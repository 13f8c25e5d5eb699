"""python benchmarks/official.py crop|released|set: what the exact crop costs; an official set of one's own under fire.

crop: CPU a face against the released program's steps in today's Pillow, numpy and scipy (which are not exact), one
thread, taking turns.

released: CPU a face against the released program's steps in its own Pillow 3.1.1, numpy and scipy, for which --python
names an interpreter: exact on both sides, and checked to be (official_speed.py). With --rows it goes on where it was.

set: the photographs of CELEBAHQ_TEST_DATA/in_the_wild with landmarks that dlib finds become a CelebA with deltas in the
published format. celebahq-data official is run on it with an archive missing and a delta damaged, killed at two moments
by SIGKILL, and run again with both mended. Every image must be there, md5 for md5, and none that was wrong.
"""

import argparse
import bz2
import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("CELEBAHQ_TEST_DATA", ROOT.parent / "shared" / "data"))
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from align import straightforward_extend  # noqa: E402
from official_speed import measure  # noqa: E402

from celebahq_builder.align import align_face  # noqa: E402
from celebahq_builder.crop_plan import plan_crop  # noqa: E402
from celebahq_builder.official.deltas import delta_key  # noqa: E402
from celebahq_builder.released.libjpeg8d import decode_libjpeg8d  # noqa: E402
from celebahq_builder.released.plan import released_box  # noqa: E402


def in_todays_pillow(photo: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The released program's steps, as close as today's libraries come: (1024, 1024, 3) uint8."""
    quad, side = released_box(landmarks)
    plan = plan_crop(photo.shape[1::-1], quad, 1024, "released", side)
    image = Image.fromarray(photo)
    if plan.shrink > 1:
        image = image.resize(plan.shrunk_size, Image.Resampling.LANCZOS)
    image = image.crop(plan.crop)
    if plan.enlarge > 1:
        image = image.resize((image.width * plan.enlarge, image.height * plan.enlarge), Image.Resampling.LANCZOS)
    if any(plan.pad):
        image = Image.fromarray(straightforward_extend(np.asarray(image), plan.pad, plan.blur_px))
    corners = (plan.quad + 0.5).ravel().tolist()
    image = image.transform((4096, 4096), Image.Transform.QUAD, corners, Image.Resampling.BILINEAR)
    return np.asarray(image.resize((1024, 1024), Image.Resampling.LANCZOS))


def measure_crop(repeats: int) -> None:
    cv2.setNumThreads(1)
    print(f"{'face':>18} {'padded':>6} {'pillow':>8} {'ours':>7} {'ratio':>6}  (CPU-s, fastest of {repeats})")
    folder = DATA / "crop_vectors"
    for name, case in json.loads((folder / "vectors.json").read_text()).items():
        photo = np.asarray(Image.open(folder / f"{name}.input.png").convert("RGB"))
        photo = photo.repeat(case["repeat"], axis=0).repeat(case["repeat"], axis=1)
        points = np.float32(case["landmarks"])
        seconds: dict[str, list[float]] = {"pillow": [], "ours": []}
        for _ in range(repeats):
            for key, crop in (("pillow", in_todays_pillow), ("ours", lambda p, x: align_face(p, x, 1024, "released"))):
                begun = time.process_time()
                crop(photo, points)
                seconds[key].append(time.process_time() - begun)
        pillow, ours = min(seconds["pillow"]), min(seconds["ours"])
        padded = "yes" if case["released"]["padded"] else "no"
        print(f"{name:>18} {padded:>6} {pillow:8.2f} {ours:7.2f} {ours / pillow:6.2f}")


@dataclass(frozen=True)
class Photo:
    """One photo on its way into the set."""

    path: Path
    idx: int
    folder: Path


def publish(photo: Photo) -> tuple[str, str, str] | None:
    """Write photo and delta; return line of landmarks, line of the list, final md5; None where there is no face."""
    from cryptography.fernet import Fernet

    from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
    from celebahq_builder.landmarks import Face, find_faces

    data, name = photo.path.read_bytes(), f"{photo.idx + 1:06d}.jpg"
    try:
        pixels = decode_libjpeg8d(data)
        (face,) = find_faces(pixels)
    except (ValueError, UnusablePhotoError):
        return None
    if not isinstance(face, Face):
        return None
    points = np.rint(face.landmarks)  # CelebA's are whole numbers
    chw = align_face(pixels, points.astype(np.float32), 1024, "released").transpose(2, 0, 1)
    rng = np.random.default_rng(photo.idx)
    delta = np.clip(rng.normal(0, 1.2, chw.shape), -128, 127).astype(np.int8).view(np.uint8)
    token = Fernet(delta_key(data, name)).encrypt(bz2.compress(delta.tobytes(), 1))
    (photo.folder / "celeba" / "img_celeba" / name).write_bytes(data)
    (photo.folder / "tokens" / f"delta{photo.idx:05d}.dat").write_bytes(token)
    line = " ".join([name, *(str(int(v)) for v in points.ravel())])
    md5s = [hashlib.md5(np.ascontiguousarray(array).tobytes()).hexdigest() for array in (chw, chw + delta)]
    return line, f"{photo.idx} {photo.idx} {name} {md5s[0]} {md5s[1]}", md5s[1]


def make_celeba(folder: Path, count: int, workers: int) -> dict[int, str]:
    """A CelebA of our photographs below folder, its deltas in three archives; final md5 by idx."""
    for part in ("celeba/img_celeba", "celeba/Anno", "deltas", "tokens"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    paths = sorted((DATA / "in_the_wild").glob("*.jpg"))[:count]
    photos = [Photo(path, i * 2999 // len(paths), folder) for i, path in enumerate(paths)]
    with ProcessPoolExecutor(workers) as pool:
        found = {photo.idx: row for photo, row in zip(photos, pool.map(publish, photos), strict=True) if row}
    rows = [found[idx] for idx in sorted(found)]
    landmarks = [str(len(rows)), "names of the columns", *(row[0] for row in rows)]
    (folder / "celeba" / "Anno" / "list_landmarks_celeba.txt").write_text("\n".join(landmarks) + "\n")
    listed = ["idx orig_idx orig_file proc_md5 final_md5", *(row[1] for row in rows)]
    (folder / "deltas" / "image_list.txt").write_text("\n".join(listed) + "\n")
    for token in sorted((folder / "tokens").iterdir()):
        idx = int(token.stem[5:])
        with zipfile.ZipFile(folder / "deltas" / f"deltas{idx - idx % 1000:05d}.zip", "a") as archive:
            archive.write(token, token.name)
    return {idx: row[2] for idx, row in found.items()}


def official(folder: Path, workers: int, kill_at: int = 0) -> int:
    """Run the command in a process of its own; with kill_at, SIGKILL it once so many rows are finished."""
    command = [sys.executable, "-m", "celebahq_builder.dataset", "official", "--celeba", folder / "celeba"]
    command += ["--deltas", folder / "deltas", "--output", folder / "hq.h5", "--workers", workers]
    process = subprocess.Popen([*map(str, command)], cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL)
    journal = folder / "hq.h5.build" / "official.jsonl"
    while process.poll() is None:
        if kill_at and journal.exists() and journal.read_bytes().count(b"\n") >= kill_at:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return -9
        time.sleep(0.2)
    return process.returncode


def statuses(folder: Path) -> dict[int, str]:
    with (folder / "hq.h5.rows.csv").open(newline="") as file:
        return {int(row["idx"]): row["status"] for row in csv.DictReader(file)}


def in_file(folder: Path, md5s: dict[int, str]) -> set[int]:
    """The images of the file; stops where one is not what its md5 says."""
    from celebahq_builder.hdf5 import open_dataset

    with open_dataset(folder / "hq.h5") as dataset:
        found = dataset.faces["idx"].tolist()
        for row, idx in enumerate(found):
            assert hashlib.md5(dataset.read(1024, [row])[0].tobytes()).hexdigest() == md5s[idx], idx
    return set(found)


def run_under_fire(count: int, workers: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="official-"))
    try:
        begun = time.monotonic()
        md5s = make_celeba(folder, count, workers)
        print(f"{len(md5s)} faces of {count} photographs published in {time.monotonic() - begun:.0f} s")
        archives = sorted((folder / "deltas").glob("deltas*.zip"))
        missing, damaged = archives[-1], archives[0]
        absent = {idx for idx in md5s if idx - idx % 1000 == int(missing.stem[6:])}
        shutil.move(missing, folder / missing.name)
        whole = damaged.read_bytes()
        spoiled = bytearray(whole)
        victim = sorted(md5s)[1]
        spoiled[whole.find(f"delta{victim:05d}.dat".encode()) + 5000] ^= 1
        damaged.write_bytes(spoiled)

        begun, possible = time.monotonic(), len(md5s) - len(absent) - 1
        for part in (3, 2):
            assert official(folder, workers, kill_at=possible // part) == -9
            print(f"killed at {possible // part} rows; file there: {(folder / 'hq.h5').exists()}")
        code, found = official(folder, workers), statuses(folder)
        print(
            f"went on: exit code {code}; "
            + ", ".join(f"{list(found.values()).count(s)} {s}" for s in set(found.values()))
        )
        assert code == 1
        assert found[victim] == "archive of deltas damaged"
        assert all(found[idx] == "archive of deltas missing" for idx in absent)
        assert in_file(folder, md5s) == md5s.keys() - absent - {victim}

        damaged.write_bytes(whole)
        shutil.move(folder / missing.name, missing)
        code = official(folder, workers)
        seconds = time.monotonic() - begun
        assert in_file(folder, md5s) == md5s.keys()
        print(f"mended: exit code {code}; all {len(md5s)} images in the file, {seconds / len(md5s):.2f} s an image")
        assert code == 0
        assert not (folder / "hq.h5.build").exists()
    finally:
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["crop", "released", "set"])
    parser.add_argument("--photos", type=int, default=284)
    parser.add_argument("--python", type=Path, help="for released: a Python with Pillow 3.1.1, numpy and scipy")
    parser.add_argument("--rows", type=Path, help="for released: what was measured, kept and gone on from")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if options.what == "crop":
        measure_crop(options.repeats)
    elif options.what == "released":
        if options.python is None:
            parser.error("--python: got none, expected a Python with Pillow 3.1.1, numpy and scipy")
        measure(options.python, DATA, options.photos, options.rows)
    else:
        run_under_fire(options.photos, options.workers)


if __name__ == "__main__":
    main()
