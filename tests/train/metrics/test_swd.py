"""SWD against a plain computation of its written definition on real faces, and what must not change it."""

import io
import pickle
import zipfile

import numpy as np
import pytest
import scipy.ndimage
import torch
from PIL import Image

from train.metrics.ms_ssim import ms_ssim_of
from train.metrics.patch_descriptors import (
    SwdDescriptors,
    patch_positions,
    patches_by_numpy,
    patches_by_torch,
    unit_directions,
)
from train.metrics.swd import collect, descriptor_swd, noise_floor, swd

BINOMIAL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256


@pytest.fixture(scope="module")
def faces(real_data) -> np.ndarray:
    """(260, 3, 64, 64) uint8: CelebA, halved."""
    images = []
    with zipfile.ZipFile(real_data / "celeba128-0.zip") as archive:
        for name in sorted(n for n in archive.namelist() if n.endswith(".webp"))[:260]:
            image = Image.open(io.BytesIO(archive.read(name))).convert("RGB").reduce(2)
            images.append(np.asarray(image).transpose(2, 0, 1))
    return np.stack(images)


def plain_levels(image: np.ndarray) -> dict[int, np.ndarray]:
    """The pyramid of one image (3, R, R) by convolution in float64."""
    levels, x = {}, image.astype(np.float64)
    while x.shape[-1] > 16:
        smaller = scipy.ndimage.convolve(x, BINOMIAL[None], mode="mirror")[:, ::2, ::2]
        zeros = np.zeros_like(x)
        zeros[:, ::2, ::2] = smaller
        levels[x.shape[-1]] = x - scipy.ndimage.convolve(zeros, 4 * BINOMIAL[None], mode="mirror")
        x = smaller
    levels[16] = x
    return levels


def plain_descriptors(images: np.ndarray, seed: int, stream: int) -> dict[int, np.ndarray]:
    """Normalised patches (N * 128, 147) of each level in float64."""
    found: dict[int, list[np.ndarray]] = {}
    for number, image in enumerate(images):
        for resolution, level in plain_levels(image).items():
            for y, x in patch_positions(seed, stream, resolution, number, 1)[0]:
                found.setdefault(resolution, []).append(level[:, y : y + 7, x : x + 7])
    normalised = {}
    for resolution, patches in found.items():
        all_patches = np.stack(patches)
        all_patches -= all_patches.mean(axis=(0, 2, 3), keepdims=True)
        all_patches /= all_patches.std(axis=(0, 2, 3), keepdims=True)
        normalised[resolution] = all_patches.reshape(len(patches), 147)
    return normalised


def plain_swd(reals: np.ndarray, fakes: np.ndarray, seed: int) -> dict:
    of_reals, of_fakes = plain_descriptors(reals, seed, 0), plain_descriptors(fakes, seed, 1)
    distances = {}
    for resolution in of_reals:
        directions = unit_directions(seed, resolution).astype(np.float64)
        sorted_a, sorted_b = (np.sort(d[resolution] @ directions.T, axis=0) for d in (of_reals, of_fakes))
        distances[resolution] = np.abs(sorted_a - sorted_b).mean() * 1000
    return distances | {"average": np.mean(list(distances.values()))}


@pytest.mark.parametrize(("count", "seed"), [(40, 0), pytest.param(130, 7, marks=pytest.mark.slow)])
def test_swd_is_the_written_definition(faces, count, seed):
    # 130 images are 16,640 descriptors, whose distance is binned; 40 images' are sorted
    reals, fakes = faces[:count], faces[count : 2 * count]
    ours, wanted = swd(reals, fakes, seed=seed, device="cpu"), plain_swd(reals, fakes, seed)
    assert list(ours) == [64, 32, 16, "average"]
    for level, value in wanted.items():
        assert ours[level] == pytest.approx(value, rel=1e-5)


def test_levels_kept_as_patches_give_the_written_definition_too(faces):
    large = faces[:24].repeat(2, axis=2).repeat(2, axis=3)  # 128x128, whose top level is kept as patches
    ours, wanted = swd(large[:12], large[12:], device="cpu"), plain_swd(large[:12], large[12:], 0)
    assert ours == pytest.approx(wanted, rel=1e-5)


def test_the_same_patches_of_the_same_images_are_at_no_distance(faces):
    for count in (20, 130):
        same = [collect(faces[:count], device="cpu") for _ in range(2)]
        assert all(value == pytest.approx(0, abs=1e-9) for value in descriptor_swd(*same).values())


def test_batches_change_nothing(faces):
    reals, fakes = faces[:40], faces[40:80]
    whole = swd(reals, fakes, device="cpu")
    pieces = swd(iter([reals[:1], reals[1:18], reals[18:]]), (fakes[i : i + 7] for i in range(0, 40, 7)), device="cpu")
    tensors = swd(torch.from_numpy(reals), torch.from_numpy(fakes), device="cpu")
    assert pieces == pytest.approx(whole, rel=1e-6)
    assert tensors == pytest.approx(whole, rel=1e-9)


def test_sets_merged_across_processes_are_the_set_in_one_pass(faces):
    reals = collect(faces[:40], device="cpu")
    workers = []
    for rank in range(3):  # every third image each, as a sampler deals them
        worker = SwdDescriptors(64, seed=0, stream=1)
        for number in range(rank, 40, 3):
            worker.add(torch.from_numpy(faces[40 + number][None]), first=number)
        workers.append(pickle.loads(pickle.dumps(worker)))
    merged = workers[2]
    merged.merge(workers[0])
    merged.merge(workers[1])
    assert descriptor_swd(reals, merged) == pytest.approx(swd(faces[:40], faces[40:80], device="cpu"), rel=1e-6)


def test_few_directions_at_once_change_nothing(faces, monkeypatch):
    whole = swd(faces[:20], faces[20:40], device="cpu")
    monkeypatch.setattr("train.metrics.swd.PROJECTION_BYTES", 4 * 128 * 20 * 37)
    assert swd(faces[:20], faces[20:40], device="cpu") == pytest.approx(whole, rel=1e-6)


def test_mirroring_both_sets_moves_swd_by_its_noise_only(faces):
    reals, fakes = faces[:15], faces[15:30]
    turned = [np.ascontiguousarray(images[..., ::-1]) for images in (reals, fakes)]
    straight = [swd(reals, fakes, seed=seed, device="cpu") for seed in range(4)]
    mirrored = [swd(*turned, seed=seed, device="cpu") for seed in range(4)]
    for level in straight[0]:
        a, b = ([values[level] for values in runs] for runs in (straight, mirrored))
        noise = np.std(a + b, ddof=1)
        assert abs(np.mean(a) - np.mean(b)) < 4 * noise * np.sqrt(2 / 4)
        assert noise < 0.2 * np.mean(a)  # else the line above says nothing


def test_positions_reach_every_corner_and_differ_by_image_and_set():
    positions = patch_positions(seed=0, stream=0, resolution=16, first=0, count=200)
    assert positions.shape == (200, 128, 2)
    assert positions.min() == 0 and positions.max() == 9  # rows 9..15: the last one is sampled
    counts = np.bincount(positions.reshape(-1, 2) @ [10, 1], minlength=100)
    assert counts.min() > 0.7 * counts.mean()  # all 100 places alike
    np.testing.assert_array_equal(patch_positions(0, 0, 16, 150, 3), positions[150:153])
    assert not np.array_equal(positions[0], positions[1])
    assert not np.array_equal(patch_positions(0, 1, 16, 0, 200), positions)


def test_a_gpu_gathers_the_same_patches(faces):
    level = torch.from_numpy(faces[:7]).float()
    positions = patch_positions(0, 0, 64, 0, 7)
    gathered = patches_by_torch(level, positions)
    assert gathered.shape == (7, 128, 147)
    torch.testing.assert_close(gathered, patches_by_numpy(level, positions), rtol=0, atol=0)
    y, x = positions[3, 100]
    np.testing.assert_array_equal(gathered[3, 100].reshape(3, 7, 7), faces[3, :, y : y + 7, x : x + 7])


@pytest.mark.gpu
def test_swd_on_a_gpu_is_that_on_the_cpu(faces):
    on_cpu = swd(faces[:130], faces[130:], device="cpu")
    assert swd(faces[:130], faces[130:], device="cuda") == pytest.approx(on_cpu, rel=1e-5)


def test_directions_are_unit_and_uniform():
    directions = unit_directions(0, 128).astype(np.float64)
    assert directions.shape == (512, 147)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, atol=1e-6)
    assert np.abs(directions.mean(0)).max() < 5 / np.sqrt(512 * 147)


def test_halves_of_the_reals_are_farther_apart_than_their_patches(faces):
    halves, patches = (noise_floor(faces[:40], device="cpu", between=b) for b in ("halves", "patches"))
    assert halves == pytest.approx(swd(faces[:40:2], faces[1:40:2], device="cpu"), rel=1e-6)
    assert patches == pytest.approx(swd(faces[:40], faces[:40], device="cpu"), rel=1e-6)
    assert 0 < patches["average"] < halves["average"]


def test_gray_images_are_measured_as_three_equal_channels(faces):
    gray, other = faces[:20, :1], faces[20:40, :1]
    expected = swd(np.repeat(gray, 3, axis=1), np.repeat(other, 3, axis=1), device="cpu")
    assert swd(gray, other, device="cpu") == expected and expected["average"] > 0
    assert ms_ssim_of(gray, 10, "cpu") == ms_ssim_of(np.repeat(gray, 3, axis=1), 10, "cpu")


@pytest.mark.parametrize(
    ("reals", "message"),
    [
        (np.zeros((4, 3, 64, 64), np.float32), "float32, expected .* uint8"),
        (np.zeros((4, 64, 64, 3), np.uint8), r"\(4, 64, 64, 3\) uint8, expected \(N, 3, R, R\)"),
        (np.zeros((3, 3, 64, 64), np.uint8), "fakes: got num_images 4, expected 3 as of the reals"),
        (np.zeros((4, 3, 32, 32), np.uint8), "fakes: got resolution 64, expected 32"),
        (np.zeros((0, 3, 64, 64), np.uint8), "got none, expected at least one"),
        ([np.zeros((2, 3, 64, 64), np.uint8), np.zeros((2, 3, 32, 32), np.uint8)], "64x64 as in the batch before"),
    ],
)
def test_wrong_images_are_refused(reals, message):
    with pytest.raises(ValueError, match=message):
        swd(reals, np.zeros((4, 3, 64, 64), np.uint8), device="cpu")
