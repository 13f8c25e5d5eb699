"""VGG's five layers: which convolutions they are, their values by another path, and the distance."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from train.metrics.errors import MetricError
from train.metrics.vgg import VggLayers

# Simonyan and Zisserman (2015), Table 1, columns D and E; M is a maximum pool.
VGG16 = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"]
VGG19 = [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"]


def published(table: list) -> nn.Sequential:
    """The layers as torchvision numbers them."""
    torch.manual_seed(0)
    layers, channels = [], 3
    for width in table:
        if width == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
    return nn.Sequential(*layers)


@pytest.fixture(scope="module")
def vgg16(tmp_path_factory):
    path = tmp_path_factory.mktemp("vgg") / "vgg16.safetensors"
    network = published(VGG16)
    save_file(
        {f"features.{k}": v for k, v in network.state_dict().items()} | {"classifier.0.bias": torch.zeros(4)}, path
    )
    return path, network


def test_activations_are_the_second_convolutions_of_each_block(vgg16):
    path, network = vgg16
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32)).astype(np.uint8)
    found = VggLayers(path)(torch.from_numpy(images))
    x = torch.from_numpy((images / 255 - np.array([0.485, 0.456, 0.406])[:, None, None])
                         / np.array([0.229, 0.224, 0.225])[:, None, None]).float()  # fmt: skip
    seen = [x := layer(x) for layer in network]
    for ours, place in zip(found, (3, 8, 13, 20, 27), strict=True):  # the ReLU after convolutions 2, 7, 12, 19, 26
        torch.testing.assert_close(ours, seen[place], rtol=1e-4, atol=1e-5)
    assert [tuple(each.shape[1:]) for each in found] == [
        (64, 32, 32),
        (128, 16, 16),
        (256, 8, 8),
        (512, 4, 4),
        (512, 2, 2),
    ]


def test_vgg19_is_told_from_vgg16(tmp_path, vgg16):
    path = tmp_path / "vgg19.safetensors"
    network = published(VGG19)
    save_file({f"features.{k}": v for k, v in network.state_dict().items()}, path)
    layers = VggLayers(path)
    assert layers.name == "VGG-19" and VggLayers(vgg16[0]).name == "VGG-16"
    x = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    normal = -torch.tensor([0.485, 0.456, 0.406]) / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(layers(x)[-1], network[:32](normal[None, :, None, None].expand(1, 3, 16, 16)))


def test_distance_is_the_mean_absolute_difference_of_each_layer(vgg16):
    layers = VggLayers(vgg16[0])
    images = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (5, 3, 16, 16)).astype(np.uint8))
    table = layers.distances(layers(images[:2]), images)
    assert table.shape == (2, 5, 5)
    for i in range(2):
        assert torch.allclose(table[i, i], torch.zeros(5), atol=1e-6)
        for j in range(5):
            wanted = [
                float((a - b).abs().mean())
                for a, b in zip(layers(images[i : i + 1]), layers(images[j : j + 1]), strict=True)
            ]
            np.testing.assert_allclose(table[i, j], wanted, rtol=1e-3, atol=1e-6)


def test_another_network_is_refused(tmp_path):
    path = tmp_path / "alexnet.safetensors"
    save_file({"features.0.weight": torch.zeros(64, 3, 11, 11), "features.3.weight": torch.zeros(1)}, path)
    with pytest.raises(MetricError, match=r"alexnet.safetensors: got 2 convolutions .*, expected VGG-16 or VGG-19"):
        VggLayers(path)
    state = {f"features.{k}": v for k, v in published(VGG16).state_dict().items()}
    save_file(state | {"features.2.weight": torch.zeros(64, 64, 5, 5)}, path)
    with pytest.raises(MetricError, match=r"features.2.weight: got \(64, 64, 5, 5\), expected \(64, 64, 3, 3\)"):
        VggLayers(path)


def test_a_pth_of_another_hash_is_refused(tmp_path):
    path = tmp_path / "vgg16-397923af.pth"
    torch.save({"features.0.weight": torch.zeros(1)}, path)
    with pytest.raises(MetricError, match=r"got sha256 .{8}, expected vgg16-397923af.pth .* or vgg19-dcbb9e9d.pth"):
        VggLayers(path)
