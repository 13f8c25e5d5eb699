"""--init: training goes on from an imported pair, in its own architecture, exactly where the file left it."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import zoo
from celebahq_builder.hdf5 import DatasetWriter
from train.config import TrainConfig, TrainError
from train.loop import train
from train.setup import make_networks
from train.state.checkpoint import checkpoints, load_checkpoint
from train.state.initial import architecture_of_checkpoint, growth_of_checkpoint, read_initial, start_of, told_of
from zoo import weights
from zoo.importers import import_networks
from zoo.progan import Discriminator, Generator, ProGANConfig

ROOT = Path(__file__).resolve().parents[3]
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


def options(tmp_path, init=None, resolution: int = 8, **changes) -> TrainConfig:
    fields = {
        "dataset": write_dataset(tmp_path / f"faces{resolution}.h5", resolution),
        "outdir": tmp_path, "name": "run", "device": "cpu", "preset": "tiny", "minibatch": 8, "total_kimg": 0.032,
        "tick_kimg": 0.016, "checkpoint_ticks": 1, "image_ticks": 0, "init": init and str(init),
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


def networks_of(config: TrainConfig, label_size: int = 0):
    initial = read_initial(config.init)
    config = start_of(config, initial, None)
    sizes = {"resolution": config.resolution, "image_channels": 3, "label_size": label_size}
    return make_networks(config, **sizes, device=torch.device("cpu"), precision="fp32", initial=initial)


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


def test_a_model_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(TrainError, match=r"^--init .*nowhere: not there"):
        train(options(tmp_path, tmp_path / "nowhere"))


def test_sizes_are_the_models_and_an_option_that_contradicts_them_is_refused(pair, tmp_path):
    with pytest.raises(TrainError, match=r"^--latent-size: got 5, expected 6 or nothing, as --init .* was trained"):
        train(options(tmp_path, pair, latent_size=5))
    initial = read_initial(str(pair))
    smoke = replace(options(tmp_path, pair, preset="smoke", latent_size=64), resolution=32)
    config = start_of(smoke, initial, frozenset())
    assert (config.latent_size, config.resolution) == (6, 32)  # smoke's own 64 were not asked for; its 32 are higher
    with pytest.raises(TrainError, match=r"^--resolution: got 4, expected 8 or more, as --init"):
        train(replace(options(tmp_path, pair), resolution=4))
    with pytest.raises(TrainError, match=r"got 4x4, not enough for --resolution 8; give --resolution 4"):
        train(options(tmp_path, pair, resolution=4))
    weights.save(Generator(replace(FOREIGN, image_channels=1)), tmp_path / "gray")
    with pytest.raises(TrainError, match=r"h5: got 3-channel images, expected 1-channel ones, as --init"):
        train(options(tmp_path, tmp_path / "gray", discriminator_kimg=0.008))


OURS = {"fmap_base": 32, "fmap_max": 8, "latent_size": 6, "preset": "tiny", "stable_kimg": 0.032, "fade_kimg": 0.032}


@pytest.fixture(scope="module")
def copy_of_run(tmp_path_factory):
    """A function (folder, **changes) -> a copy, in that folder, of a run of ours at 4x4 and 8x8; trained once."""
    trained: dict[tuple, Path] = {}

    def copy(folder: Path, **changes) -> Path:
        key = tuple(sorted(changes.items()))
        if key not in trained:
            trained[key] = tmp_path_factory.mktemp("trained")
            assert train(options(trained[key], name="first", total_kimg=0.096, **{**OURS, **changes}))
        return shutil.copytree(trained[key] / "first", folder / "first")

    return copy


def test_a_run_publishes_its_discriminator_beside_the_generator(copy_of_run, tmp_path):
    folder = copy_of_run(tmp_path)
    state = load_checkpoint(checkpoints(folder / "checkpoints")[-1])
    for key, value in weights.load(folder / "model", "discriminator").state_dict().items():
        assert torch.equal(value, state["discriminator"][key]), key


@pytest.mark.parametrize("form", ["run", "model", "checkpoint"])
def test_training_goes_on_from_a_run_its_model_or_a_checkpoint_with_other_data_and_rates(copy_of_run, tmp_path, form):
    folder = copy_of_run(tmp_path)
    init = {"run": folder, "model": folder / "model", "checkpoint": checkpoints(folder / "checkpoints")[-1]}[form]
    before = load_checkpoint(checkpoints(folder / "checkpoints")[-1])
    config = options(tmp_path, init, resolution=16, learning_rate=0.0005, minibatch=4, preset="tiny")
    nets = networks_of(config)
    for name in ("discriminator", "g_ema", *(["generator"] if form != "model" else [])):
        for key, value in getattr(nets, name).state_dict().items():
            assert torch.equal(value, before[name][key]), f"{name}.{key}"
    assert train(config) and train(replace(config, total_kimg=0.048))  # and resumes
    assert zoo.load(tmp_path / "run").config.resolution == 8


def test_a_higher_resolution_fades_in_on_top_of_what_was_trained(copy_of_run, tmp_path):
    folder = copy_of_run(tmp_path)
    config = options(
        tmp_path, folder, 16, preset="tiny", stable_kimg=0.032, fade_kimg=0.032, total_kimg=0.096, tick_kimg=0.008
    )
    config = replace(config, resolution=16)
    nets = networks_of(config)
    generator, z = zoo.load(folder), torch.randn(4, 6)
    with torch.no_grad():
        torch.testing.assert_close(nets.g_ema(z, resolution=8), generator(z), rtol=1e-4, atol=1e-5)
    assert train(config)
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [row["resolution"] for row in rows] == [8] * 5 + [16] * 7
    assert [row["alpha"] for row in rows[:8]] == [1, 1, 1, 1, 1, 0.25, 0.5, 0.75]
    assert zoo.load(tmp_path / "run").config.resolution == 16
    train(replace(config, total_kimg=0.104))  # where growth began is in the checkpoint
    assert checkpoints(tmp_path / "run" / "checkpoints")[-1].name == "checkpoint-000000.104.pt"


@pytest.mark.parametrize("variant", ["paper", "released"])
def test_labels_are_added_and_dropped_without_changing_what_was_learnt(tmp_path, variant):
    config = ProGANConfig(resolution=8, latent_size=6, fmap_base=32, fmap_max=8, variant=variant)
    torch.manual_seed(1)
    with_labels = replace(config, label_size=3)
    z, images = torch.randn(8, 6), torch.randn(8, 3, 8, 8)
    for theirs, ours in ((config, with_labels), (with_labels, config)):
        folder = tmp_path / f"from{theirs.label_size}"
        generator, discriminator = Generator(theirs), Discriminator(theirs)
        for parameter in (*generator.parameters(), *discriminator.parameters()):
            if parameter.ndim == 1:  # biases of 0 would hide a wrong scale from pixelwise normalization
                torch.nn.init.normal_(parameter)
        weights.save(discriminator, folder)
        weights.save(generator, folder)
        nets = networks_of(options(tmp_path, folder), ours.label_size)
        label = torch.eye(3)[torch.arange(8) % 3]
        if variant == "paper" and ours.label_size:  # released normalizes z and label together
            with torch.no_grad():
                torch.testing.assert_close(nets.generator(z, label), generator(z), rtol=1e-4, atol=1e-5)
        elif not ours.label_size and variant == "paper":
            with torch.no_grad():  # what the label said is gone, what z said is not
                torch.testing.assert_close(nets.generator(z), generator(z, torch.zeros(8, 3)), rtol=1e-4, atol=1e-5)
        with torch.no_grad():
            torch.testing.assert_close(
                nets.discriminator.score(images, alpha=1.0)[0],
                discriminator.score(images, alpha=1.0)[0],
                rtol=1e-4,
                atol=1e-5,
            )


def test_a_generator_without_its_discriminator_gets_a_new_one_that_is_trained_alone_first(tmp_path):
    weights.save(Generator(FOREIGN), tmp_path / "alone")
    config = options(tmp_path, tmp_path / "alone", total_kimg=0.032, discriminator_kimg=0.016)
    assert train(replace(config, total_kimg=0.016))
    first = load_checkpoint(checkpoints(tmp_path / "run" / "checkpoints")[-1])
    for key, value in weights.load(tmp_path / "alone").state_dict().items():
        assert torch.equal(first["generator"][key], value) and torch.equal(first["g_ema"][key], value), key
    fresh = networks_of(config).discriminator.state_dict()
    moved = [key for key in fresh if not torch.equal(first["discriminator"][key], fresh[key])]
    assert "blocks.8x8.conv0.weight" in moved
    assert train(config)
    second = load_checkpoint(checkpoints(tmp_path / "run" / "checkpoints")[-1])
    name = "blocks.8x8.conv0.weight"
    assert not torch.equal(second["generator"][name], first["generator"][name])
    config = options(tmp_path, tmp_path / "alone")
    assert start_of(config, read_initial(config.init), None).discriminator_kimg == 10


def test_checkpoints_of_earlier_versions_say_their_architecture_by_their_options_and_shapes(copy_of_run, tmp_path):
    folder = copy_of_run(tmp_path)
    path = checkpoints(folder / "checkpoints")[-1]
    state = load_checkpoint(path)
    config, growth = ProGANConfig.from_dict(state.pop("architecture")), state.pop("growth")
    state.pop("history")
    state["config"].pop("discriminator_kimg")
    assert (architecture_of_checkpoint(state), growth_of_checkpoint(state)) == (config, growth)
    torch.save(state, path)
    assert read_initial(str(path)).architecture == config
    assert train(options(tmp_path, name="first", total_kimg=0.112, **OURS))  # and such a run goes on


def test_a_renamed_file_resumes_its_run(tmp_path):
    config = options(tmp_path, name=None, total_kimg=0.032, **OURS)
    train(config)
    (tmp_path / "faces8.h5").rename(tmp_path / "renamed.h5")
    assert train(replace(config, dataset=tmp_path / "renamed.h5", total_kimg=0.048))
    assert checkpoints(tmp_path / "faces8-tiny" / "checkpoints")[-1].name == "checkpoint-000000.048.pt"
    assert not (tmp_path / "renamed-tiny").exists()


def test_init_takes_the_generator_that_ships_by_its_name(tmp_path):
    shipped = zoo.load("faces-32")
    config = options(tmp_path, "faces-32", resolution=32, discriminator_kimg=0.016, total_kimg=0.032)
    nets = networks_of(config)
    for key, value in shipped.state_dict().items():
        assert torch.equal(nets.g_ema.state_dict()[key], value) and torch.equal(nets.generator.state_dict()[key], value)
    assert read_initial("faces-32").discriminator is None  # and one is made and trained first
    assert train(config)
    published = zoo.load(tmp_path / "run")
    assert published.config == shipped.config
    assert any(not torch.equal(value, shipped.state_dict()[key]) for key, value in published.state_dict().items())


@pytest.mark.slow
def test_init_takes_a_hub_id_with_a_revision(pair, tmp_path):
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "hub" / "models--me--faces"
    shutil.copytree(pair, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "v1").write_text(commit)
    program = "import sys; from train.state.initial import read_initial; print(read_initial(sys.argv[1]).architecture)"
    environment = os.environ | {"HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}  # read at its import
    for name, line in (("me/faces@v1", str(read_initial(str(pair)).architecture)), ("me/faces@v2", None)):
        command = [sys.executable, "-c", program, name]
        ran = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
        if line:
            assert ran.stdout.strip() == line, ran.stderr
        else:
            assert ran.returncode and "TrainError: --init me/faces" in ran.stderr.splitlines()[-1]


@pytest.mark.parametrize("losses", [("lsgan", "wgan-gp"), ("wgan-gp", "lsgan")])
@pytest.mark.parametrize("form", ["first", "first/model"])
def test_a_discriminator_of_lsgan_is_turned_round_for_losses_that_want_reals_high(copy_of_run, tmp_path, losses, form):
    folder = copy_of_run(tmp_path, loss=losses[0], variant="released")
    theirs = weights.load(folder / "model", "discriminator")
    config = options(tmp_path, tmp_path / form, loss=losses[1])
    ours, x = networks_of(config).discriminator, torch.randn(8, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), -theirs(x))
    assert "turned round" in told_of(config, read_initial(config.init))
