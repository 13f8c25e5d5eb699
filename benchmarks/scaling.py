"""python benchmarks/scaling.py: what several GPUs should reach, by arithmetic: a model, nothing is run.

A step's time on M GPUs is computing (the share of the minibatch, at the images/s that one GPU's memory allows) plus the
two all-reduces of the gradients, 2 (M - 1) / M of their bytes over the slowest link, not hidden behind computing.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from train.parameters import FlatParameters
from zoo.architecture import ProGANConfig
from zoo.progan import Discriminator, Generator

IMAGES_PER_SECOND = {4: 24700, 64: 1892, 128: 968, 256: 484, 512: 230, 1024: 111}
"""Ceiling of one GPU at 3.0 TB/s in bf16: the counted traffic of one iteration's kernels, not a measurement."""
SHARE = {4: 64, 64: 8, 128: 4, 256: 4, 512: 4, 1024: 4}
"""Images a GPU and step: those of the preset `released` on 8 GPUs, where less than a group at least a group."""


def gradient_bytes(resolution: int) -> int:
    """Return the bytes that both all-reduces of one step sum, counted on the networks themselves."""
    config = ProGANConfig()
    return sum(
        4 * FlatParameters(network).prefix(resolution).numel() for network in (Generator(config), Discriminator(config))
    )


def main() -> None:
    """Print a table a link's speed, in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gb-per-second", type=float, nargs="*", default=[25, 50, 400], help="of the slowest link")
    parser.add_argument("--gpus", type=int, nargs="*", default=[2, 4, 8, 16, 32, 64])
    options = parser.parse_args()
    torch.manual_seed(0)
    sizes = {r: gradient_bytes(r) for r in IMAGES_PER_SECOND}
    for speed in options.gb_per_second:
        print(f"\n| R | MB a step | images a GPU | computing, ms | all-reduce, ms ({speed:g} GB/s, 8 GPUs) | ", end="")
        print(" | ".join(f"{n} GPUs" for n in options.gpus) + " |")
        print("|" + "---|" * (5 + len(options.gpus)))
        for r, rate in IMAGES_PER_SECOND.items():
            computing = SHARE[r] / rate
            wire = {n: 2 * (n - 1) / n * sizes[r] / (speed * 1e9) for n in (8, *options.gpus)}
            cells = [f"{computing / (computing + wire[n]):.0%}" for n in options.gpus]
            row = [f"{r}", f"{sizes[r] / 1e6:.0f}", f"{SHARE[r]}", f"{1000 * computing:.1f}", f"{1000 * wire[8]:.1f}"]
            print("| " + " | ".join(row + cells) + " |")


if __name__ == "__main__":
    main()
