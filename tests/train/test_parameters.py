"""One vector of parameters: views, order of growth, memory layout."""

import copy
from dataclasses import replace

import pytest
import torch

from train import parameters
from train.config import TrainConfig
from train.loop import train
from train.parameters import FlatParameters
from train.state.checkpoint import checkpoints, load_checkpoint
from zoo.progan import Discriminator, Generator, ProGANConfig

CONFIG = ProGANConfig(resolution=16, fmap_base=64, fmap_max=12, latent_size=8)


@pytest.mark.parametrize("cls", [Generator, Discriminator])
def test_flattening_changes_no_output_and_covers_every_parameter(cls):
    network = cls(CONFIG)
    x = torch.randn(4, 8) if cls is Generator else torch.randn(4, 3, 16, 16)
    before = network(x, alpha=0.4)
    flat = FlatParameters(network)
    torch.testing.assert_close(network(x, alpha=0.4), before)
    assert len(flat.dense(flat.vector)) == sum(p.numel() for p in network.parameters())
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


@pytest.mark.parametrize("cls", [Generator, Discriminator])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_parameter_begins_at_a_multiple_of_16_bytes(cls, channels):
    network = cls(ProGANConfig(resolution=16, fmap_base=64, fmap_max=10, latent_size=7, image_channels=channels))
    flat = FlatParameters(network)
    assert flat.vector.data_ptr() % 16 == 0 and any(p.numel() % 4 for p in flat.parameters)
    assert [p.data_ptr() % 16 for p in flat.parameters] == [0] * len(flat.parameters)
    assert [len(flat.prefix(r)) % 4 for r in flat.resolutions] == [0] * 3


def test_what_files_hold_has_no_zeros_between_and_comes_back_in_its_places():
    network = Discriminator(ProGANConfig(resolution=16, fmap_base=64, fmap_max=10, latent_size=7))
    flat = FlatParameters(network)
    for resolution in flat.resolutions:
        prefix, active = flat.prefix(resolution), flat.active(resolution)
        dense = flat.dense(prefix)
        assert len(dense) == sum(p.numel() for p in active) < len(prefix)
        physical = [p.permute(0, 2, 3, 1).reshape(-1) if p.ndim == 4 else p.reshape(-1) for p in active]
        assert torch.equal(dense, torch.cat(physical))
        assert torch.equal(flat.spread(dense), prefix) and flat.resolution_of(dense) == resolution
    with pytest.raises(ValueError, match="got 5 parameters, expected those of a resolution"):
        flat.spread(torch.zeros(5))


def test_zeros_between_parameters_stay_and_change_neither_training_nor_its_files(dataset, tmp_path, monkeypatch):
    options = {"fmap_base": 32, "fmap_max": 6, "latent_size": 7, "stable_kimg": 0.024, "fade_kimg": 0.024}
    options |= {"minibatch": 8, "tick_kimg": 0.04, "image_ticks": 0, "device": "cpu", "precision": "fp32"}
    states = []
    for alignment, stops in ((1, (0.12,)), (4, (0.12,)), (4, (0.04, 0.12))):
        monkeypatch.setattr(parameters, "ALIGNMENT", alignment)
        for total in stops:
            config = TrainConfig(dataset=dataset, outdir=tmp_path, name=f"{alignment}-{stops}", **options)
            result = train(replace(config, total_kimg=total))
        states.append(load_checkpoint(checkpoints(result.folder / "checkpoints")[-1]))
    without, padded, resumed = states
    for role in ("g_adam", "d_adam", "power_ema", "generator", "discriminator", "g_ema"):
        for name, expected in without[role].items():
            torch.testing.assert_close(padded[role][name], expected, rtol=1e-5, atol=1e-7)
            torch.testing.assert_close(resumed[role][name], padded[role][name], rtol=0, atol=0)
