"""One rank of the tests of metrics by several: python measuring_rank.py FILE.h5 OUT.json, under torchrun or alone."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import torch

from celebahq_builder.hdf5 import open_dataset
from train.distributed import joined
from train.metrics import inception_views
from train.metrics.fakes import Fakes
from train.metrics.in_training import TrainingMetrics
from train.metrics.reals import Reals
from zoo.progan import Generator, ProGANConfig

CPU = torch.device("cpu")


class Pixels:
    """In the place of Inception: some pixels of an image."""

    sha256 = "pixels"

    def __init__(self, weights: Path | None, device: torch.device) -> None:
        pass

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        flat = images.reshape(len(images), -1).astype(np.float32)
        return flat[:, :2048], flat[:, 2048 : 2048 + 1008]


def digest(x: np.ndarray) -> str:
    """Return what tells an array from any other."""
    return f"{x.shape} {hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest()}"


if __name__ == "__main__":
    torch.manual_seed(0)
    generator = Generator(ProGANConfig(resolution=256, latent_size=8, fmap_base=64, fmap_max=4)).eval()
    inception_views.InceptionFeatures = Pixels
    with open_dataset(sys.argv[1]) as file, joined("test", "again") as ranks:
        found: list = []
        for resolution in (256, 16):  # of 16, 16 and 8 images a batch, and of one batch for all ranks
            shared = {"every_kimg": 1, "dataset": file, "mirror": True, "seed": 0, "device": CPU, "ranks": ranks}
            metrics = TrainingMetrics(("swd", "msssim"), num_images=40, **shared)
            found += [metrics.measure(generator, 100 * i, resolution) for i in range(1 + (resolution == 16))]
        for _ in range(2):  # the second time those of the reals are found where they were kept
            reals, fakes = Reals(file, 256, mirror=True), Fakes(generator, keep_bytes=1 << 20)
            views = inception_views.InceptionViews(fakes, reals, None, CPU, 36, ranks)
            found.append([digest(x) for x in (*views.of_fakes(36), views.of_reals(33))])
        if ranks.first:
            for row in (row for rows in found for row in rows if isinstance(row, dict)):
                del row["seconds"]
            Path(sys.argv[2]).write_text(json.dumps(found))
