"""python benchmarks/gpu/ranks.py: with two GPUs or more, does torchrun train as one process does, and how fast?

Never run. One process and as many as there are GPUs, captured and eager, train 16x16 from drawn faces for a few
ticks: the schedules must be the same, the networks equal but for rounding, a resume exact. Prints a table last.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402

from celebahq_builder.hdf5 import DatasetWriter  # noqa: E402
from train.state.checkpoint import checkpoints, load_checkpoint  # noqa: E402

OPTIONS = ("--preset", "released", "--resolution", "16", "--stable-kimg", "8", "--fade-kimg", "8", "--tick-kimg", "4",
           "--tick-kimg-at", "16", "4", "--augment", "none", "--precision", "fp32", "--deterministic",
           "--image-ticks", "0", "--device", "cuda",
           "--minibatch", "256", "--minibatch-at", "4", "256")  # fmt: skip


def draw_faces(path: Path) -> None:
    """Write 512 faces of noise."""
    random = np.random.default_rng(0)
    with DatasetWriter(path, 16, 512) as writer:
        for _ in range(512):
            writer.write({r: random.integers(0, 256, (3, r, r), dtype=np.uint8) for r in (16, 8, 4, 2, 1)})


def train(folder: Path, name: str, count: int, kimg: float, *more: str) -> dict:
    """Train with so many processes; return the last checkpoint."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    where = ["--dataset", str(folder / "faces.h5"), "--outdir", str(folder), "--name", name, "--total-kimg", str(kimg)]
    subprocess.run([*launch, "-m", "train", *where, *OPTIONS, *more], cwd=ROOT, check=True)
    return load_checkpoint(checkpoints(folder / name / "checkpoints")[-1])


def differ(a: dict, b: dict) -> float:
    """Return by how much the networks of two checkpoints differ at most."""
    return max(float((a[n][k] - b[n][k]).abs().max()) for n in ("generator", "discriminator") for k in a[n])


def main() -> None:
    """Train in all ways, and compare."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    gpus = min(torch.cuda.device_count(), 8)
    if gpus < 2:
        print(f"ranks.py: got {gpus} CUDA devices, expected two or more", file=sys.stderr)
        sys.exit(2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_faces(folder / "faces.h5")
        alone = train(folder, "alone", 1, 24)
        captured = train(folder, "captured", gpus, 24)
        eager = train(folder, "eager", gpus, 24, "--no-capture")
        train(folder, "parts", gpus, 12)
        parts = train(folder, "parts", gpus, 24)
        print(f"| {gpus} GPUs, against | largest difference of weights | wanted |\n|---|---|---|")
        print(f"| one GPU | {differ(alone, captured):.1e} | rounding, below 1e-2 |")
        print(f"| eager | {differ(eager, captured):.1e} | 0 or rounding |")
        print(f"| stopped and resumed | {differ(parts, captured):.1e} | 0 |")
        for run in ("alone", "captured", "eager"):
            rows = [json.loads(line) for line in (folder / run / "log.jsonl").read_text().splitlines()]
            print(f"{run}: sec/kimg " + ", ".join(f"{row['resolution']}px {row['sec_per_kimg']:.3f}" for row in rows))


if __name__ == "__main__":
    main()
