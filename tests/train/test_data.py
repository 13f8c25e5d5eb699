"""Minibatches: the same whether a level is resident or read ahead."""

import numpy as np
import pytest
import torch

from celebahq_builder.hdf5 import DatasetWriter, open_dataset
from train.data import RealFaces

CPU = torch.device("cpu")


@pytest.fixture
def dataset(tmp_path):
    random = np.random.default_rng(0)
    path = tmp_path / "faces.h5"
    labels = np.eye(3, dtype=np.float32)[np.arange(11) % 3]
    with DatasetWriter(path, 8, 11, labels=labels) as writer:
        for _ in range(11):
            writer.write({r: random.integers(0, 256, (3, r, r), dtype=np.uint8) for r in (8, 4, 2, 1)})
    with open_dataset(path) as opened:
        yield opened


def test_resident_and_read_ahead_levels_serve_the_same_images(dataset):
    resident, streamed = (RealFaces(dataset, CPU, seed=3, resident_bytes=size) for size in (1 << 30, 0))
    nimg = 0
    for resolution, size in [(4, 3), (4, 3), (4, 3), (4, 5), (8, 5), (8, 5), (4, 5)]:
        a, b = resident.batch(resolution, nimg, size), streamed.batch(resolution, nimg, size)
        torch.testing.assert_close(a.reals, b.reals, rtol=0, atol=0)
        rows = resident.order.rows(nimg, size)
        np.testing.assert_array_equal(a.reals.numpy(), dataset.read(resolution, rows))
        nimg += size


def test_labels_belong_to_the_reals(dataset):
    data = RealFaces(dataset, CPU, seed=3, resident_bytes=1 << 30)
    batch = data.batch(4, 5, 4)
    np.testing.assert_array_equal(batch.labels.numpy(), dataset.labels[data.order.rows(5, 4)])
    assert batch.g_labels.shape == (4, 3)
    assert batch.d_labels is None


def test_labels_of_the_discriminators_fakes_are_draws_of_their_own(dataset):
    data = RealFaces(dataset, CPU, seed=3, resident_bytes=1 << 30, random_fake_labels=True)
    batches = [data.batch(8, 40 * i, 40) for i in range(10)]
    kinds = [torch.cat([getattr(b, name).argmax(1) for b in batches]) for name in ("d_labels", "labels", "g_labels")]
    for other in kinds[1:]:  # one in three by chance
        assert (kinds[0] == other).float().mean() == pytest.approx(1 / 3, abs=0.1)
    assert torch.bincount(kinds[0]).tolist() == pytest.approx([400 * 4 / 11, 400 * 4 / 11, 400 * 3 / 11], abs=40)
    assert torch.equal(data.batch(8, 80, 40).d_labels, batches[2].d_labels)


def test_gray_images_are_served_as_one_channel(tmp_path):
    random = np.random.default_rng(0)
    with DatasetWriter(tmp_path / "gray.h5", 8, 5, channels=1) as writer:
        for _ in range(5):
            writer.write({r: random.integers(0, 256, (1, r, r), dtype=np.uint8) for r in (8, 4, 2, 1)})
    with open_dataset(tmp_path / "gray.h5") as gray:
        for resident_bytes in (1 << 30, 0):
            data = RealFaces(gray, CPU, seed=3, resident_bytes=resident_bytes)
            np.testing.assert_array_equal(data.batch(8, 0, 4).reals.numpy(), gray.read(8, data.order.rows(0, 4)))
