"""Addresses copied from a browser are understood as the model that they show."""

from pathlib import Path

import pytest

import zoo
from export.hub.config import HubConfig
from zoo.folder import ModelError
from zoo.locate import locate
from zoo.remote.hub_address import hub_id_of, is_address


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        ("https://huggingface.co/me/faces", "me/faces"),
        ("https://huggingface.co/me/faces/", "me/faces"),
        ("http://www.huggingface.co/me/faces?library=celebahq#use", "me/faces"),
        ("huggingface.co/me/faces", "me/faces"),
        ("hf.co/me/faces", "me/faces"),
        ("hf://me/faces@v1", "me/faces@v1"),
        ("https://huggingface.co/models/me/faces", "me/faces"),
        ("https://huggingface.co/me/faces/tree/v1", "me/faces@v1"),
        ("https://huggingface.co/me/faces/tree/refs%2Fpr%2F3", "me/faces@refs/pr/3"),
        ("https://huggingface.co/me/faces/blob/main/model.safetensors", "me/faces@main"),
        ("https://huggingface.co/me/faces/resolve/v1/model.onnx?download=true", "me/faces@v1"),
        ("https://huggingface.co/me/faces/commit/0123abc", "me/faces@0123abc"),
        ("https://huggingface.co/me/faces/discussions/1", "me/faces"),
        (" https://huggingface.co/me/faces\n", "me/faces"),
        ("me/faces@v1", "me/faces@v1"),
        ("celebahq-1024", "celebahq-1024"),
        ("runs/faces", "runs/faces"),
    ],
)
def test_an_address_is_the_id_that_it_shows(address, meant):
    assert hub_id_of(address) == meant
    if is_address(address):
        assert hub_id_of(Path(address.strip())) == meant


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://github.com/me/faces", "got an address of github.com, expected a model's on huggingface.co"),
        ("https://huggingface.co.evil.example/me/faces", "got an address of huggingface.co.evil.example"),
        ("https://huggingface.co/datasets/me/faces", "got the address of a dataset, expected a model's"),
        ("https://huggingface.co/spaces/me/faces", "got the address of a Space"),
        ("https://huggingface.co/me", "got an address without org/name"),
        ("https://huggingface.co", "got an address without org/name"),
    ],
)
def test_an_address_of_something_else_is_told_from_a_model(address, said):
    with pytest.raises(ModelError, match=said) as refusal:
        zoo.model_folder(address)
    assert "\n" not in str(refusal.value)


def test_the_hub_is_asked_for_what_the_address_shows(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("zoo.remote.hub.snapshot", lambda *repo: asked.append(repo) or tmp_path)
    monkeypatch.chdir(tmp_path)
    for address in ("https://huggingface.co/me/faces/tree/v1", Path("https://huggingface.co/me/faces/tree/v1")):
        assert locate(address) == tmp_path
    locate("https://huggingface.co/me/faces", revision="v2")
    assert asked == [("me/faces", "v1"), ("me/faces", "v1"), ("me/faces", "v2")]


def test_another_hub_is_known_by_hf_endpoint(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:8080")
    assert hub_id_of("http://127.0.0.1:8080/me/faces/tree/v1") == "me/faces@v1"


def test_a_repository_to_push_to_may_be_its_address():
    assert HubConfig(model="faces-32", repo="https://huggingface.co/me/faces").repo == "me/faces"
