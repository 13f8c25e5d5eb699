"""Nearest reals: changed copies of real faces find their originals; what is kept on disk; the image."""

import csv
import io
import zipfile
from collections import defaultdict

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from celebahq_builder.hdf5 import Dataset, DatasetWriter, open_dataset
from train.metrics import face_descriptor
from train.metrics.errors import MetricError
from train.metrics.neighbours import CROP, nearest_reals, nearest_reals_image


def write(path, images: np.ndarray) -> Dataset:
    """A dataset of (N, 3, R, R) uint8; levels by 2x2 means."""
    with DatasetWriter(path, images.shape[-1], len(images)) as writer:
        for image in images:
            levels, level = {}, image.astype(np.float64)
            while level.shape[-1] > 1:
                levels[level.shape[-1]] = np.rint(level).astype(np.uint8)
                level = level.reshape(3, level.shape[1] // 2, 2, -1, 2).mean(axis=(2, 4))
            writer.write(levels | {1: np.rint(level).astype(np.uint8)})
    return open_dataset(path)


def changed(images: np.ndarray) -> np.ndarray:
    """The same faces moved by a few pixels, paler or darker, tinted."""
    random = np.random.default_rng(0)
    x = np.roll(images.astype(np.float64), (3, -4), axis=(2, 3))
    count = len(images)
    x = (x - 128) * random.uniform(0.8, 1.1, (count, 1, 1, 1)) + 128 + random.uniform(-20, 20, (count, 3, 1, 1))
    return np.clip(x, 0, 255).round().astype(np.uint8)


@pytest.fixture(scope="module")
def pairs(real_data) -> tuple[np.ndarray, np.ndarray]:
    """Two photographs each of twelve people, (12, 3, 128, 128) uint8 twice."""
    with zipfile.ZipFile(real_data / "celeba128-0.zip") as archive:
        stored = set(archive.namelist())
        people = defaultdict(list)
        for row in csv.DictReader((real_data / "celeba128.csv").open()):
            name = row["celeba_name"].replace(".jpg", ".webp")
            if name in stored and row["celebahq_index"]:  # in CelebA-HQ: a clear photograph
                people[row["identity"]].append(name)
        twice = [names[:2] for _, names in sorted(people.items()) if len(names) > 1][:12]

        def read(name: str) -> np.ndarray:
            return np.array(Image.open(io.BytesIO(archive.read(name))).convert("RGB")).transpose(2, 0, 1)

        return np.stack([read(a) for a, _ in twice]), np.stack([read(b) for _, b in twice])


@pytest.fixture(scope="module")
def dataset(pairs, tmp_path_factory) -> Dataset:
    return write(tmp_path_factory.mktemp("faces") / "faces.h5", pairs[0])


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def vgg(tmp_path_factory):
    """A file of VGG-16's layout, random weights."""
    torch.manual_seed(0)
    tensors, channels, index = {}, 3, 0
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            tensors[f"features.{index}.weight"] = torch.randn(width, channels, 3, 3) * (2 / channels / 9) ** 0.5
            tensors[f"features.{index}.bias"] = torch.zeros(width)
            channels, index = width, index + 2
        index += 1
    path = tmp_path_factory.mktemp("vgg") / "vgg.safetensors"
    save_file(tensors, path)
    return path


def test_moved_and_recolored_faces_find_their_originals(pairs, dataset, cache):
    found = nearest_reals(changed(pairs[0]), dataset, k=3, cache=cache, workers=1)
    assert found.rows[:, 0].tolist() == list(range(12))
    assert found.rows.shape == found.distances.shape == (12, 3)
    assert (np.diff(found.distances, axis=1) >= 0).all()
    assert "dlib" in found.features


def test_another_photograph_of_a_person_finds_that_person(pairs, dataset, cache):
    found = nearest_reals(pairs[1], dataset, k=1, cache=cache, workers=1)
    right = (found.rows[:, 0] == np.arange(12)).sum()
    assert right >= 9  # of 12; by chance 1


def test_descriptors_are_kept_and_belong_to_their_data_set(pairs, dataset, tmp_path, monkeypatch):
    first = face_descriptor.describe_dataset(dataset, 128, 4, folder=tmp_path, workers=1)
    other = write(tmp_path / "other.h5", pairs[1][:4])
    of_other = face_descriptor.describe_dataset(other, 128, 4, folder=tmp_path, workers=1)
    assert np.abs(first - of_other).max() > 0.05
    kept = sorted(tmp_path.glob("face-descriptors-*.npz"))
    assert len(kept) == 2

    monkeypatch.setattr(face_descriptor, "describe", lambda images: pytest.fail("computed again"))
    np.testing.assert_array_equal(face_descriptor.describe_dataset(dataset, 128, 4, folder=tmp_path, workers=1), first)
    monkeypatch.undo()
    for path in kept:
        path.write_bytes(path.read_bytes()[:300])
    again = face_descriptor.describe_dataset(dataset, 128, 4, folder=tmp_path, workers=1)
    np.testing.assert_array_equal(again, first)


@pytest.mark.slow
def test_blocks_in_several_processes_are_those_of_one(dataset, tmp_path, monkeypatch):
    one = face_descriptor.describe_dataset(dataset, 128, 5, folder=tmp_path / "one", workers=1)
    monkeypatch.setattr(face_descriptor, "_ROWS_A_BLOCK", 3)
    two = face_descriptor.describe_dataset(dataset, 128, 5, folder=tmp_path / "two", workers=2)
    np.testing.assert_array_equal(one, two)


def test_vgg_looks_at_the_crop_alone(pairs, dataset, vgg):
    left, top, right, bottom = (round(share * 128) for share in CROP)
    elsewhere = np.random.default_rng(1).integers(0, 256, pairs[0][:2].shape).astype(np.uint8)
    elsewhere[..., top:bottom, left:right] = pairs[0][:2, :, top:bottom, left:right]
    found = nearest_reals(elsewhere, dataset, k=2, vgg=vgg)
    assert found.rows[:, 0].tolist() == [0, 1]
    np.testing.assert_allclose(found.distances[:, 0], 0, atol=1e-5)
    assert found.features == "VGG-16 (conv1_2, conv2_2, conv3_2, conv4_2, conv5_2)"


@pytest.mark.parametrize("with_vgg", [False, True])
def test_a_mirrored_copy_is_found_where_mirrors_are_looked_at(pairs, dataset, vgg, cache, tmp_path, with_vgg):
    fakes = pairs[0][[7, 3]].copy()
    fakes[0] = fakes[0, ..., ::-1]
    options = {"k": 2, "vgg": vgg if with_vgg else None, "cache": cache, "workers": 1}
    found = nearest_reals(fakes, dataset, mirror=True, **options)
    assert found.rows[:, 0].tolist() == [7, 3]
    np.testing.assert_allclose(found.distances[:, 0], 0, atol=1e-5)
    assert found.mirrored[:, 0].tolist() == [True, False]
    plain = nearest_reals(fakes, dataset, **options)
    assert plain.distances[0, 0] > 0.01 and not plain.mirrored.any()

    nearest_reals_image(tmp_path / "mirrored.png", fakes, dataset, found, side=128)
    image = np.array(Image.open(tmp_path / "mirrored.png"))
    np.testing.assert_array_equal(image[28 : 28 + 128, 8 + 16 + 128 : 8 + 16 + 256], fakes[0].transpose(1, 2, 0))


def test_every_layer_of_vgg_weighs_the_same(pairs, dataset, vgg):
    # Divided by their means over all pairs, five layers average to one over all pairs.
    found = nearest_reals(pairs[1][:3], dataset, k=12, vgg=vgg)
    assert found.distances.mean() == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("with_vgg", [False, True])
def test_image_shows_each_fake_and_its_reals(pairs, dataset, vgg, cache, tmp_path, with_vgg):
    fakes = pairs[0][[5, 2]]
    found = nearest_reals(fakes, dataset, k=3, vgg=vgg if with_vgg else None, cache=cache, workers=1)
    path = tmp_path / "neighbours.png"
    nearest_reals_image(path, fakes, dataset, found, side=128)
    image = np.array(Image.open(path)).astype(int)
    assert image.shape == (28 + 2 * (128 + 18), 2 * 16 + 4 * 128, 3)
    for i, row in enumerate((5, 2)):
        y = 28 + i * (128 + 18)
        fake, real = image[y : y + 128, 8 : 8 + 128], image[y : y + 128, 8 + 16 + 128 : 8 + 16 + 256]
        np.testing.assert_array_equal(real, pairs[0][row].transpose(1, 2, 0))
        framed = (fake != real).any(axis=2).sum()  # a red frame shows what was compared
        assert (3 * 64 < framed <= 4 * 64) if with_vgg else framed == 0
    assert not list(tmp_path.glob("*.partial"))


def test_large_faces_are_compared_at_256(pairs, tmp_path, cache):
    large = pairs[0][:3].repeat(4, axis=2).repeat(4, axis=3)
    found = nearest_reals(large, write(tmp_path / "large.h5", large), k=1, cache=cache, workers=1)
    assert found.rows.tolist() == [[0], [1], [2]]
    np.testing.assert_allclose(found.distances, 0, atol=1e-6)


def test_what_cannot_be_compared_is_refused(pairs, dataset):
    faces = pairs[0][:1]
    with pytest.raises(MetricError, match=r"got fakes \(1, 128, 128\), expected color faces from 32x32 up"):
        nearest_reals(faces[:, :1], dataset)
    with pytest.raises(MetricError, match=r"got fakes \(3, 16, 16\)"):
        nearest_reals(faces[..., :16, :16], dataset)
    with pytest.raises(MetricError, match=r"faces.h5: got 128 at most, expected 256 as the fakes have"):
        nearest_reals(faces.repeat(2, axis=2).repeat(2, axis=3), dataset)
    with pytest.raises(MetricError, match=r"faces.h5: got 12 faces, expected at least the 13 to be shown"):
        nearest_reals(faces, dataset, k=13)
