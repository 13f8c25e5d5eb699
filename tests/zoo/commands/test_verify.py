"""A model folder that is what it was passes; any change of weights, shapes or arithmetic is found."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from zoo import weights
from zoo.check_image import TOLERANCE, check_difference, load_network, record_check
from zoo.commands.verify import verify_folder
from zoo.progan import Discriminator, Generator, ProGANConfig

LABELLED = ProGANConfig(resolution=128, latent_size=16, label_size=3, fmap_base=128, fmap_max=16)


@pytest.fixture
def folder(tmp_path, with_random_biases):
    """A recorded model folder with generator and discriminator, larger than what the check image keeps whole."""
    weights.save(with_random_biases(Generator(LABELLED)), tmp_path)
    weights.save(with_random_biases(Discriminator(LABELLED)), tmp_path)
    record_check(tmp_path, load_network(tmp_path))
    return tmp_path


def change(folder, key, by, name="model.safetensors"):
    """Add to one tensor of the weights."""
    tensors = load_file(folder / name)
    tensors[key] = tensors[key] + by
    save_file(tensors, folder / name)


def wrong(folder) -> list[str]:
    return [finding.text for finding in verify_folder(folder) if not finding.good]


def test_a_folder_that_is_what_it_was_passes(folder):
    assert wrong(folder) == []
    texts = "\n".join(map(str, verify_folder(folder)))
    assert "images: " in texts and "of their range from the check image" in texts
    assert "discriminator.safetensors: every name and shape" in texts


def test_other_weights_are_found_by_their_hash_and_by_what_they_generate(folder):
    change(folder, "to_rgb.128x128.bias", 0.5)
    hash_line, image_line = wrong(folder)
    assert hash_line.startswith("model.safetensors: sha256 ") and ", expected " in hash_line
    assert image_line.endswith("expected at most 1e-03")


def test_a_config_edited_by_hand_is_no_crash_and_a_damaged_check_image_is_said_once(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"imported": {"file_sha256": 3, "model_sha256": None}}))
    assert wrong(folder) == []
    (folder / "check.safetensors").write_bytes(b"no tensors")
    assert len(wrong(folder)) == 1


def test_another_discriminator_is_found_by_its_hash(folder):
    change(folder, "blocks.4x4.dense1.bias", 0.5, "discriminator.safetensors")
    assert [line.partition(":")[0] for line in wrong(folder)] == ["discriminator.safetensors"]


def test_the_middle_of_an_image_is_compared_pixel_by_pixel(folder):
    """A fault that the average over 2x2 pixels hides: every other pixel brighter, the next darker."""
    network = load_network(folder)

    def faulty(*inputs):
        images = network(*inputs)
        rows, columns = torch.meshgrid(torch.arange(128), torch.arange(128), indexing="ij")
        return images + ((rows + columns) % 2 * 2 - 1) * 0.05 * (images.max() - images.min())

    assert check_difference(folder, network) == 0
    assert check_difference(folder, _Wrapped(network, faulty)) > 0.04


class _Wrapped(Generator):
    """A generator with another forward pass."""

    def __init__(self, network, forward):
        torch.nn.Module.__init__(self)
        self.config = network.config
        self.forward = forward


def test_double_precision_stays_within_the_tolerance(folder):
    """What another machine's arithmetic may differ by is far below what is allowed."""
    network = load_network(folder)
    exact = load_network(folder).double()
    exact.compute_dtype = torch.float64
    in_double = _Wrapped(network, lambda *inputs: exact(*(value.double() for value in inputs)).float())
    assert 0 < check_difference(folder, in_double) < TOLERANCE / 10


def test_a_tensor_that_is_missing_is_found(folder):
    tensors = load_file(folder / "model.safetensors")
    del tensors["to_rgb.128x128.bias"]
    save_file(tensors, folder / "model.safetensors")
    assert any("to_rgb.128x128.bias is missing" in line for line in wrong(folder))


def test_weights_that_are_no_numbers_are_found_without_a_check_image(folder):
    (folder / "check.safetensors").unlink()
    assert wrong(folder) == []
    change(folder, "to_rgb.128x128.bias", float("nan"))
    (line,) = [line for line in wrong(folder) if line.startswith("images")]
    assert "no check image recorded" in line


def test_nan_is_no_agreement(folder):
    change(folder, "to_rgb.128x128.bias", float("nan"))
    assert any(line.startswith("images: inf") for line in wrong(folder))


def test_a_damaged_check_image_is_found(folder):
    (folder / "check.safetensors").write_bytes(b"no tensors")
    assert all("check.safetensors: cannot be read" in line for line in wrong(folder))
    assert wrong(folder)


def test_hashes_of_an_import_are_compared_too(folder):
    config = json.loads((folder / "config.json").read_text())
    config["imported"] = {"file": "x.pkl", "file_sha256": "0" * 64, "model_sha256": "1" * 64}
    (folder / "config.json").write_text(json.dumps(config))
    assert [line for line in wrong(folder) if line.endswith("expected 11111111")]
