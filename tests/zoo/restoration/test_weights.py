"""Restoration networks in model folders: what is saved comes back, misfits are refused, what ships is whole."""

import hashlib
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from zoo.metrics import read_metrics
from zoo.restoration.networks import build
from zoo.restoration.weights import (
    PRETRAINED,
    load_restoration,
    save_restoration,
    shipped_folder,
    weights_sha256,
)
from zoo.weights import ModelError

SHIPPED = sorted(
    path.parent.name for net in ("artifacts", "superres") for path in PRETRAINED.glob(f"{net}-*/model.safetensors")
)


@pytest.fixture
def folder(tmp_path, with_random_biases):
    save_restoration(with_random_biases(build("artifacts", "fast")), tmp_path / "net", license={"weights": "MIT"})
    return tmp_path / "net"


@pytest.mark.parametrize("net", ["artifacts", "superres"])
def test_saved_network_comes_back_within_half_precision(net, tmp_path, with_random_biases):
    network = with_random_biases(build(net, "fast")).eval()
    save_restoration(network, tmp_path)
    loaded, photo = load_restoration(tmp_path), torch.rand(1, 3, 20, 24)
    assert loaded.config == network.config
    assert not loaded.training and not any(parameter.requires_grad for parameter in loaded.parameters())
    with torch.no_grad():
        wanted = network(photo)
        assert (loaded(photo) - wanted).abs().max() < 2e-3 * wanted.abs().max()
    assert load_file(tmp_path / "model.safetensors")["head.weight"].dtype == torch.float16


def test_weights_of_another_architecture_are_refused(folder):
    tensors = load_file(folder / "model.safetensors")
    del tensors["tail.bias"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"model.safetensors: does not fit its config.json: tail.bias is missing"):
        load_restoration(folder)


def test_damaged_weights_are_refused_in_one_line(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match="cannot be read as safetensors") as caught:
        load_restoration(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"class": "Generator"}, "class 'Generator', expected ArtifactRemover or SuperResolver"),
        ({"architecture": {"depth": 3}}, "'architecture' cannot be built"),
    ],
)
def test_folder_of_another_network_is_refused(folder, change, text):
    config = json.loads((folder / "config.json").read_text()) | change
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=text):
        load_restoration(folder)


def test_name_that_does_not_ship_is_told_with_those_that_do():
    for name in ("artifacts-huge", "faces-32"):
        with pytest.raises(ModelError, match=rf"{name}: no model\.safetensors of a restoration .*artifacts-fast") as no:
            shipped_folder(name)
        assert "faces-32" not in str(no.value).partition("wanted: ")[2]


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_loads_and_tells_its_license_and_metrics(name):
    folder = shipped_folder(name)
    net, size = name.split("-")[:2]
    assert load_restoration(folder).config == build(net, size).config
    config = json.loads((folder / "config.json").read_text())
    card = (folder / "README.md").read_text()
    if "-free" in name:
        assert config["license"] == config["license"] | {"weights": "Apache-2.0", "non_commercial": False}
        assert "Commercial use is open" in card and "restoration_free_images.csv" in card
        assert not any(word in card + json.dumps(config) for word in ("BSDS", "T91", "BY-NC", "non-commercial use"))
    else:
        assert config["license"]["non_commercial"] is True and "BSDS500" in config["license"]["data"]
        assert "non-commercial" in card and "BSDS500" in card
    # The metrics on the card were measured on these very weights.
    (entry,) = read_metrics(folder)
    for value in entry["values"].values():
        assert f"| {value:.2f} |" in card
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert weights_sha256(folder) == digest == entry["model_sha256"]


def test_what_ships_is_at_most_24_mb_together_and_8_mb_a_file():
    folders = [shipped_folder(name) for name in SHIPPED]
    assert {"artifacts-fast", "superres-fast-gan", "superres-fast-psnr"} <= set(SHIPPED)
    assert {"artifacts-fast-free", "superres-fast-free-gan", "superres-fast-free-psnr"} <= set(SHIPPED)
    sizes = [path.stat().st_size for path in folders[0].parent.rglob("*") if path.is_file()]
    assert sum(sizes) <= 24e6 and max(sizes) <= 8e6
