"""metrics.json: nothing is replaced without a word, nothing is written into what is somebody else's."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from train.metrics.config import MetricsConfig
from train.metrics.errors import MetricError
from train.metrics.evaluate import evaluate
from train.metrics.metrics_file import check_replaced, save_metric, table
from zoo.locate import PRETRAINED, file_beside_the_caller, is_somebodys
from zoo.metrics import metric_lines, within_noise

DATA = {"file": "faces.h5", "faces": 40, "sha256_4x4": "3b77" * 16, "sha256_labels": None}


def entry(count=2000, sha="a", **more):
    floor = {"noise_floor": {"32": 5.0, "average": 6.0}, "noise_floor_of": "other reals"}
    values = {"values": {"32": 4.5, "average": 7.0}, "num_images": count, "model_sha256": sha, "seconds": 1.0}
    return values | floor | {"dataset": DATA, "mirror": True} | more


@pytest.mark.parametrize(
    ("new", "found", "held"),
    [
        (entry(100), "100 images and faces.h5 (40 faces, 3b773b77, mirrored)", "2000 images and faces.h5"),
        (
            entry(5000, dataset=DATA | {"file": "other.h5", "sha256_4x4": "77" * 32}),
            "other.h5 (40 faces, 7777",
            "3b77",
        ),
        (entry(5000, dataset=DATA | {"faces": 90}), "(90 faces", "(40 faces"),
        (entry(5000, mirror=False), "3b773b77)", "3b773b77, mirrored)"),
        (entry(5000, dataset=None), "5000 images,", "faces.h5"),
    ],
    ids=["fewer images", "other data", "more faces", "not mirrored", "no data"],
)
def test_a_metric_of_more_images_or_other_data_is_not_replaced(tmp_path, new, found, held):
    path = tmp_path / "metrics.json"
    save_metric(path, "swd", entry())
    with pytest.raises(MetricError) as refusal:
        check_replaced(path, {"swd": new})
    said = str(refusal.value)
    assert said.startswith(f"{path}: got swd of ") and said.endswith(
        "give another --output, or --overwrite to replace it"
    )
    got, _, expected = said.partition(", expected more than the ")
    assert found.rstrip(",") in got and held in expected
    assert check_replaced(path, {"swd": new}, overwrite=True) == [
        f"{path}: swd of 2000 images and faces.h5 (40 faces, 3b773b77, mirrored) is replaced"
    ]


def test_what_goes_is_said_and_what_stays_is_not(tmp_path):
    path = tmp_path / "metrics.json"
    assert check_replaced(path, {"swd": entry()}) == []
    save_metric(path, "swd", entry())
    assert check_replaced(path, {"fid": entry()}) == []
    assert "is replaced" in check_replaced(path, {"swd": entry(5000)})[0]
    assert "swd of other weights (2000 images" in check_replaced(path, {"fid": entry(sha="b")})[0]


@pytest.mark.parametrize(
    "text", ["{", "", "[1]", '{"name": "my-package"}', '{"swd": {"values": 3}}', "[" * 100_000, "\xff"]
)
def test_a_file_that_is_something_else_is_not_written_over(tmp_path, text):
    path = tmp_path / "package.json"
    path.write_bytes(text.encode("latin1"))
    for attempt in (lambda: check_replaced(path, {"swd": entry()}), lambda: save_metric(path, "swd", entry())):
        with pytest.raises(
            MetricError, match=r"package.json: got .*, expected the metrics of train.metrics; give another"
        ):
            attempt()
    assert path.read_bytes() == text.encode("latin1")


def test_fewer_images_end_before_anything_is_generated(small_model, small_dataset, tmp_path, monkeypatch):
    folder = shutil.copytree(small_model, tmp_path / "faces")
    options = {"model": folder, "dataset": small_dataset, "metrics": "swd", "device": "cpu"}
    evaluate(MetricsConfig(**options, num_images=20))
    before = (folder / "metrics.json").read_bytes()
    with pytest.raises(MetricError, match="got swd of 8 images"):
        evaluate(MetricsConfig(**options, num_images=8))
    assert (folder / "metrics.json").read_bytes() == before
    evaluate(MetricsConfig(**options, num_images=8, output=tmp_path / "other.json"))
    assert json.loads((tmp_path / "other.json").read_text())["swd"]["num_images"] == 8
    evaluate(MetricsConfig(**options, num_images=8, overwrite=True))
    assert json.loads((folder / "metrics.json").read_text())["swd"]["num_images"] == 8


# Somebody else's.


def test_metrics_of_a_shipped_model_are_written_beside_the_caller(small_dataset, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO", "celebahq")
    before = {path: path.read_bytes() for path in sorted((PRETRAINED / "faces-32").iterdir())}
    for model in (Path("faces-32"), PRETRAINED / "faces-32"):
        evaluate(MetricsConfig(model=model, dataset=small_dataset, metrics="swd", num_images=8, device="cpu"))
        assert "kept in faces-32-metrics.json" in caplog.text
    kept = json.loads((tmp_path / "faces-32-metrics.json").read_text())
    assert kept["swd"]["command"].startswith("python -m train.metrics --model faces-32 --metrics swd")
    assert {path: path.read_bytes() for path in sorted((PRETRAINED / "faces-32").iterdir())} == before


def test_what_is_somebodys_is_told_by_its_name_or_its_place(tmp_path, monkeypatch):
    monkeypatch.setenv("CELEBAHQ_ZOO_CACHE", str(tmp_path / "zoo"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    places = ["zoo/models/celebahq-1024", "hub/models--me--faces/snapshots/1", "home/hub/models--me--faces/snapshots/1"]
    for place in (*places, "runs/faces/model"):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        assert is_somebodys(folder, folder) is (place in places), place
    assert is_somebodys("me/faces@v1", tmp_path / "runs/faces/model")
    assert is_somebodys(PRETRAINED / "faces-32", PRETRAINED / "faces-32")
    assert file_beside_the_caller("me/faces@v1", "-metrics.json") == Path("me-faces-v1-metrics.json")
    assert file_beside_the_caller("../../etc", ".onnx").parent == Path()


# A value below its noise floor.


def test_a_value_below_its_noise_floor_is_said_to_be():
    assert within_noise(entry()) == ["32"]
    assert table("swd", entry())[-1].startswith("below the noise floor: 32; so many images cannot tell")
    high = entry(values={"32": 5.5, "average": 7.0})
    assert within_noise(high) == []
    assert not any("below" in line for line in table("swd", high))
    low = entry(values={"32": 4.5, "average": 6.0}) | {"metric": "swd"}
    assert metric_lines([low]) == ["SWD x 1e3 6 (noise floor 6, below it: not to be told from reals)"]
    for odd in ({"noise_floor": None}, {"noise_floor": {"32": "text"}}, {"noise_floor": [1]}, {"values": {"32": None}}):
        assert within_noise(entry(**odd)) == []


def test_the_command_line_refuses_in_one_line(small_model, tmp_path):
    folder = shutil.copytree(small_model, tmp_path / "faces")
    (folder / "metrics.json").write_text("{")
    command = [
        sys.executable,
        "-m",
        "train.metrics",
        "--model",
        str(folder),
        "--metrics",
        "msssim",
        "--num-images",
        "4",
    ]
    done = subprocess.run([*command, "--device", "cpu"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "metrics.json: got a damaged file" in done.stderr
