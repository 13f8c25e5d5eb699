"""One vector of parameters: views, order of growth, memory layout."""

import copy

import pytest
import torch

from train.parameters import FlatParameters
from zoo.progan import Discriminator, Generator, ProGANConfig

CONFIG = ProGANConfig(resolution=16, fmap_base=64, fmap_max=12, latent_size=8)


@pytest.mark.parametrize("cls", [Generator, Discriminator])
def test_flattening_changes_no_output_and_covers_every_parameter(cls):
    network = cls(CONFIG)
    x = torch.randn(4, 8) if cls is Generator else torch.randn(4, 3, 16, 16)
    before = network(x, alpha=0.4)
    flat = FlatParameters(network)
    torch.testing.assert_close(network(x, alpha=0.4), before)
    assert len(flat.vector) == sum(p.numel() for p in network.parameters())
    assert {id(p) for p in flat.parameters} == {id(p) for p in network.parameters()}


def test_writing_the_vector_writes_the_network():
    network = Generator(CONFIG)
    flat = FlatParameters(network)
    flat.vector.mul_(2)
    reference = copy.deepcopy(network).state_dict()
    flat.vector.mul_(0.5)
    for key, value in network.state_dict().items():
        torch.testing.assert_close(value * 2, reference[key])


def test_gradients_are_laid_out_like_the_parameters():
    """A step along the flattened gradient moves each parameter along its own gradient."""
    network = Discriminator(CONFIG)
    flat = FlatParameters(network)
    active = flat.active(16)
    gradients = torch.autograd.grad(network(torch.randn(4, 3, 16, 16)).sum(), active, allow_unused=True)
    before = {id(p): p.detach().clone() for p in active}
    flat.prefix(16).sub_(flat.flatten(list(gradients), 16))
    for p, g in zip(active, gradients, strict=True):
        moved = before[id(p)] if g is None else before[id(p)] - g
        torch.testing.assert_close(p.detach(), moved)


def test_prefix_of_a_resolution_holds_just_what_it_uses():
    network = Generator(CONFIG)
    flat = FlatParameters(network)
    flat.vector.zero_()
    flat.prefix(8).fill_(1)
    filled = {key for key, value in network.state_dict().items() if (value == 1).all()}
    used = {"blocks.4x4", "blocks.8x8", "to_rgb.4x4", "to_rgb.8x8"}
    assert filled == {key for key in network.state_dict() if ".".join(key.split(".")[:2]) in used}


def test_convolution_weights_lie_as_channels_last_convolutions_read_them():
    network = Discriminator(CONFIG)
    FlatParameters(network)
    for name, p in network.named_parameters():
        assert p.ndim != 4 or p.is_contiguous(memory_format=torch.channels_last), name
