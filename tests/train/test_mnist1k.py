"""Appendix E's networks and presets: sizes as printed, the program's structure, growth, a run that is published."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import zoo
from celebahq_builder.hdf5 import DatasetWriter
from train.config import TrainError
from train.loop import train
from train.presets import PRESETS, preset_config
from train.setup import architecture_of, make_networks
from zoo.progan import Discriminator, Generator, ProGANConfig

ROWS = ["-wgan-gp", "-norm", "-stddev", ""]


def networks(name: str):
    config = preset_config(name, dataset="mnist.h5")
    sizes = {"resolution": 32, "image_channels": 3, "label_size": 0}
    return make_networks(config, **sizes, device=torch.device("cpu"), precision="fp32")


def used_at_32(discriminator: Discriminator) -> int:
    return sum(p.numel() for name, p in discriminator.named_parameters() if not name.startswith("from_rgb"))


@pytest.mark.parametrize(("k", "printed"), [(4, 500), (2, 2000)])
def test_discriminators_have_about_as_many_parameters_as_the_paper_prints(k, printed):
    count = used_at_32(networks(f"mnist1k-k{k}-norm").discriminator)
    assert 0.85 * printed < count < 1.15 * printed
    maps = [3, 8 // k, 16 // k, 32 // k]
    assert count == sum(9 * a * b + b for a, b in itertools.pairwise(maps)) + 16 * maps[-1] + 1


def test_rows_differ_as_the_theano_programs_config_has_it():
    options = [preset_config(f"mnist1k-k4{row}", dataset="m.h5").to_dict() | {"preset": ""} for row in ROWS]
    steps = [{k: (a[k], b[k]) for k in a if a[k] != b[k]} for a, b in itertools.pairwise(options)]
    assert steps[0] == {
        "equalized": (False, True), "pixelnorm": ("none", "all"), "generator_norm": ("batch", "none"),
        "discriminator_norm": ("batch", "none"),
    }  # fmt: skip
    assert steps[1] == {"stddev": ("none", None)}
    assert steps[2] == {"grow": (False, True), "total_kimg": (10000, 15000)}
    assert {name for name in PRESETS if name.startswith("mnist1k")} == {
        f"mnist1k-k{k}{r}" for k in (2, 4) for r in ROWS
    }


@pytest.mark.parametrize("alpha", [1.0, 0.3])
@pytest.mark.parametrize("resolution", [32, 16])
def test_networks_compute_what_the_program_computes(resolution, alpha):
    nets = networks("mnist1k-k4-stddev")
    for p in (*nets.generator.parameters(), *nets.discriminator.parameters()):
        p.data += 0.1 * torch.randn_like(p)
    g, d = nets.generator, nets.discriminator

    def conv(layer, x):
        return F.conv2d(x, layer.weight * layer.scale, layer.bias, padding=layer.weight.shape[-1] // 2)

    def normalized(x):
        return x / torch.sqrt((x**2).mean(1, keepdim=True) + 1e-8)

    # G: 4x4 by a transposed 4x4 convolution, then one convolution a resolution; outputs 3x3, joined before tanh.
    z = torch.randn(5, 64)
    entry = g.blocks["4x4"]
    kernel = (entry.dense.weight * entry.dense.scale).T.reshape(64, -1, 4, 4)
    x = F.conv_transpose2d(normalized(z)[:, :, None, None], kernel) + entry.dense.bias.view(1, -1, 1, 1)
    features = [normalized(F.leaky_relu(x, 0.3))]
    for r in (8, 16, 32):
        x = features[-1].repeat_interleave(2, 2).repeat_interleave(2, 3)
        features.append(normalized(F.leaky_relu(conv(g.blocks[f"{r}x{r}"].conv0, x), 0.3)))
    at = {4: 0, 8: 1, 16: 2, 32: 3}[resolution]
    fine = conv(g.to_rgb[f"{resolution}x{resolution}"], features[at])
    coarse = conv(g.to_rgb[f"{resolution // 2}x{resolution // 2}"], features[at - 1])
    image = fine * alpha + coarse.repeat_interleave(2, 2).repeat_interleave(2, 3) * (1 - alpha)
    torch.testing.assert_close(g(z, resolution=resolution, alpha=alpha), torch.tanh(image), rtol=1e-4, atol=1e-5)

    # D: images of 32x32 go straight into a convolution, smaller ones through a 1x1 one.
    images = torch.randn(5, 3, resolution, resolution)

    def entered(x):
        side = x.shape[-1]
        return x if side == 32 else F.leaky_relu(conv(d.from_rgb[f"{side}x{side}"], x), 0.2)

    x = entered(images)
    for r in (32, 16, 8):
        if r <= resolution:
            x = F.avg_pool2d(F.leaky_relu(conv(d.blocks[f"{r}x{r}"].conv0, x), 0.2), 2)
        if r == resolution:
            x = x * alpha + entered(F.avg_pool2d(images, 2)) * (1 - alpha)
    deviation = torch.sqrt(x.var(dim=0, unbiased=False) + 1e-8).mean().expand(5, 1, 4, 4)
    last = d.blocks["4x4"].dense1
    scores = torch.cat([x, deviation], dim=1).flatten(1) @ (last.weight * last.scale).T + last.bias
    torch.testing.assert_close(d(images, alpha=alpha), scores[:, 0], rtol=1e-4, atol=1e-4)


def test_generators_maps_are_the_programs():
    config = architecture_of(preset_config("mnist1k-k2", dataset="m.h5"), 32)
    assert [config.feature_maps(r) for r in (4, 8, 16, 32)] == [64, 32, 16, 8]
    assert Generator(config).to_rgb["32x32"].weight.shape == (3, 8, 3, 3)


def test_what_only_these_networks_have_is_refused_elsewhere():
    with pytest.raises(TrainError, match="--discriminator-divisor: got it with --variant paper, expected mnist1k"):
        preset_config("paper", dataset="m.h5", discriminator_divisor=4)
    with pytest.raises(TrainError, match="--minibatch-discrimination: got it with --variant mnist1k, expected 0"):
        preset_config("mnist1k-k4", dataset="m.h5", minibatch_discrimination=5)
    with pytest.raises(ValueError, match="expected mnist1k"):
        ProGANConfig(direct_input=32)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist1k-k4", "mnist1k-k2-wgan-gp"])
def test_a_run_grows_resumes_and_is_published_half_grown_or_whole(tmp_path, name):
    random = np.random.default_rng(0)
    with DatasetWriter(tmp_path / "mnist.h5", 16, 24) as writer:
        for _ in range(24):
            writer.write({r: random.integers(0, 256, (3, r, r), dtype=np.uint8) for r in (16, 8, 4, 2, 1)})
    base = {"dataset": tmp_path / "mnist.h5", "outdir": tmp_path, "name": "run", "device": "cpu", "resolution": 16,
            "stable_kimg": 0.08, "fade_kimg": 0.08, "minibatch": 4, "tick_kimg": 0.08, "image_ticks": 0}  # fmt: skip
    half = train(preset_config(name, total_kimg=0.2, **base))
    grows = name == "mnist1k-k4"
    assert zoo.load(half.model).config.resolution == (8 if grows else 16)
    assert zoo.weights.load(half.model, "discriminator").config.direct_input == 16
    done = train(preset_config(name, total_kimg=0.4, **base))
    assert done.finished and zoo.load(done.model)(torch.zeros(2, 64)).shape == (2, 3, 16, 16)
