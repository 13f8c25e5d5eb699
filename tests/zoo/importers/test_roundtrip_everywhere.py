"""An imported network is a model like any other: saved, loaded, exported, with its origin in config.json."""

import hashlib
import json

import numpy as np
import pytest
import torch

from export.onnx_export.to_onnx import export_onnx
from export.sample import load_onnx
from zoo import weights
from zoo.importers import import_checkpoint, import_networks


def test_saved_and_loaded_it_generates_the_same_images_to_the_bit(sample, tmp_path):
    folder = import_networks(sample.path).save(tmp_path / "model")
    imported, loaded = import_checkpoint(sample.path), weights.load(folder)
    assert torch.equal(loaded(sample.z), imported(sample.z))
    assert loaded.config.resolutions == imported.config.resolutions


def test_a_discriminator_of_the_file_is_saved_beside_its_generator(real_data, tmp_path):
    path = real_data / "zoo_vectors/mmgen_128_narrow.pth"
    folder = import_networks(path).save(tmp_path / "model")
    images = torch.randn(4, 3, 128, 128)
    scores = import_checkpoint(path, "discriminator")(images)
    assert torch.equal(weights.load(folder, "discriminator")(images), scores)
    assert scores.std() > 0


def test_config_json_says_where_it_comes_from(sample, tmp_path):
    folder = import_networks(sample.path).save(tmp_path / "model")
    imported = json.loads((folder / "config.json").read_text())["imported"]
    assert imported["layout"] == sample.layout
    assert imported["file"] == sample.path.name
    assert imported["file_sha256"] == hashlib.sha256(sample.path.read_bytes()).hexdigest()
    assert imported["model_sha256"] == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "sample",
    ["gan_zoo", *(pytest.param(x, marks=pytest.mark.slow) for x in ("mmgen", "gandissect", "akanimax_v3"))],
    indirect=True,
)
def test_exported_to_onnx_it_generates_what_its_own_program_generates(sample, tmp_path):
    folder = import_networks(sample.path).save(tmp_path / "model")
    report = export_onnx(folder, tmp_path / "model.onnx")
    assert report.path.is_file()
    images = load_onnx(tmp_path / "model.onnx")(sample.z.numpy())
    np.testing.assert_allclose(images, sample.images, rtol=0, atol=1e-4)
