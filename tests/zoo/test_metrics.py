"""Measured metrics: those of the weights that lie there, and no others."""

import hashlib
import json

import pytest

from zoo.metrics import metric_lines, metric_of, read_metrics

WEIGHTS = b"weights"
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
SWD = {"values": {"32": 40.0, "average": 30.0}, "noise_floor": {"32": 6.0, "average": 9.0}, "model_sha256": SHA256}


def write(folder, metrics):
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    (folder / "metrics.json").write_text(metrics if isinstance(metrics, str) else json.dumps(metrics))
    return folder


def test_metrics_of_other_weights_are_stale(tmp_path):
    stale = {"values": {"ms_ssim": 0.2}, "model_sha256": "0" * 64}
    assert read_metrics(write(tmp_path, {"swd": SWD, "msssim": stale})) == [{"metric": "swd", **SWD}]


def test_all_metrics_are_stale_once_the_weights_change(tmp_path):
    write(tmp_path, {"swd": SWD})
    (tmp_path / "model.safetensors").write_bytes(b"trained on")
    assert read_metrics(tmp_path) == []


@pytest.mark.parametrize(
    "metrics", ["no json", "[]", "[" * 100_000, {"swd": 1}, {"swd": {"model_sha256": SHA256}}, {"swd": {"values": {}}}]
)
def test_what_is_no_metric_is_left_out(tmp_path, metrics):
    assert read_metrics(write(tmp_path, metrics)) == []


def test_nothing_measured_is_no_error(tmp_path):
    assert read_metrics(tmp_path) == []


def test_a_line_gives_the_average_with_its_noise_floor():
    assert metric_lines([{"metric": "swd", **SWD}]) == ["SWD x 1e3 30 (noise floor 9)"]


def test_a_line_without_an_average_gives_the_first_by_its_name():
    metrics = [
        {"metric": "restoration", "values": {"Q10": 29.5, "Q20": 31.5}},
        {"metric": "fid", "values": {"fid": 7.3}},
    ]
    assert metric_lines(metrics) == ["PSNR Q10 29.5", "FID 7.3"]


def test_a_metric_of_another_version_is_shown_by_its_key():
    assert metric_of("of-tomorrow").name == "of-tomorrow"
