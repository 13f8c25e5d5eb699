"""The generators that ship: what they generate is near to faces, varied, and what their cards show."""

import io
import re
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from export.__main__ import run
from train.metrics.ms_ssim import ms_ssim_of
from train.metrics.swd import collect, descriptor_swd
from train.report.images import to_uint8
from zoo.locate import PRETRAINED

COUNT = 500
SWD_COUNT = 200  # which costs most


@pytest.fixture(scope="module", params=["faces-32", "faces-64"])
def name(request) -> str:
    return request.param


def halved(images: np.ndarray) -> np.ndarray:
    """(N, 3, R, R) uint8 to (N, 3, R / 2, R / 2) by means of 2x2."""
    n, channels, side, _ = images.shape
    means = images.reshape(n, channels, side // 2, 2, side // 2, 2).mean(axis=(3, 5))
    return np.rint(means).astype(np.uint8)


@pytest.fixture(scope="module")
def reals(real_data, name) -> tuple[np.ndarray, np.ndarray]:
    """Two times COUNT faces of CelebA, (COUNT, 3, R, R) uint8 each, as large as the model's."""
    with zipfile.ZipFile(real_data / "celeba128-0.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".webp")][: 2 * COUNT]
        images = [Image.open(io.BytesIO(archive.read(name))).convert("RGB") for name in names]
    faces = np.stack([np.asarray(image) for image in images]).transpose(0, 3, 1, 2)
    while faces.shape[-1] > zoo.load(name).config.resolution:
        faces = halved(faces)
    return faces[0::2], faces[1::2]


@pytest.fixture(scope="module")
def fakes(name) -> np.ndarray:
    latents = np.random.RandomState(3).randn(COUNT, 128).astype(np.float32)
    with torch.no_grad():
        return to_uint8(zoo.load(name)(torch.from_numpy(latents)))


@pytest.mark.slow
def test_it_is_a_third_as_far_from_real_faces_as_the_best_that_half_as_many_pixels_can_hold(reals, fakes):
    compared, others = reals
    coarse = halved(others).repeat(2, axis=2).repeat(2, axis=3)  # a perfect stage before, enlarged
    of_reals = collect(compared[:SWD_COUNT])
    floor, ours, best = (
        descriptor_swd(of_reals, collect(images[:SWD_COUNT], stream=1))["average"] for images in (others, fakes, coarse)
    )
    assert ours - floor <= (best - floor) / 3


def test_its_faces_are_nearly_as_varied_as_real_ones(reals, fakes):
    of_reals, of_fakes = (ms_ssim_of(images, COUNT // 2) for images in (reals[0], fakes))
    assert of_fakes < of_reals + 0.03  # a generator that generates one face has 1


@pytest.mark.slow
def test_the_commands_of_its_card_generate_the_grid_on_it(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    card = (PRETRAINED / name / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(rf"`python -m export (images --model {name} .*?) --output samples.png`", card)
    for options in (
        [*command.split(), "--output", "samples.png"],
        ["onnx", "--model", name, "--output", f"{name}.onnx"],
        [*command.replace(name, f"{name}.onnx").split(), "--output", "onnx.png"],
    ):
        run(options)
    shipped = np.asarray(Image.open(PRETRAINED / name / "samples.png")).astype(int)
    for grid in ("samples.png", "onnx.png"):
        generated = np.asarray(Image.open(tmp_path / grid)).astype(int)
        assert generated.shape == shipped.shape and np.abs(generated - shipped).max() <= 1


def test_it_takes_at_most_6_mb(name):
    assert sum(path.stat().st_size for path in (PRETRAINED / name).iterdir()) <= 6e6
