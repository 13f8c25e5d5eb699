"""dlib's 128 numbers for the identity of a face, of aligned faces: what stands in for VGG where there is no VGG file.

Both models come with the package face_recognition_models (public domain).
"""

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from celebahq.progress import progress
from celebahq_builder.hdf5 import Dataset
from train.metrics.errors import MetricError
from train.metrics.feature_cache import cached
from train.state.run_folder import dataset_fingerprint

NAME = "dlib's face descriptor (128 numbers)"
# Where a detector would see the face in an aligned crop, in shares of its side: left, top, right, bottom.
_FACE_BOX = (0.23, 0.30, 0.77, 0.83)
_CHIP_SIDE, _CHIP_PADDING = 150, 0.25  # what the network was trained on
_ROWS_A_BLOCK = 128


def describe(images: np.ndarray) -> np.ndarray:
    """Return (N, 128) float32 of aligned faces (N, 3, R, R) uint8, R >= 32; same person: about 0.6 apart or less.

    Eyes and nose are found inside the crop and put where the network expects them, so that the hair, the background and
    a few pixels of shift count for nothing. 80 ms a face on one core.
    """
    import dlib

    predictor, network = _models()
    side = images.shape[-1]
    box = dlib.rectangle(*(round(share * side) for share in _FACE_BOX))
    descriptors = np.empty((len(images), 128), np.float32)
    for i, image in enumerate(images):
        pixels = np.ascontiguousarray(image.transpose(1, 2, 0))
        chip = dlib.get_face_chip(pixels, predictor(pixels, box), _CHIP_SIDE, _CHIP_PADDING)
        descriptors[i] = np.array(network.compute_face_descriptor(chip))
    return descriptors


def describe_dataset(
    dataset: Dataset, resolution: int, num_rows: int, *, folder: Path | None = None, workers: int | None = None
) -> np.ndarray:
    """Return (num_rows, 128) float32 of the first rows of a dataset, kept on disk block by block as they are made.

    A run that is stopped goes on where it was, and more rows later cost little more than what is new.

    Args:
        folder: of the cache, by default the user's.
        workers: processes; by default one a core.
    """
    _models_folder()
    starts = range(0, num_rows, _ROWS_A_BLOCK)
    facts = {key: value for key, value in dataset_fingerprint(dataset).items() if key != "file"}
    jobs = [(dataset, resolution, start, min(start + _ROWS_A_BLOCK, num_rows), folder, facts) for start in starts]
    workers = min(workers or os.cpu_count() or 1, len(jobs))
    blocks = []
    with progress("face descriptors of the reals", num_rows, "images") as bar:
        if workers == 1:
            for job in jobs:
                blocks.append(_describe_block(job))
                bar.advance(len(blocks[-1]))
        else:  # processes, not threads: dlib holds Python's lock; started anew, as torch's threads survive no fork
            with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
                for block in pool.map(_describe_block, jobs):
                    blocks.append(block)
                    bar.advance(len(block))
    return np.concatenate(blocks)


def _describe_block(job: Sequence) -> np.ndarray:
    dataset, resolution, start, stop, folder, facts = job
    key = {"dataset": facts, "resolution": resolution, "rows": [start, stop], "box": _FACE_BOX}

    def compute() -> dict[str, np.ndarray]:
        return {"descriptors": describe(dataset.read(resolution, range(start, stop)))}

    return cached("face-descriptors", key, compute, folder)["descriptors"]


@cache
def _models():
    import dlib

    folder = _models_folder()
    return (
        dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat")),
        dlib.face_recognition_model_v1(str(folder / "dlib_face_recognition_resnet_model_v1.dat")),
    )


def _models_folder() -> Path:
    """Found without importing the package: its import needs an old setuptools."""
    package = find_spec("face_recognition_models")
    if package is None or package.origin is None:
        raise MetricError("face_recognition_models: not installed, expected it or a VGG file (--vgg FILE)")
    return Path(package.origin).parent / "models"
