"""Metrics while a run trains: when they are taken, of what, and which row is the best."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from celebahq_builder.hdf5 import DatasetWriter, open_dataset
from train.config import TrainConfig, TrainError
from train.loop import train
from train.metrics.config import MetricsConfig
from train.metrics.evaluate import evaluate
from train.metrics.fakes import Fakes
from train.metrics.in_training import TrainingMetrics
from train.metrics.ms_ssim import ms_ssim
from train.metrics.reals import Reals
from train.metrics.swd import swd
from train.state.checkpoint import checkpoints, load_checkpoint
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
        assert [n for n in range(250, 1300, 250) if due(n, 250, 32, 1.0, False)] == [250, 500, 750, 1000, 1250]
        assert due(530, 3, 32, 1.0, done=True) and not due(530, 3, 32, 1.0, done=False)
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
        monkeypatch.setattr(Reals, "share", None)
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
        assert others.measure(generator(0), 400, 32)[0]["best"]  # fewer images have a higher floor


def test_small_data_set_gives_all_it_has(dataset):
    with open_dataset(dataset) as file:
        assert metrics(file, num_images=16384).num_images == ROWS


TINY = {
    "stable_kimg": 0.08, "fade_kimg": 0.04, "total_kimg": 0.4, "minibatch": 8, "fmap_base": 32, "fmap_max": 8,
    "latent_size": 8, "tick_kimg": 0.016, "checkpoint_ticks": 1, "ema_kimg": 0.1, "image_ticks": 0, "device": "cpu",
    "preset": "tiny", "resolution": 16,
}  # fmt: skip
MEASURED = {"metrics": ("swd", "msssim"), "metrics_kimg": 0.03, "metrics_images": 10}


def run(dataset: Path, folder: Path, **options) -> Path:
    train(TrainConfig(dataset=dataset, outdir=folder, name="run", **{**TINY, **options}))
    return folder / "run"


def weights_of(run_folder: Path) -> dict[str, torch.Tensor]:
    state = load_checkpoint(checkpoints(run_folder / "checkpoints")[-1])
    names = ("generator", "discriminator", "g_ema")
    return {f"{name}.{key}": value for name in names for key, value in state[name].items()}


def rows_of(run_folder: Path) -> list[dict]:
    rows = [json.loads(line) for line in (run_folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def measured(dataset, tmp_path_factory) -> Path:
    return run(dataset, tmp_path_factory.mktemp("measured"), **MEASURED)


def test_measuring_changes_no_weight(measured, dataset, tmp_path):
    plain, watched = weights_of(run(dataset, tmp_path)), weights_of(measured)
    assert plain.keys() == watched.keys()
    assert all(torch.equal(plain[key], watched[key]) for key in plain)
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_run_measures_in_its_stable_phases_from_16x16_on(measured):
    rows = rows_of(measured)
    assert {row["resolution"] for row in rows} == {16}
    # 16x16 is fully in after two stable phases and two fades, 240 images; ticks are every 16, multiples every 30.
    assert [row["kimg"] for row in rows if row["metric"] == "swd"] == [0.272, 0.304, 0.336, 0.368, 0.4]
    assert [row["metric"] for row in rows] == ["swd", "msssim"] * 5


@pytest.mark.slow
def test_stopped_and_resumed_run_writes_the_rows_of_an_uninterrupted_one(measured, dataset, tmp_path):
    for stop in (0.288, 0.32):
        run(dataset, tmp_path, **MEASURED, total_kimg=stop)
    folder = run(dataset, tmp_path, **MEASURED)
    resumed, whole = rows_of(folder), rows_of(measured)
    for row in resumed + whole:
        del row["best"]  # a shorter run also measures at its end, and may find its best there
    assert [row for row in resumed if row["kimg"] not in (0.288, 0.32)] == whole
    assert all(torch.equal(value, weights_of(measured)[key]) for key, value in weights_of(folder).items())


def test_rows_after_the_last_checkpoint_are_taken_back(measured, dataset, tmp_path):
    folder = shutil.copytree(measured, tmp_path / "run")
    wanted = rows_of(folder)
    (folder / "checkpoints" / "checkpoint-000000.400.pt").unlink()  # as if killed before it was written
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"kimg": 0.4')
    run(dataset, tmp_path, **MEASURED)
    assert rows_of(folder) == wanted


def test_best_generator_is_kept_and_its_figures_are_those_of_the_command(measured, dataset, tmp_path):
    rows = [row for row in rows_of(measured) if row["metric"] == "swd"]
    best = min(rows, key=lambda row: row["distance"])
    folder = measured / "model-best-swd"
    assert json.loads((folder / "config.json").read_text())["training"]["kimg"] == best["kimg"]
    kept = json.loads((folder / "metrics.json").read_text())["swd"]
    assert kept["values"] == best["values"]
    options = {"num_images": kept["num_images"], "device": "cpu", "output": tmp_path / "again.json"}
    again = evaluate(MetricsConfig(model=folder, dataset=dataset, metrics="swd,msssim", **options))
    assert again["swd"]["values"] == pytest.approx(best["values"], rel=1e-6)
    assert again["swd"]["noise_floor"] == pytest.approx(best["noise_floor"], rel=1e-6)
    for key in ("dataset", "mirror", "seed", "model_sha256"):
        assert again["swd"][key] == kept[key], key
    assert (measured / "model-best-msssim" / "model.safetensors").is_file()


def test_curves_are_in_tensorboard(measured):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(measured))
    events.Reload()
    for row in rows_of(measured):
        for name, value in row["values"].items():
            points = {point.step: point.value for point in events.Scalars(f"metrics/{row['metric']}_{name}")}
            assert points[round(row["kimg"] * 1000)] == pytest.approx(value, rel=1e-6)


def test_metrics_of_a_run_that_ends_below_16x16_are_refused(dataset, tmp_path):
    with pytest.raises(TrainError, match=r"--metrics swd msssim: got a run that ends at 8x8, expected 16x16"):
        run(dataset, tmp_path, **MEASURED | {"resolution": 8})


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
