"""The closest reals of a few fakes, as an image (paper, Fig. 10): does the generator repeat what it was shown?"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from celebahq.files import write_atomic
from celebahq.progress import progress
from celebahq_builder.hdf5 import Dataset
from train.metrics.errors import MetricError
from train.metrics.face_descriptor import NAME, describe, describe_dataset

# The part of an aligned face that is compared, brows to chin, in shares of its side: left, top, right, bottom.
CROP = (0.25, 0.3125, 0.75, 0.8125)
SMALLEST, LARGEST = 32, 256  # levels that are compared; larger faces are reduced to LARGEST
_VGG_BATCH = 64


@dataclass(frozen=True)
class Neighbours:
    """rows: (F, k) int64, of the dataset, closest first; distances: (F, k) float.

    mirrored: (F, k) bool, whether the fake is closer to that row turned left to right; features: what was compared.
    """

    rows: np.ndarray
    distances: np.ndarray
    mirrored: np.ndarray
    features: str


def nearest_reals(
    fakes: np.ndarray,
    dataset: Dataset,
    *,
    k: int = 7,
    num_reals: int | None = None,
    mirror: bool = False,
    vgg: Path | None = None,
    device: torch.device | str = "cpu",
    cache: Path | None = None,
    workers: int | None = None,
) -> Neighbours:
    """Return the k closest of the first num_reals rows (by default all) of a dataset, for each fake.

    With a VGG file: the sum over five layers of the mean absolute difference within CROP, each layer divided by its
    mean over all pairs, as Chen and Koltun (2017) weigh them. Without: Euclidean distance of dlib's descriptors.

    Args:
        fakes: (F, 3, R, R) uint8, aligned faces at a resolution that the dataset has.
        mirror: compare with the mirror image of every real too, as a generator trained on both may repeat either.
        cache: folder for the descriptors of the reals, by default the user's cache.
        workers: processes for them, by default one a core.

    Raises:
        MetricError: the fakes are no color faces of at least 32x32, there are too few reals, or a file does not serve.
    """
    num_reals = len(dataset) if num_reals is None else min(num_reals, len(dataset))
    if fakes.ndim != 4 or fakes.shape[1] != 3 or fakes.shape[-1] < SMALLEST:
        raise MetricError(f"--metrics neighbours: got fakes {fakes.shape[1:]}, expected color faces from 32x32 up")
    if fakes.shape[-1] not in dataset.resolutions:
        raise MetricError(
            f"{dataset.path}: got {dataset.resolution} at most, expected {fakes.shape[-1]} as the fakes have"
        )
    if num_reals < k:
        raise MetricError(f"{dataset.path}: got {num_reals} faces, expected at least the {k} to be shown")
    level = min(fakes.shape[-1], LARGEST)
    count, fakes = len(fakes), _reduce(fakes, level)
    if mirror:  # the few fakes are turned, not the many reals
        fakes = np.concatenate([fakes, fakes[..., ::-1]])
    if vgg is None:
        reals = describe_dataset(dataset, level, num_reals, folder=cache, workers=workers).astype(np.float64)
        table = np.stack([np.linalg.norm(reals - each, axis=1) for each in describe(fakes).astype(np.float64)])
        features = NAME
    else:
        table, features = _vgg_distances(fakes, dataset, num_reals, vgg, device)
    ways = table.reshape(-1, count, num_reals)
    table, turned = ways.min(axis=0), ways.argmin(axis=0) > 0
    rows = np.argsort(table, axis=1, kind="stable")[:, :k]
    distances, mirrored = (np.take_along_axis(each, rows, axis=1) for each in (table, turned))
    return Neighbours(rows, distances, mirrored, features)


def nearest_reals_image(
    path: Path, fakes: np.ndarray, dataset: Dataset, neighbours: Neighbours, side: int = 160
) -> None:
    """Write a PNG: a row a fake, the fake left, its closest reals right, the features in the heading."""
    level = min(fakes.shape[-1], LARGEST)
    fakes = _reduce(fakes, level)
    count, k = neighbours.rows.shape
    gap, heading, caption = side // 8, 28, 18
    image = Image.new("RGB", (gap * 2 + side * (k + 1), heading + count * (side + caption)), "white")
    draw, font, small = ImageDraw.Draw(image), ImageFont.load_default(14), ImageFont.load_default(11)
    vgg = neighbours.features.startswith("VGG")
    where = ", within the frame" if vgg else ", eyes and nose aligned"
    draw.text((gap // 2, 6), f"generated | closest reals by {neighbours.features}{where}", "black", font)
    for i in range(count):
        y = heading + i * (side + caption)
        draw.text((gap // 2, y + side + 2), f"fake {i}", "black", small)
        image.paste(_face(fakes[i], side), (gap // 2, y))
        if vgg:
            box = [round(share * side) for share in CROP]
            draw.rectangle((gap // 2 + box[0], y + box[1], gap // 2 + box[2] - 1, y + box[3] - 1), outline="red")
        for j, row in enumerate(neighbours.rows[i]):
            x = gap + gap // 2 + side * (j + 1)
            turned = neighbours.mirrored[i, j]
            real = dataset.read(level, [row])[0, ..., :: -1 if turned else 1]
            image.paste(_face(real, side), (x, y))
            note = f"row {row}{', mirrored' if turned else ''}: {neighbours.distances[i, j]:.3f}"
            draw.text((x, y + side + 2), note, "black", small)
    with write_atomic(path) as file:
        image.save(file, format="PNG")


def _vgg_distances(
    fakes: np.ndarray, dataset: Dataset, num_reals: int, weights: Path, device: torch.device | str
) -> tuple[np.ndarray, str]:
    """Return ((F, num_reals) distances, the name of the features)."""
    from train.metrics.vgg import LAYERS, VggLayers

    network = VggLayers(weights, device)
    level = fakes.shape[-1]
    left, top, right, bottom = (round(share * level) for share in CROP)
    activations = network(torch.from_numpy(fakes[..., top:bottom, left:right].copy()))
    parts = []
    with progress("VGG of the reals", num_reals, "images") as bar:
        for start in range(0, num_reals, _VGG_BATCH):
            reals = dataset.read(level, range(start, min(start + _VGG_BATCH, num_reals)))
            crops = torch.from_numpy(reals[..., top:bottom, left:right].copy())
            parts.append(network.distances(activations, crops).double().cpu().numpy())
            bar.advance(len(reals))
    layers = np.concatenate(parts, axis=1)  # (F, N, 5)
    table = (layers / np.maximum(layers.mean(axis=(0, 1)), 1e-12)).mean(axis=2)
    return table, f"{network.name} ({', '.join(LAYERS)})"


def _reduce(images: np.ndarray, level: int) -> np.ndarray:
    """Return images (N, 3, R, R) uint8 as (N, 3, level, level), by means of squares of pixels."""
    n, channels, resolution, _ = images.shape
    factor = resolution // level
    if factor == 1:
        return images
    blocks = images.reshape(n, channels, level, factor, level, factor)
    return np.rint(blocks.mean(axis=(3, 5), dtype=np.float32)).astype(np.uint8)


def _face(image: np.ndarray, side: int) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).resize(
        (side, side), Image.Resampling.BICUBIC
    )
