"""A small training by so many processes, and what two of them have in common."""

import subprocess
import sys
from pathlib import Path

from train.config import TrainConfig
from train.loop import train
from train.presets import preset_values
from train.report.run_log import read_rows
from train.state.checkpoint import checkpoints, load_checkpoint

sys.path.insert(0, str(Path(__file__).parent))
from launch import finish, start

TINY = {
    "stable_kimg": 0.096, "fade_kimg": 0.064, "minibatch": 8, "fmap_base": 32, "fmap_max": 8, "latent_size": 8,
    "tick_kimg": 0.032, "checkpoint_ticks": 1, "ema_kimg": 0.1, "image_ticks": 0, "device": "cpu", "augment": "ada",
    "precision": "fp32",
}  # fmt: skip


def start_training(count: int, dataset: Path, folder: Path, restarts: int = 0, **options: object) -> subprocess.Popen:
    options = {**TINY, **options}
    words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    command = ("-m", "train", "--preset=smoke", "--resolution=8", f"--dataset={dataset}", f"--outdir={folder}")
    return start(count, *command, "--name=run", *words, restarts=restarts)


def trained(count: int, dataset: Path, folder: Path, **options: object) -> dict:
    """Train with so many processes; return the last checkpoint."""
    if count == 1:
        values = {**preset_values("smoke"), "resolution": 8, **TINY, **options}
        train(TrainConfig(dataset=dataset, outdir=folder, name="run", preset="smoke", **values))
    else:
        process = start_training(count, dataset, folder, **options)
        said, errors = finish(process)
        assert process.returncode == 0, said + errors
        assert said.count("done: ") == 1, said  # one speaks
    return load_checkpoint(checkpoints(folder / "run" / "checkpoints")[-1])


def differ(a: dict, b: dict) -> float:
    """Return by how much the networks of two checkpoints differ at most."""
    names = ("generator", "discriminator", "g_ema")
    return max(float((a[name][key] - b[name][key]).abs().max()) for name in names for key in a[name])


def rows(folder: Path) -> list[tuple]:
    """Return what a log says of the schedule."""
    names = ("kimg", "resolution", "alpha", "minibatch", "learning_rate", "iterations", "d_overflow")
    return [tuple(row[name] for name in names) for row in read_rows(folder / "run" / "log.jsonl")]
