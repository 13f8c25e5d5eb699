"""What the last stage of a progressively grown generator is worth: its SWD beside that of the stage before, enlarged.

python benchmarks/stage_gain.py MODEL F.h5 [--images 9000] [--before runs/faces/checkpoints/checkpoint-000064.000.pt]

Every row is compared with the same reals, as many images each. The floor is what other reals score. "reals of R/2" are
those other reals, halved and enlarged again: no stage of R/2 can be nearer than that. --before adds the images that the
moving average of a checkpoint of that stage, or of the fade after it, generates at R/2. Both are enlarged by repeating,
as the growing network does it, and by bilinear interpolation.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

import zoo
from celebahq_builder.hdf5 import open_dataset
from train.metrics.fakes import Fakes
from train.metrics.reals import Reals
from train.metrics.swd import collect, descriptor_swd
from train.state.checkpoint import load_checkpoint
from zoo.progan import Generator

Batches = Iterator[np.ndarray]


def enlarged(batches: Batches, mode: str) -> Batches:
    """Twice as large: (N, 3, R, R) uint8 each."""
    for batch in batches:
        images = F.interpolate(torch.from_numpy(np.ascontiguousarray(batch)).float(), scale_factor=2, mode=mode)
        yield images.round().to(torch.uint8).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="model folder, run folder or a name of python -m zoo list")
    parser.add_argument("dataset")
    parser.add_argument("--before", type=Path, help="checkpoint of the stage before")
    parser.add_argument("--images", type=int, default=9000)
    options = parser.parse_args()
    generator, count = zoo.load(options.model), options.images
    side = generator.config.resolution
    with open_dataset(options.dataset) as dataset:
        reals, small = (Reals(dataset, r, mirror=True) for r in (side, side // 2))
        reals.require(2 * count)
        of_reals = collect(reals.batches(count))
        rows = {
            "other reals (the noise floor)": reals.batches(count, start=count),
            "the model": Fakes(generator).batches(count),
        }
        for mode in ("nearest", "bilinear"):
            rows[f"reals of {side // 2}, {mode}"] = enlarged(small.batches(count, start=count), mode)
        if options.before:
            before = Generator(generator.config)
            before.load_state_dict(load_checkpoint(options.before)["g_ema"])
            for mode in ("nearest", "bilinear"):
                batches = Fakes(before.eval(), resolution=side // 2).batches(count)
                rows[f"{options.before.stem} at {side // 2}, {mode}"] = enlarged(batches, mode)
        floor = None
        print("| images | " + " | ".join(map(str, of_reals.resolutions)) + " | average | above the noise floor |")
        print("|---" * (len(of_reals.resolutions) + 3) + "|")
        for name, batches in rows.items():
            distances = descriptor_swd(of_reals, collect(batches, stream=1))
            floor = floor or distances["average"]
            cells = " | ".join(f"{value:.2f}" for value in distances.values())
            print(f"| {name} | {cells} | {distances['average'] - floor:.2f} |", flush=True)


if __name__ == "__main__":
    main()
