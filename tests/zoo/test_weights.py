"""The model folder: what is saved is loaded, and nothing else is."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import zoo
from zoo import weights
from zoo.locate import PRETRAINED
from zoo.progan import Discriminator, Generator, ProGANConfig
from zoo.weights import ModelError

TINY = ProGANConfig(resolution=8, latent_size=8, fmap_base=32, fmap_max=8, variant="released")


@pytest.fixture
def folder(tmp_path):
    """A model folder with both networks, random to the last bias."""
    torch.manual_seed(0)
    folder = tmp_path / "model"
    for network in (Generator(TINY), Discriminator(TINY)):
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter)
        weights.save(network, folder, license="CC0-1.0", training={"nimg": 1000})
    return folder


def refusal(folder, network="generator") -> str:
    """The message of the ModelError, which must be one line."""
    with pytest.raises(ModelError) as error:
        weights.load(folder, network)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("network", [Generator, Discriminator])
def test_a_network_comes_back_bit_for_bit(tmp_path, network):
    original = network(TINY)
    weights.save(Generator(TINY), tmp_path)  # config.json is the generator's
    weights.save(original, tmp_path)
    loaded = weights.load(tmp_path, network.__name__.lower())
    assert type(loaded) is network and loaded.config == TINY
    assert loaded.state_dict().keys() == original.state_dict().keys()
    for name, tensor in original.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_a_loaded_network_is_ready_to_generate(folder):
    generator = zoo.load(folder)
    assert not generator.training
    assert not any(parameter.requires_grad for parameter in generator.parameters())
    assert generator(torch.randn(2, 8)).shape == (2, 3, 8, 8)


def test_half_precision_files_load_as_float32(folder):
    path = folder / "model.safetensors"
    halves = {key: tensor.half() for key, tensor in load_file(path).items()}
    save_file(halves, path)
    loaded = weights.load(folder).state_dict()
    for key, tensor in loaded.items():
        assert tensor.dtype == torch.float32 and torch.equal(tensor, halves[key].float())


def test_the_same_network_gives_the_same_bytes(tmp_path):
    generator = Generator(TINY)
    first, second = (weights.save(generator, tmp_path / name) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_config_holds_the_card_and_belongs_to_the_generator(folder):
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config == {
        "class": "Generator",
        "architecture": TINY.to_dict(),
        "license": "CC0-1.0",
        "training": {"nimg": 1000},
    }
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "discriminator.safetensors",
        "model.safetensors",
    ]


def test_a_failed_save_leaves_the_old_model_alone(folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(TypeError):
        weights.save(Generator(TINY), folder, license=object())  # no JSON
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def edit_weights(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def test_a_missing_tensor_is_refused(folder):
    edit_weights(folder, lambda tensors: tensors.pop("to_rgb.8x8.bias"))
    assert (
        refusal(folder) == f"{folder / 'model.safetensors'}: does not fit its config.json: to_rgb.8x8.bias is missing"
    )


def test_an_extra_tensor_is_refused(folder):
    edit_weights(folder, lambda tensors: tensors.update(lod=torch.zeros(1)))
    assert refusal(folder).endswith("does not fit its config.json: lod is not part of this architecture")


def test_a_tensor_of_another_shape_is_refused(folder):
    edit_weights(folder, lambda tensors: tensors.update({"to_rgb.8x8.bias": torch.zeros(1)}))
    assert refusal(folder).endswith("to_rgb.8x8.bias is (1,), expected (3,)")


def test_a_foreign_file_is_refused_with_the_first_differences(folder):
    save_file({f"layer{i}": torch.zeros(1) for i in range(9)}, folder / "model.safetensors")
    message = refusal(folder)
    assert message.count("is missing") == 3 and message.endswith("more)")


@pytest.mark.parametrize("keep", [0, 5, 200, -1])
def test_a_truncated_weights_file_is_refused(folder, keep):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    assert refusal(folder).startswith(f"{path}: cannot be read as safetensors (")


def test_weights_that_are_not_there_are_named(folder):
    (folder / "discriminator.safetensors").unlink()
    path = folder / "discriminator.safetensors"
    assert refusal(folder, "discriminator").startswith(f"{path}: not there, expected the weights")


def test_a_folder_or_a_pipe_in_the_place_of_weights_is_no_file(folder):
    path = folder / "model.safetensors"
    path.unlink()
    path.mkdir()
    assert refusal(folder).startswith(f"{path}: not a file, expected the weights")
    path.rmdir()
    os.mkfifo(path)  # reading it would wait for ever
    assert refusal(folder).startswith(f"{path}: not a file, expected the weights")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "config.json: cannot be read ("),
        ("[" * 100_000, "config.json: cannot be read (maximum recursion depth"),
        ('{"architecture": {"resolution": %s}}' % ("9" * 5000), "config.json: cannot be read (Exceeds the limit"),
        (
            '{"architecture": {}, "class": ["Generator"]}',
            "config.json: got class ['Generator'], expected the name",
        ),
        ("[]", "config.json: no 'architecture' in it"),
        ("{}", "config.json: no 'architecture' in it"),
        ('{"architecture": {"resolution": 8, "depth": 3}}', "config.json: architecture: got depth, expected fields"),
        ('{"architecture": {"resolution": 9}}', "config.json: resolution: got 9, expected a power of two from 4"),
        ('{"architecture": {"resolution": "8"}}', "config.json: resolution: got '8', expected an integer"),
    ],
)
def test_a_config_that_is_not_ours_is_refused(folder, text, message):
    (folder / "config.json").write_text(text, encoding="utf-8")
    assert refusal(folder).startswith(f"{folder}/{message}")


def test_weights_of_another_architecture_are_refused(folder):
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["architecture"]["resolution"] = 16
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert "blocks.16x16.conv0.weight is missing" in refusal(folder)


# zoo.model_folder: what a user may pass as MODEL.


def test_a_model_folder_means_itself(folder):
    assert zoo.model_folder(folder) == folder
    assert zoo.model_folder(str(folder)) == folder


def test_a_run_folder_means_its_model(folder):
    run = folder.parent
    (run / "checkpoints").mkdir()
    (run / "config.json").write_text("{}", encoding="utf-8")  # the training options, not a model's
    assert zoo.model_folder(run) == run / "model"
    assert zoo.load(run).config == TINY


def test_a_run_without_a_model_is_told_to_train_on(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match="a run that has not published a model yet"):
        zoo.load(tmp_path)


def test_a_folder_that_is_neither_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"no config\.json in it, expected a model folder or a run folder"):
        zoo.load(tmp_path)


def test_a_path_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ModelError, match="not there, expected a model folder or a run folder"):
        zoo.load(tmp_path / "nowhere")


def test_a_file_is_refused(folder):
    with pytest.raises(ModelError, match="expected a model folder or a run folder"):
        zoo.load(folder / "model.safetensors")


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_a_restoration_network_is_no_generator(network):
    assert refusal(PRETRAINED / "superres-fast-psnr", network).endswith(
        "config.json: got a network SuperResolver, expected a Generator"
    )


def test_weights_are_on_the_disk_before_they_take_their_name(tmp_path, monkeypatch):
    """After a power cut there is the old model or the new one: bytes first, then the name, then the folder."""
    calls, fsync, replace = [], os.fsync, Path.replace

    def told_fsync(descriptor):
        calls.append(("fsync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", told_fsync)
    monkeypatch.setattr(Path, "replace", lambda self, to: calls.append(("rename", self.name)) or replace(self, to))
    network = Generator(TINY)
    weights.save(network, str(tmp_path / "model"))  # text is as good as a Path
    for name in ("model.safetensors", "config.json"):
        expected = [("fsync", f"{name}.partial"), ("rename", f"{name}.partial"), ("fsync", "model")]
        start = calls.index(expected[0])
        assert calls[start : start + 3] == expected
    assert weights.load(str(tmp_path / "model")).config == network.config
