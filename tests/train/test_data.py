"""Minibatches: the same whether a level is resident or read ahead."""

import numpy as np
import pytest
import torch

from celebahq_builder.hdf5 import DatasetWriter, open_dataset
from train.data import RealFaces
from train.memory import room_beside_step

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


def test_a_level_is_held_once_the_step_says_how_much_room_there_is(dataset):
    data, plain = (RealFaces(dataset, CPU, seed=3, resident_bytes=size) for size in (None, 0))
    asked, level = [], 11 * 3 * 8 * 8

    def room(size):
        return lambda: asked.append(size) or size

    for nimg, size in enumerate((level - 1, level, level)):
        torch.testing.assert_close(data.batch(8, 4 * nimg, 4).reals, plain.batch(8, 4 * nimg, 4).reals)
        held_before = data._resident is not None
        data.hold(room(size))
        assert (data._resident is not None) == (size == level)
        assert held_before == (nimg == 2)
    assert asked == [level - 1, level]  # not again where it is held
    torch.testing.assert_close(data.batch(8, 12, 4).reals, plain.batch(8, 12, 4).reals)
    assert data.release_resident()  # memory ran out
    data.hold(room(level))
    assert data._resident is None


def test_no_memory_for_a_level_is_no_error(dataset):
    data = RealFaces(dataset, CPU, seed=3, resident_bytes=None)
    data.batch(8, 0, 4)
    data._load_into = lambda *args: (_ for _ in ()).throw(torch.OutOfMemoryError("CUDA out of memory"))
    data.hold(lambda: 1 << 30)
    assert data.batch(8, 4, 4).reals.shape == (4, 3, 8, 8)


@pytest.mark.parametrize(("captured", "expected"), [(True, 50), (False, 40)])
def test_room_is_what_the_step_leaves_but_for_a_tenth(monkeypatch, captured, expected):
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (60, 100))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 30)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 20)
    assert room_beside_step(torch.device("cuda"), captured) == expected
