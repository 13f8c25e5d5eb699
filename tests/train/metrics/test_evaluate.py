"""python -m train.metrics as a whole: the metrics, where they are kept, every refusal."""

import functools
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from celebahq_builder.hdf5 import DatasetWriter, open_dataset
from train.metrics.config import MetricsConfig
from train.metrics.errors import MetricError
from train.metrics.evaluate import evaluate
from train.metrics.fakes import Fakes
from train.metrics.inception import Inception, InceptionFeatures
from train.metrics.inception_score import inception_score
from train.metrics.metric_functions import EvalContext, metric_function
from train.metrics.reals import Reals
from zoo import weights
from zoo.metrics import MEASURED

ROOT = Path(__file__).resolve().parents[3]
ROWS = 40  # of small_dataset


@pytest.fixture
def dataset(small_dataset) -> Path:
    return small_dataset


@pytest.fixture
def model(small_model) -> Path:
    return small_model


@pytest.fixture
def one_face(tmp_path) -> Path:
    with DatasetWriter(tmp_path / "one.h5", 32, 1) as writer:
        writer.write({r: np.full((3, r, r), 90, np.uint8) for r in (32, 16, 8, 4, 2, 1)})
    return tmp_path / "one.h5"


def test_metrics_say_how_they_were_made_and_are_kept_beside_the_model(model, dataset, tmp_path, caplog):
    folder = shutil.copytree(model, tmp_path / "faces")
    config = MetricsConfig(model=folder, dataset=dataset, metrics="swd,msssim", num_images=20, device="cpu")
    caplog.set_level("INFO", "celebahq")
    results = evaluate(config)
    kept = json.loads((folder / "metrics.json").read_text())
    assert kept == results
    swd = kept["swd"]
    assert swd["num_images"] == swd["num_reals"] == 20 and swd["mirror"] is True
    assert swd["dataset"]["faces"] == ROWS and len(swd["dataset"]["sha256_4x4"]) == 64
    assert set(swd["values"]) == set(swd["noise_floor"]) == {"32", "16", "average"}
    assert swd["noise_floor_of"] == "other reals"
    assert swd["values"]["average"] > 3 * swd["noise_floor"]["average"]  # an untrained generator
    assert swd["command"] == (
        "python -m train.metrics --model faces --metrics swd --dataset faces.h5 --num-images 20 --seed 0"
    )
    printed = caplog.text
    assert swd["dataset"]["sha256_4x4"] in printed and "noise floor (other reals)" in printed


def test_metrics_of_the_same_weights_stay_and_those_of_others_go(model, dataset, save_model, tmp_path):
    folder = shutil.copytree(model, tmp_path / "faces")

    def measure(metric: str, count: int = 20) -> dict:
        evaluate(MetricsConfig(model=folder, dataset=dataset, metrics=metric, num_images=count, device="cpu"))
        return json.loads((folder / "metrics.json").read_text())

    first = measure("msssim")
    both = measure("swd")
    assert both["msssim"] == first["msssim"] and list(both) == ["msssim", "swd"]
    again = measure("swd", 24)
    assert again["swd"]["num_images"] == 24 and again["msssim"] == first["msssim"]
    save_model(folder, seed=9)
    assert list(measure("swd")) == ["swd"]


@pytest.fixture(scope="module")
def inception(tmp_path_factory) -> Path:
    """The network with seeded random weights: its metrics mean nothing, but everything runs."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("inception") / "random.safetensors"
    save_file(Inception().state_dict(), path)
    return path


@pytest.mark.slow
def test_inception_metrics_see_the_images_of_the_streams(model, dataset, inception, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    options = {"model": model, "dataset": dataset, "num_images": 10, "device": "cpu", "output": tmp_path / "m.json"}
    results = evaluate(MetricsConfig(**options, metrics="fid,is,precision-recall", inception=inception))
    network = InceptionFeatures(inception)
    with open_dataset(dataset) as file:
        reals, _ = network.of(Reals(file, 32, mirror=True).batches(10))
    fakes, logits = network.of(Fakes(weights.load(model)).batches(10))
    # The distance of the two Gaussians, from the samples: with covariances A'A / 9 and B'B / 9, the trace of the
    # root of their product is the sum of the singular values of A B' / 9.
    a, b = (x.astype(np.float64) - x.mean(0, dtype=np.float64) for x in (reals, fakes))
    shared = np.linalg.svd(a @ b.T, compute_uv=False).sum() / 9
    apart = ((reals.mean(0, dtype=np.float64) - fakes.mean(0, dtype=np.float64)) ** 2).sum()
    expected = apart + ((a**2).sum() + (b**2).sum()) / 9 - 2 * shared
    assert results["fid"]["values"]["fid"] == pytest.approx(expected, rel=1e-3)
    assert results["is"]["values"]["is"] == pytest.approx(inception_score(logits)[0], rel=1e-6)
    assert {"precision", "recall"} == set(results["precision-recall"]["values"])
    assert results["fid"]["inception_sha256"] == network.sha256

    kept = list(tmp_path.rglob("inception-*.npz"))
    assert len(kept) == 1  # the reals' features are for the next model too
    monkeypatch.setattr(Reals, "share", None)
    again = evaluate(MetricsConfig(**options, metrics="fid", inception=inception))
    assert again["fid"]["values"] == results["fid"]["values"]


def test_kernel_distance_is_that_of_the_features_it_is_given(dataset):
    """1000 images through Inception take minutes: here its features are given."""
    random = np.random.default_rng(0)

    class Given:
        sha256 = "0"

        def of_reals(self, count: int) -> np.ndarray:
            return random.standard_normal((count, 8)).astype(np.float32)

        def of_fakes(self, count: int) -> tuple[np.ndarray, None]:
            return random.standard_normal((count, 8)).astype(np.float32) + 1, None

    config = MetricsConfig(model=Path("m"), dataset=dataset, metrics="kid", num_images=1000)
    context = EvalContext(config, None, None, Given(), torch.device("cpu"), Path("metrics.json"), print)
    found = metric_function("kid")(context, 1000)
    # E (x.y / 8 + 1)^3 with x.y / 8 of mean m and variance v is (m + 1)^3 + 3 (m + 1) v but for its third moment:
    # fakes among themselves m = 1, v = 3 / 8; reals m = 0, v = 1 / 8; across m = 0, v = 1 / 4.
    expected = (8 + 6 * 3 / 8) + (1 + 3 / 8) - 2 * (1 + 3 / 4)
    assert found["values"]["kid"] == pytest.approx(expected, rel=0.1)
    assert found["num_reals"] == 1000


def test_nearest_reals_are_an_image_beside_the_metrics(model, dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    options = {"num_images": 2, "device": "cpu", "output": tmp_path / "new" / "m.json", "mirror": "no"}
    results = evaluate(MetricsConfig(model=model, dataset=dataset, metrics="neighbours", **options))
    assert results["neighbours"]["num_reals"] == ROWS and "dlib" in results["neighbours"]["features"]
    with Image.open(tmp_path / "new" / results["neighbours"]["picture"]) as image:
        assert image.width > 7 * 160 and image.height > 2 * 160


def test_iterative_distance_is_beside_its_own_floor(model, dataset, tmp_path, monkeypatch):
    import train.metrics.iterative_swd as module

    few = functools.partial(module.iterative_swd, descriptors=128, max_iterations=10)  # to the end takes a minute
    monkeypatch.setattr(module, "iterative_swd", few)
    options = {"num_images": 8, "device": "cpu", "output": tmp_path / "m.json"}
    entry = evaluate(MetricsConfig(model=model, dataset=dataset, metrics="swd-iterative", **options))["swd-iterative"]
    assert set(entry["values"]) == set(entry["noise_floor"]) == {"32", "16", "average"}
    assert entry["values"]["32"] > entry["noise_floor"]["32"] > 0


def test_missing_weights_are_one_line_before_any_work(model, dataset, monkeypatch, tmp_path):
    monkeypatch.setattr(Fakes, "share", None)
    refused(
        r"none\.pth: no such file", model=model, dataset=dataset, metrics="swd,fid", num_images=12,
        inception=tmp_path / "none.pth",
    )  # fmt: skip


def test_place_for_the_metrics_is_tried_before_any_work(model, dataset, monkeypatch, tmp_path):
    monkeypatch.setattr(Fakes, "share", None)
    (tmp_path / "file").write_text("")
    options = {"model": model, "dataset": dataset, "metrics": "swd", "num_images": 12}
    refused("cannot be written", **options, output=tmp_path / "file" / "m.json")
    refused("cannot be written", **options, output=tmp_path)


def test_same_command_gives_the_same_metrics(model, dataset, tmp_path):
    results = [
        evaluate(
            MetricsConfig(
                model=model, dataset=dataset, num_images=20, device="cpu", memory_gib=gib, output=tmp_path / "m.json"
            )
        )
        for gib in (0.0, 1.0)
    ]
    for metric in ("swd", "msssim"):
        assert results[0][metric]["values"] == results[1][metric]["values"]


def test_one_real_has_no_pair_and_the_fakes_are_measured_all_the_same(model, one_face, tmp_path):
    config = MetricsConfig(
        model=model, dataset=one_face, metrics="msssim", num_images=4, device="cpu", mirror="no",
        output=tmp_path / "m.json",
    )  # fmt: skip
    entry = evaluate(config)["msssim"]
    assert 0 < entry["values"]["ms_ssim"] <= 1 and entry["pairs"] == 2 and "reals" not in entry


def test_every_metric_has_its_function():
    for name in MEASURED:
        assert metric_function(name).__doc__


def refused(match: str, **options) -> None:
    with pytest.raises(MetricError, match=match) as caught:
        evaluate(MetricsConfig(device="cpu", **options))
    assert "\n" not in str(caught.value)


def test_data_that_do_not_fit_the_model_are_refused(model, dataset, save_model, tmp_path):
    gray = save_model(tmp_path / "gray", image_channels=1)
    refused(r"faces\.h5: got 3-channel images where .*gray generates 1-channel ones", model=gray, dataset=dataset)
    large = save_model(tmp_path / "large", resolution=64)
    refused(r"faces\.h5: got 32x32 at most where .*large generates 64", model=large, dataset=dataset)
    labelled = save_model(tmp_path / "labelled", label_size=3)
    refused(r"labels of 0 entries where .*labelled takes 3", model=labelled, dataset=dataset)
    refused(r"--dataset: got none, expected the data of .*, which takes labels", model=labelled, metrics="msssim")
    refused(
        "got 40 faces, 80 with their mirror images, expected 81; give --num-images 80 or fewer",
        model=model, dataset=dataset, metrics="swd", num_images=81,
    )  # fmt: skip
    refused("got 40 faces, expected 41", model=model, dataset=dataset, metrics="swd", num_images=41, mirror="no")


def test_what_model_or_data_cannot_have_is_refused_before_any_work(model, dataset, save_model, tmp_path):
    small = save_model(tmp_path / "small", resolution=8)
    refused("--metrics msssim: got .*small, which generates 8x8, expected 16x16 or more", model=small, metrics="msssim")
    refused("80 with their mirror images, expected 1000", model=model, dataset=dataset, metrics="kid")
    refused(
        "--num-images: got 999, expected at least 1000 for --metrics kid", model=model, metrics="kid", num_images=999
    )
    large = save_model(tmp_path / "large", resolution=64)
    refused(
        "large, which generates 3-channel images of 64x64, expected .* of three digits, 3-channel images of 32x32",
        model=large,
        metrics="modes",
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metrics", "swd,fidd"], "--metrics: got 'fidd', expected some of swd,swd-iterative,msssim,fid"),
        (["--metrics", "swd"], "--dataset: got none, expected the HDF5 file of the reals for --metrics swd"),
        (["--metrics", "is", "--num-images", "1"], "--num-images: got 1, expected at least 10 for --metrics is"),
        (["--metrics", ","], "--metrics: got none, expected some of swd"),
        (["--metrics", "msssim", "--model", "nowhere"], "nowhere: not there, expected a model folder, a run folder"),
        (["--metrics", "swd", "--dataset", "no.h5"], "no.h5: no such file"),
    ],
)
def test_mistake_on_the_command_line_is_one_line_and_exit_code_2(model, typed, options, message):
    code, said = typed("train.metrics", "--model", model, "--device", "cpu", *options)
    assert code == 2 and message in said
    assert len(said.strip().splitlines()) == 1, said


def test_help_teaches_without_importing_torch():
    program = """
import sys
sys.argv = ["train.metrics", "--help"]
from train.metrics.__main__ import main
try:
    main()
except SystemExit:
    print("torch" in sys.modules or "h5py" in sys.modules, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr.strip() == "False"
    example = "python -m train.metrics --model runs/celeba128-smoke --dataset celeba128.h5 --metrics swd,msssim"
    assert example in done.stdout
