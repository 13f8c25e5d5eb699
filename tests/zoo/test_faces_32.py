"""The generator that ships: what it paints is near to faces, varied, and the same from both of its files."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from export import sample
from train.metrics.ms_ssim import ms_ssim_of
from train.metrics.swd import collect, descriptor_swd
from train.pictures import to_uint8
from zoo.locate import PRETRAINED

FOLDER = PRETRAINED / "faces-32"
COUNT = 500


def halved(images: np.ndarray) -> np.ndarray:
    """(N, 3, R, R) uint8 to (N, 3, R / 2, R / 2) by means of 2x2."""
    n, channels, side, _ = images.shape
    means = images.reshape(n, channels, side // 2, 2, side // 2, 2).mean(axis=(3, 5))
    return np.rint(means).astype(np.uint8)


@pytest.fixture(scope="module")
def reals(real_data) -> tuple[np.ndarray, np.ndarray]:
    """Two times COUNT faces of CelebA, (COUNT, 3, 32, 32) uint8 each."""
    with zipfile.ZipFile(real_data / "celeba128-0.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".webp")][: 2 * COUNT]
        pictures = [Image.open(io.BytesIO(archive.read(name))).convert("RGB") for name in names]
    faces = halved(halved(np.stack([np.asarray(picture) for picture in pictures]).transpose(0, 3, 1, 2)))
    return faces[0::2], faces[1::2]


@pytest.fixture(scope="module")
def fakes() -> np.ndarray:
    latents = np.random.RandomState(3).randn(COUNT, 128).astype(np.float32)
    with torch.no_grad():
        return to_uint8(zoo.load("faces-32")(torch.from_numpy(latents)))


def test_it_is_a_third_as_far_from_real_faces_as_the_best_that_16_pixels_can_hold(reals, fakes):
    compared, others = reals
    coarse = halved(others).repeat(2, axis=2).repeat(2, axis=3)  # a perfect 16x16 stage, enlarged
    of_reals = collect(compared)
    floor, ours, best = (
        descriptor_swd(of_reals, collect(images, stream=1))["average"] for images in (others, fakes, coarse)
    )
    assert ours - floor <= (best - floor) / 3


def test_its_faces_are_nearly_as_varied_as_real_ones(reals, fakes):
    of_reals, of_fakes = (ms_ssim_of(images, COUNT // 2) for images in (reals[0], fakes))
    assert of_fakes < of_reals + 0.03  # a generator that paints one face has 1


def test_the_two_files_that_stand_alone_paint_its_grid(tmp_path):
    grid = tmp_path / "grid.png"
    command = [sys.executable, FOLDER / "sample.py", "--seeds", "0-31", "--output", grid]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path, timeout=120)
    painted, shipped = (np.asarray(Image.open(path)).astype(int) for path in (grid, FOLDER / "samples.png"))
    assert painted.shape == shipped.shape and np.abs(painted - shipped).max() <= 1


def test_its_script_is_the_one_that_export_hub_writes_today():
    assert (FOLDER / "sample.py").read_bytes() == Path(sample.__file__).read_bytes()


def test_it_takes_at_most_6_mb():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 6e6
