"""What benchmarks/official.py released measures: our exact crop beside the released program's, face by face, by CPU.

The other side is a Python with Pillow 3.1.1, numpy and scipy (docs/measurements.md says how to build it), in which
released_steps.py runs. It must give the md5s that were recorded of the released program; else it is not that program.
"""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from celebahq_builder.align import plan_face
from celebahq_builder.crop_plan import CropPlan
from celebahq_builder.released.lanczos_float32 import resize
from celebahq_builder.released.libjpeg8d import decode_libjpeg8d
from celebahq_builder.released.padding import extend_released
from celebahq_builder.released.warp import sample_released

STEPS = ("shrink", "enlarge", "pad", "sample")


@dataclass(frozen=True)
class Measured:
    """CPU seconds of one face by step, ours and theirs; decode is absent where theirs is no libjpeg 8d."""

    file: str
    index: int
    kind: str
    ours: dict[str, float]
    theirs: dict[str, float]

    def ratio(self, *without: str) -> float:
        """Ours as a multiple of theirs, all steps but these."""
        mine, other = (
            {name: s for name, s in side.items() if name not in without} for side in (self.ours, self.theirs)
        )
        return sum(mine.values()) / sum(other.values())


def measure(python: Path, data: Path, count: int, rows: Path | None) -> None:
    """Print the ratios, by kind of face and by step, of so many faces of data/official_vectors/oracle_104.json.

    rows: a JSON line a face is added to it as soon as it is measured; those that are there are not measured again.
    """
    cv2.setNumThreads(1)
    faces = dict(enumerate(json.loads((data / "official_vectors" / "oracle_104.json").read_text())))
    if count < len(faces):
        faces = {at: faces[at] for at in (i * len(faces) // count for i in range(count))}
    lines = rows.read_text().splitlines() if rows and rows.exists() else []
    found = {row.index: row for row in (Measured(**json.loads(line)) for line in lines)}
    with _released_program(python) as ask, tempfile.TemporaryDirectory() as scratch:
        for index in faces.keys() - found.keys():
            row = _measure_face(ask, data / "in_the_wild", index, faces[index], Path(scratch) / "photo.npy")
            found[index] = row
            print(f"{index} {row.file} {row.kind}: {row.ratio('decode'):.2f}", flush=True)
            if rows:
                with rows.open("a") as file:
                    print(json.dumps(asdict(row)), file=file)
    _print_summary([found[index] for index in faces])


@contextlib.contextmanager
def _released_program(python: Path) -> Iterator[Any]:
    """A function from a job to the answer of released_steps.py, which runs in another Python meanwhile."""
    command = [str(python), str(Path(__file__).with_name("released_steps.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout

        def ask(job: dict[str, Any] | None) -> dict[str, Any]:
            if job is not None:
                print(json.dumps(job), file=process.stdin, flush=True)
            line = process.stdout.readline()
            if not line:
                sys.exit(f"{python}: got no answer, expected a Python that imports Pillow 3.1.1, numpy and scipy")
            return json.loads(line)

        versions = ask(None)
        if versions["pillow"] != "3.1.1":
            sys.exit(f"{python}: got Pillow {versions['pillow']}, expected 3.1.1, which the released program requires")
        print(f"beside {python}: " + ", ".join(f"{name} {version}" for name, version in versions.items()))
        yield ask
        process.stdin.close()


def _measure_face(ask: Any, photos: Path, index: int, face: dict[str, Any], scratch: Path) -> Measured:
    """One face, theirs and then ours, so that both see the machine as it is at the moment."""
    path = photos / face["file"]
    data = path.read_bytes()
    decoded = ask({"decode": str(path)})
    begun = _cpu()
    photo = decode_libjpeg8d(data)
    decoding = _cpu() - begun
    plan = plan_face(photo.shape[1::-1], np.float32(face["lm"]), 1024, "released").plan
    np.save(scratch, photo)
    theirs = ask({"pixels": str(scratch), "plan": asdict(plan) | {"quad": plan.quad.tolist()}})
    aligned, ours = _by_step(photo, plan)
    md5 = hashlib.md5(np.ascontiguousarray(aligned.transpose(2, 0, 1)).tobytes()).hexdigest()
    assert theirs["md5"] == face["md5"], f"{path}: the other Python's libraries are not those of the released program"
    assert md5 == face["md5"], f"{path}: ours differs"
    seconds = theirs["seconds"]
    if decoded.get("md5") == hashlib.md5(photo.tobytes()).hexdigest():
        ours["decode"], seconds["decode"] = decoding, decoded["seconds"]["decode"]
    kind = "padded" if any(plan.pad) else "shrunk" if plan.shrink > 1 else "inside"
    return Measured(face["file"], index, kind, ours, seconds)


def _by_step(photo: np.ndarray, plan: CropPlan) -> tuple[np.ndarray, dict[str, float]]:
    """align_face(photo, ..., "released"), step by step on the clock."""
    times = [_cpu()]
    image = resize(photo, plan.shrunk_size, plan.crop)
    times.append(_cpu())
    image = resize(image, (image.shape[1] * plan.enlarge, image.shape[0] * plan.enlarge))
    times.append(_cpu())
    if any(plan.pad):
        image = extend_released(image, plan.pad, plan.blur_px)
    times.append(_cpu())
    aligned = sample_released(image, plan.quad, 1024)
    times.append(_cpu())
    return aligned, dict(zip(STEPS, np.diff(times).tolist(), strict=True))


def _print_summary(found: list[Measured]) -> None:
    print("\nCPU of ours as a multiple of theirs, crop alone but for the last line")
    print(f"{'faces':>18} {'number':>6} {'median':>7} {'worst':>6} {'sum':>6}")
    for kind in ("inside", "shrunk", "padded", "all"):
        rows = [row for row in found if kind in ("all", row.kind)]
        if rows:
            ratios = [row.ratio("decode") for row in rows]
            whole = _sum(rows, "ours", STEPS) / _sum(rows, "theirs", STEPS)
            print(f"{kind:>18} {len(rows):6} {np.median(ratios):7.2f} {max(ratios):6.2f} {whole:6.2f}")
    decoded = [row for row in found if "decode" in row.ours]
    if decoded:
        steps = ("decode", *STEPS)
        ratios = [row.ratio() for row in decoded]
        whole = _sum(decoded, "ours", steps) / _sum(decoded, "theirs", steps)
        print(f"{'all, and decoding':>18} {len(decoded):6} {np.median(ratios):7.2f} {max(ratios):6.2f} {whole:6.2f}")
    print(f"\n{'step':>18} {'faces':>6} {'theirs':>7} {'ours':>6} {'ratio':>6}   CPU-s a face that takes it")
    for step in ("decode", *STEPS):
        rows = [row for row in found if row.theirs.get(step, 0) > 0.005 or row.ours.get(step, 0) > 0.005]
        if rows:
            theirs, ours = (_sum(rows, side, (step,)) / len(rows) for side in ("theirs", "ours"))
            print(f"{step:>18} {len(rows):6} {theirs:7.3f} {ours:6.3f} {ours / max(theirs, 1e-9):6.2f}")


def _sum(rows: list[Measured], side: str, steps: tuple[str, ...]) -> float:
    return sum(getattr(row, side)[step] for row in rows for step in steps)


def _cpu() -> float:
    return sum(os.times()[:2])
