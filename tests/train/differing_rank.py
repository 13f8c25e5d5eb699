"""One rank of a test: python differing_rank.py WHAT FOLDER DATASET OTHER; rank 1 differs from rank 0 in WHAT."""

import os
import sys
from pathlib import Path

from celebahq.command import run_command
from train import distributed
from train.config import TrainConfig
from train.loop import train


def main() -> None:
    what, folder, *datasets = sys.argv[1:]
    differs = os.environ["RANK"] == "1"
    if differs and what == "version":
        distributed.version = lambda: "0.0.1"
    dataset = Path(datasets[differs and what == "dataset"])
    options = {"fmap_base": 32, "fmap_max": 8, "latent_size": 8, "device": "cpu", "resolution": 8}
    train(TrainConfig(dataset=dataset, outdir=Path(folder), name="run", **options))


if __name__ == "__main__":
    run_command(main, "celebahq-train", has_ranks=True)
