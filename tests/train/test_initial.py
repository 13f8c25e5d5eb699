"""--init: training goes on from an imported pair, in its own architecture, exactly where the file left it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import zoo
from celebahq_builder.hdf5 import DatasetWriter
from train.checkpoint import checkpoints, load_checkpoint
from train.config import TrainConfig, TrainError
from train.initial import with_initial_sizes
from train.loop import train
from train.setup import make_networks
from zoo import weights
from zoo.importers import import_networks
from zoo.progan import Discriminator, Generator, ProGANConfig

FOREIGN = ProGANConfig(
    resolution=8, latent_size=6, widths=(10, 7), discriminator_hidden=9, per_pixel_bias=True, tanh=True,
    pixelnorm="not_first", stddev="contiguous", stddev_unbiased=True, discriminator_fades_from=16, lod=0.5,
)  # fmt: skip


def write_dataset(path, resolution: int):
    if not path.exists():
        random = np.random.default_rng(0)
        sizes = [resolution >> i for i in range(resolution.bit_length())]
        with DatasetWriter(path, resolution, 16) as writer:
            for _ in range(16):
                writer.write({r: random.integers(0, 256, (3, r, r), dtype=np.uint8) for r in sizes})
    return path


def options(tmp_path, init, resolution: int = 8, **changes) -> TrainConfig:
    fields = {
        "dataset": write_dataset(tmp_path / f"faces{resolution}.h5", resolution),
        "outdir": tmp_path, "name": "run", "device": "cpu", "preset": "tiny", "minibatch": 8, "total_kimg": 0.032,
        "tick_kimg": 0.016, "checkpoint_ticks": 1, "image_ticks": 0, "init": str(init),
    }  # fmt: skip
    return TrainConfig(**{**fields, **changes})


@pytest.fixture
def pair(tmp_path):
    torch.manual_seed(0)
    generator, discriminator = Generator(FOREIGN), Discriminator(FOREIGN)
    folder = tmp_path / "pair"
    weights.save(discriminator, folder)
    weights.save(generator, folder)
    return folder


def networks_of(config: TrainConfig):
    config = with_initial_sizes(config)
    sizes = {"resolution": config.resolution, "image_channels": 3, "label_size": 0}
    return make_networks(config, **sizes, device=torch.device("cpu"), precision="fp32")


def test_step_0_is_the_pair_itself(pair, tmp_path):
    nets = networks_of(options(tmp_path, pair))
    generator, discriminator = weights.load(pair), weights.load(pair, "discriminator")
    for ours, theirs in ((nets.generator, generator), (nets.g_ema, generator), (nets.discriminator, discriminator)):
        for key, value in theirs.state_dict().items():
            assert torch.equal(ours.state_dict()[key], value), key
    z, images = torch.randn(4, 6), torch.randn(4, 3, 8, 8)
    with torch.no_grad():  # in another memory layout, hence not bit for bit
        torch.testing.assert_close(nets.g_ema(z), generator(z, resolution=8), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(nets.discriminator(images), discriminator(images, alpha=1.0), rtol=1e-4, atol=1e-5)
    assert nets.generator.config == nets.discriminator.config == FOREIGN.at(8)


def test_training_goes_on_resumes_and_publishes_in_the_pairs_own_architecture(pair, tmp_path):
    assert train(options(tmp_path, pair))
    first = load_checkpoint(checkpoints(tmp_path / "run" / "checkpoints")[-1])
    assert train(options(tmp_path, pair, total_kimg=0.048))
    second = load_checkpoint(checkpoints(tmp_path / "run" / "checkpoints")[-1])
    before = weights.load(pair, "discriminator").state_dict()
    for name, old in before.items():
        assert torch.isfinite(second["discriminator"][name]).all()
        if not name.startswith("from_rgb.4x4"):  # at 8x8 alone nothing enters there
            assert not torch.equal(first["discriminator"][name], old), name
            assert not torch.equal(second["discriminator"][name], first["discriminator"][name]), name
    published = zoo.load(tmp_path / "run")
    assert published.config == FOREIGN.at(8)
    assert published(torch.randn(2, 6)).abs().max() <= 1  # its tanh is still there


def test_training_goes_on_from_an_imported_file(real_data, tmp_path):
    imported = import_networks(real_data / "zoo_vectors" / "ganzoo_32_alpha025.pth")
    folder = imported.save(tmp_path / "imported")
    config = options(tmp_path, folder, resolution=32)
    nets = networks_of(config)
    for name, network in (("generator", imported.generator), ("discriminator", imported.discriminator)):
        for key, value in getattr(nets, name).state_dict().items():
            assert torch.equal(value, network.state_dict()[key]), f"{name}.{key}"
    assert train(config)
    assert zoo.load(tmp_path / "run").config == imported.generator.config.at(32)


def test_a_generator_without_its_discriminator_is_refused(tmp_path):
    weights.save(Generator(FOREIGN), tmp_path / "alone")
    with pytest.raises(TrainError, match=r"--init .*no discriminator.safetensors .*its discriminator are wanted"):
        train(options(tmp_path, tmp_path / "alone"))


def test_a_model_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(TrainError, match=r"^--init .*nowhere: not there"):
        train(options(tmp_path, tmp_path / "nowhere"))


def test_another_resolution_than_the_pairs_is_refused(pair, tmp_path):
    with pytest.raises(TrainError, match=r"--resolution 16: --init .* is of 8"):
        train(replace(options(tmp_path, pair), resolution=16))
    with pytest.raises(TrainError, match=r"got 4x4, not enough for --resolution 8; give --resolution 4"):
        train(options(tmp_path, pair, resolution=4))
