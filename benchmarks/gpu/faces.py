"""Train a generator of 128x128 faces on one GPU, in slices: run the same command again until it says that it is done.

    python benchmarks/gpu/faces.py --data celeba128-0.zip celeba128-1.zip --state STATE --output OUT [--minutes 9]

The first slice turns the images into STATE/faces.h5. Every slice goes on training STATE/runs/faces until its minutes
are over, then measures, and leaves in OUT: model/ (config.json, model.safetensors), the newest grid, log.jsonl,
table.txt. STATE must be kept between slices: its checkpoints hold everything, optimizers included. Meant for 25 minutes
of an H100 (an estimate); the last line printed says how far it came.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from celebahq.command import run_command  # noqa: E402
from celebahq.device import choose_device  # noqa: E402

MARGIN_SECONDS = 50
"""Kept at the end of a slice for the checkpoint, the metrics and the copies."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="zips or folders of square images")
    parser.add_argument("--state", type=Path, required=True, help="folder that is kept between slices")
    parser.add_argument("--output", type=Path, required=True, help="folder for what is worth taking away")
    parser.add_argument("--minutes", type=float, default=9.0, help="length of this slice")
    parser.add_argument("--device", default="cuda", help="cpu tries the script, not the GPU")
    parser.add_argument("--preset", default="celeba128", help="of python -m train")
    parser.add_argument("--images", type=int, default=8192, help="images that the metrics compare")
    parser.add_argument("train", nargs="*", help="further options of python -m train, after --")
    options = parser.parse_args()
    deadline = time.monotonic() + options.minutes * 60 - MARGIN_SECONDS
    choose_device(options.device)
    options.state, options.output = options.state.resolve(), options.output.resolve()  # the commands run elsewhere
    options.data = [path.resolve() for path in options.data]
    options.state.mkdir(parents=True, exist_ok=True)
    options.output.mkdir(parents=True, exist_ok=True)

    dataset, run = options.state / "faces.h5", options.state / "runs" / "faces"
    if not dataset.exists():
        command("celebahq_builder.dataset", "import", *map(str, options.data), "--output", str(dataset))
    finished = train_until(deadline, dataset, options)

    measured = command(
        "train.metrics", "--model", str(run), "--dataset", str(dataset), "--metrics", "swd,msssim",
        "--num-images", str(options.images), check=False,
    )  # fmt: skip
    table = summary(run, finished, measured)
    (options.output / "table.txt").write_text(table)
    shutil.copytree(run / "model", options.output / "model", dirs_exist_ok=True)
    shutil.copy(run / "log.jsonl", options.output)
    shutil.copy(sorted(run.glob("fakes-*.png"))[-1], options.output / "fakes.png")
    print(table)
    return 0


def command(module: str, *arguments: str, check: bool = True) -> str:
    """Run one of this project's commands, show what it prints, and return it."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE, check=False
    )
    print(done.stdout, flush=True)
    if check and done.returncode:
        sys.exit(f"{module}: exit code {done.returncode}")
    return done.stdout


def train_until(deadline: float, dataset: Path, options: argparse.Namespace) -> bool:
    """Train until the deadline or the end; return whether it came to the end."""
    arguments = ["--dataset", dataset, "--outdir", options.state / "runs", "--name", "faces"]
    arguments += ["--preset", options.preset, "--device", options.device, *options.train]
    process = subprocess.Popen([sys.executable, "-m", "train", *map(str, arguments)], cwd=ROOT)
    try:
        code = process.wait(max(1.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGINT)  # it finishes its iteration, saves and says how to go on
        code = process.wait()
    if code not in (0, 130):
        sys.exit(f"train: exit code {code}")
    return code == 0


def summary(run: Path, finished: bool, measured: str) -> str:
    """Return sec/kimg of every resolution and phase, the metrics, and how far training came."""
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    lines = ["resolution  phase   minibatch  sec/kimg (median of its ticks)"]
    for resolution in sorted({row["resolution"] for row in rows}):
        for fading in (True, False):
            chosen = [r for r in rows if r["resolution"] == resolution and (r["alpha"] < 1) == fading]
            if chosen:
                seconds = sorted(r["sec_per_kimg"] for r in chosen)[len(chosen) // 2]
                phase = "fade" if fading else "stable"
                lines.append(f"{resolution:>10}  {phase:<6}  {chosen[-1]['minibatch']:>9}  {seconds:.3f}")
    last = rows[-1]
    lines += ["", measured.strip(), ""]
    end = "done" if finished else "run the same command again"
    lines.append(f"{last['kimg']:g} kimg at {last['resolution']}x{last['resolution']}, {last['seconds']:.0f} s: {end}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    run_command(main, "faces.py", interrupted="stopped; the same command goes on")
