"""Networks through the fused operations against the same networks as they were."""

import copy

import pytest
import torch

from train.gradient_penalty import input_gradient
from zoo import fused_blocks, weights
from zoo.architecture import ProGANConfig
from zoo.fused_blocks import FusedConv2d, fuse, shared_weights
from zoo.layers import EqualizedConv2d, upsample
from zoo.progan import Discriminator, Generator, GeneratorBlock

Z, IMAGES = torch.randn(4, 16), torch.randn(4, 3, 16, 16).contiguous(memory_format=torch.channels_last)


def pair(kind, variant="paper", **options):
    torch.manual_seed(0)
    config = ProGANConfig(resolution=16, latent_size=16, fmap_base=64, fmap_max=12, variant=variant, **options)
    network = kind(config)
    for p in network.parameters():
        if p.ndim == 1:
            p.data.normal_(0, 0.1)  # biases that would be missed
    other = copy.deepcopy(network)
    fuse(other)
    return network, other


def assert_gradients_equal(losses, networks):
    found = [
        torch.autograd.grad(x, list(n.parameters()), allow_unused=True) for x, n in zip(losses, networks, strict=True)
    ]
    for (name, _), a, b in zip(networks[0].named_parameters(), *found, strict=True):
        assert (a is None) == (b is None), name
        if a is not None:
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5 * a.abs().max().item() + 1e-7, msg=name)


@pytest.mark.parametrize("alpha", [1.0, torch.tensor(0.3)], ids=["stable", "fade"])
@pytest.mark.parametrize("variant", ["paper", "released"])
@pytest.mark.parametrize("fold_from", [8, 64])
def test_fused_generator_equals_the_plain_one(variant, alpha, fold_from, monkeypatch):
    monkeypatch.setattr(fused_blocks, "FOLD_FROM", fold_from)
    networks = pair(Generator, variant)
    images = [n(Z, alpha=alpha) for n in networks]
    torch.testing.assert_close(*images, rtol=1e-5, atol=1e-5)
    assert_gradients_equal([x.square().sum() for x in images], networks)


@pytest.mark.parametrize("alpha", [1.0, torch.tensor(0.3)], ids=["stable", "fade"])
@pytest.mark.parametrize("variant", ["paper", "released"])
def test_fused_discriminator_and_its_penalty_equal_the_plain_ones(variant, alpha):
    networks, losses, gradients = pair(Discriminator, variant), [], []
    for network in networks:
        tape = []
        with shared_weights(network):  # the penalty asks for the weights a second time
            scores = network(IMAGES, alpha=alpha, tape=tape)
            gradients.append(input_gradient(network, tape, 4, alpha))
        losses.append(scores.sum() + (gradients[-1].square().sum((1, 2, 3)).sqrt() - 1).square().sum())
    torch.testing.assert_close(*losses, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)
    assert_gradients_equal(losses, networks)


def test_upsampling_folds_into_the_convolution():
    conv = EqualizedConv2d(3, 5, 3)
    other = copy.deepcopy(conv)
    other.__class__ = FusedConv2d
    x = torch.randn(2, 3, 6, 8)
    expected = conv(upsample(x)) - conv.bias.view(1, -1, 1, 1)
    torch.testing.assert_close(other.of_upsampled(x), expected, rtol=1e-4, atol=1e-5)


def test_shared_weights_are_scaled_once_and_forgotten():
    _, network = pair(Generator)
    layer = network.block(8).conv0
    with shared_weights(network):
        with torch.no_grad():
            first = layer.scaled_weight(torch.float32)
        assert layer.scaled_weight(torch.float32) is first
        assert first.requires_grad  # although who asked first wanted no gradient
    assert layer.scaled_weight(torch.float32) is not first


@pytest.mark.parametrize("kind", [Generator, Discriminator])
def test_a_fused_network_is_saved_and_loaded_as_what_it_is(kind, tmp_path):
    _, network = pair(kind)
    weights.save(pair(Generator)[1], tmp_path)  # whose config.json is that of both
    weights.save(network, tmp_path)
    again = weights.load(tmp_path, network=kind.__name__.lower())
    assert type(again) is type(network) is kind
    assert all(torch.equal(p, q) for p, q in zip(network.parameters(), again.parameters(), strict=True))


def test_parameters_keep_their_names_and_what_fused_blocks_cannot_do_stays_plain():
    network, other = pair(Generator, epsilon_outside_root=True)
    assert network.state_dict().keys() == other.state_dict().keys()
    assert type(other.block(8)) is GeneratorBlock
    torch.testing.assert_close(network(Z), other(Z))
