"""What SWD and MS-SSIM say of faces that were spoilt in a known way: the table of docs/metrics.md.

python benchmarks/metrics_sensitivity.py F.h5 [--images 2000] [--resolution 128] [--floor 18000]

The first rows of the file are the reals, the next ones, spoilt, are the fakes; a row of the file is taken once. With
--floor N the noise floor of N images, two halves of N / 2, is printed instead.
"""

import argparse
from collections.abc import Callable
from itertools import cycle, islice

import cv2
import numpy as np

from celebahq_builder.hdf5 import open_dataset
from train.metrics.ms_ssim import ms_ssim_of
from train.metrics.swd import collect, descriptor_swd, noise_floor

GAN_ZOO_FLOOR = (1.5656, 1.5661, 1.4281, 3.9843, 2.1360)
"""128, 64, 32, 16, average: two samples of CelebA ("Reproducing Progressive GAN")."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--images", type=int, default=2000, help="reals, and fakes")
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--floor", type=int, help="images of which the noise floor is taken")
    options = parser.parse_args()
    with open_dataset(options.dataset) as dataset:
        if options.floor:
            rows = range(0, options.floor, 64)
            images = (dataset.read(options.resolution, np.arange(r, min(r + 64, options.floor))) for r in rows)
            print_row("reals, halves", noise_floor(images), None)
            if options.resolution == 128:
                print("| GAN zoo document | " + " | ".join(f"{value:.4f}" for value in GAN_ZOO_FLOOR) + " | |")
            return
        reals, fakes = (
            dataset.read(options.resolution, np.arange(first, first + options.images)) for first in (0, options.images)
        )
    of_reals = collect(reals, stream=0)
    random = np.random.default_rng(0)
    print("| fakes | " + " | ".join(map(str, of_reals.resolutions)) + " | average | MS-SSIM |")
    print("|---|" + "---|" * (len(of_reals.resolutions) + 2))
    for name, spoil in SPOILT.items():
        spoilt = spoil(fakes, random)
        pairs = random.permutation(spoilt)  # repeated faces must not stand side by side, nor never
        print_row(name, descriptor_swd(of_reals, collect(spoilt, stream=1)), ms_ssim_of(pairs, len(pairs) // 2))


def print_row(name: str, distances: dict[int | str, float], similarity: float | None) -> None:
    last = "" if similarity is None else f"{similarity:.4f} "
    print(f"| {name} | " + " | ".join(f"{value:.4f}" for value in distances.values()) + f" | {last}|", flush=True)


def each(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """Return a function of (N, 3, R, R) that changes every image, as (R, R, 3)."""

    def changed(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
        return np.stack([change(np.ascontiguousarray(i.transpose(1, 2, 0))).transpose(2, 0, 1) for i in images])

    return changed


def jpeg(quality: int) -> Callable[[np.ndarray], np.ndarray]:
    def through_jpeg(image: np.ndarray) -> np.ndarray:
        return cv2.imdecode(cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)[
            ..., ::-1
        ]

    return through_jpeg


def noise(sigma: float) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    def noisy(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
        added = random.standard_normal(images.shape, dtype=np.float32) * sigma
        return np.clip(np.rint(images + added), 0, 255).astype(np.uint8)

    return noisy


def half_repeated(faces: int) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """Every other fake becomes one of so many faces."""

    def dropped(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
        images = images.copy()
        images[1::2] = np.stack(list(islice(cycle(images[: 2 * faces : 2]), len(images[1::2]))))
        return images

    return dropped


def warmer(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    shift = np.array([16, 0, -16], np.int16)[:, None, None]
    return np.clip(images + shift, 0, 255).astype(np.uint8)


def redder_contrast(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    gain = np.array([1.25, 1.0, 0.75], np.float32)[:, None, None]
    return np.clip(np.rint((images - 128.0) * gain + 128), 0, 255).astype(np.uint8)


def grayer(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    gray = images.mean(axis=1, keepdims=True)
    return np.rint(0.5 * images + 0.5 * gray).astype(np.uint8)


SPOILT: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "untouched (the noise floor)": lambda images, random: images,
    "Gaussian blur, sigma 1": each(lambda image: cv2.GaussianBlur(image, (0, 0), 1)),
    "Gaussian blur, sigma 2": each(lambda image: cv2.GaussianBlur(image, (0, 0), 2)),
    "additive noise, sigma 5": noise(5),
    "additive noise, sigma 20": noise(20),
    "JPEG, quality 30": each(jpeg(30)),
    "half of them 1 face": half_repeated(1),
    "half of them 10 faces": half_repeated(10),
    "half of them 100 faces": half_repeated(100),
    "red +16, blue -16": warmer,
    "contrast x1.25 in red, x0.75 in blue": redder_contrast,
    "colors half gray": grayer,
}

if __name__ == "__main__":
    main()
