"""Metrics while a run trains: when they are taken, of what, and which row is the best."""

from pathlib import Path

import numpy as np
import pytest
import torch

from celebahq_builder.hdf5 import DatasetWriter, open_dataset
from train.metrics.fakes import Fakes
from train.metrics.in_training import TrainingMetrics
from train.metrics.ms_ssim import ms_ssim
from train.metrics.reals import Reals
from train.metrics.swd import swd
from zoo.progan import Generator, ProGANConfig

ROWS = 24


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "faces.h5"
    random = np.random.default_rng(0)
    with DatasetWriter(path, 32, ROWS) as writer:
        for _ in range(ROWS):
            face = random.integers(0, 256, (3, 32, 32)).astype(np.float64)
            levels = {r: face.reshape(3, r, 32 // r, r, 32 // r).mean((2, 4)) for r in (32, 16, 8, 4, 2, 1)}
            writer.write({r: image.astype(np.uint8) for r, image in levels.items()})
    return path


def generator(seed: int = 0) -> Generator:
    torch.manual_seed(seed)
    return Generator(ProGANConfig(resolution=32, latent_size=8, fmap_base=64, fmap_max=8)).eval()


def metrics(file, names: tuple[str, ...] = ("swd", "msssim"), rows=(), num_images: int = 10) -> TrainingMetrics:
    return TrainingMetrics(
        names, every_kimg=0.1, num_images=num_images, dataset=file, mirror=False, seed=0,
        device=torch.device("cpu"), rows=rows,
    )  # fmt: skip


def test_measured_at_each_multiple_and_at_the_end_never_while_fading(dataset):
    with open_dataset(dataset) as file:
        due = metrics(file).due
        assert [n for n in range(16, 500, 16) if due(n, 16, 32, 1.0, False)] == [112, 208, 304, 400]
        assert due(500, 3, 32, 1.0, done=True)
        assert not due(112, 16, 32, 0.5, False) and not due(500, 3, 32, 0.99, done=True)
        assert not due(112, 16, 8, 1.0, False)  # no level to compare below 16x16


def test_rows_hold_what_the_metrics_say_of_the_generator_at_that_resolution(dataset):
    with open_dataset(dataset) as file:
        rows = metrics(file).measure(generator(), 112, 16)
        assert [(r["metric"], r["kimg"], r["resolution"], r["num_images"]) for r in rows] == [
            ("swd", 0.112, 16, 10), ("msssim", 0.112, 16, 10)
        ]  # fmt: skip
        reals = np.concatenate(list(Reals(file, 16, mirror=False).batches(10)))
        fakes = np.concatenate(list(Fakes(generator(), resolution=16).batches(10)))
    assert fakes.shape == (10, 3, 16, 16)
    assert rows[0]["distance"] == pytest.approx(swd(reals, fakes)["average"], rel=1e-6)
    assert rows[1]["values"]["ms_ssim"] == pytest.approx(ms_ssim(fakes[0::2], fakes[1::2]).mean())
    assert rows[1]["reals"]["ms_ssim"] == pytest.approx(ms_ssim(reals[0::2], reals[1::2]).mean())


def test_reals_are_taken_once_a_resolution(dataset, monkeypatch):
    with open_dataset(dataset) as file:
        measuring = metrics(file)
        first = measuring.measure(generator(), 100, 32)
        monkeypatch.setattr(Reals, "batches", None)
        again = measuring.measure(generator(), 200, 32)
        assert [r["values"] for r in again] == [r["values"] for r in first]
        with pytest.raises(TypeError):
            measuring.measure(generator(), 300, 16)


def test_best_is_the_smallest_of_its_resolution_also_after_a_resume(dataset):
    with open_dataset(dataset) as file:
        measuring = metrics(file, ("swd",))
        first, second = (measuring.measure(generator(seed), 100, 32)[0] for seed in (0, 1))
        assert first["best"] and second["best"] == (second["distance"] < first["distance"])
        assert not measuring.measure(generator(0), 300, 32)[0]["best"]  # as good is not better
        assert measuring.measure(generator(1), 300, 16)[0]["best"]  # another resolution is another race
        resumed = metrics(file, ("swd",), rows=[first, second])
        assert not resumed.measure(generator(0), 400, 32)[0]["best"]
        others = metrics(file, ("swd",), rows=[first, second], num_images=12)
        assert others.measure(generator(0), 400, 32)[0]["best"]  # fewer pictures have a higher floor


def test_small_data_set_gives_all_it_has(dataset):
    with open_dataset(dataset) as file:
        assert metrics(file, num_images=16384).num_images == ROWS


def test_random_numbers_of_the_process_are_left_alone(dataset):
    torch.manual_seed(3)
    np.random.seed(3)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    network = generator()
    torch.set_rng_state(torch_state)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with open_dataset(dataset) as file:
        metrics(file).measure(network, 112, 32)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
