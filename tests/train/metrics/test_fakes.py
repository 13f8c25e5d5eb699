"""The stream of a generator's images: seeded, extended by more of them, labelled like the reals."""

import numpy as np
import pytest
import torch

from celebahq_builder.hdf5 import open_dataset
from train.metrics.fakes import Fakes
from train.metrics.reals import Reals
from zoo import weights


def all_of(batches) -> np.ndarray:
    return np.concatenate(list(batches))


def test_more_images_extend_the_same_stream(small_model):
    fakes = Fakes(weights.load(small_model), seed=5)
    many = all_of(fakes.batches(150))
    assert many.shape == (150, 3, 32, 32) and many.dtype == np.uint8
    assert np.array_equal(all_of(fakes.batches(70)), many[:70])
    latents = np.random.RandomState(5).randn(150, 8).astype(np.float32)  # the seed's whole stream at once
    with torch.no_grad():
        direct = weights.load(small_model)(torch.from_numpy(latents[140:])).numpy()
    assert np.abs(np.clip(direct * 127.5 + 127.5, 0, 255) - many[140:]).max() <= 0.51


@pytest.mark.parametrize("keep_bytes", [0, 64 * 3 * 32 * 32, 1 << 30])
def test_kept_images_are_those_painted_again(small_model, keep_bytes):
    fakes, once = Fakes(weights.load(small_model), keep_bytes=keep_bytes), Fakes(weights.load(small_model))
    for count in (10, 150, 100):
        assert np.array_equal(all_of(fakes.batches(count)), all_of(once.batches(count)))


def test_labels_of_the_fakes_are_those_of_the_reals(tmp_path, write_dataset, save_model):
    write_dataset(tmp_path / "labelled.h5", labels=np.eye(2, dtype=np.float32)[np.arange(40) % 2])
    generator = weights.load(save_model(tmp_path / "model", label_size=2))
    with open_dataset(tmp_path / "labelled.h5") as file:
        reals = Reals(file, 32, mirror=False)
        assert np.array_equal(reals.labels, file.labels[reals.rows])
        generated = all_of(Fakes(generator, labels=reals.labels).batches(50))
        latents = torch.from_numpy(np.random.RandomState(0).randn(50, 8).astype(np.float32))
        label = torch.from_numpy(reals.labels[np.arange(50) % 40])
    direct = (generator(latents, label) * 127.5 + 127.5).clamp(0, 255).numpy()
    assert np.abs(direct - generated).max() <= 0.51
