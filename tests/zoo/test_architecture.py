"""ProGANConfig: config.json keeps what it had, foreign networks' fields survive it, half-grown ones stay so."""

import json

import pytest
import torch

from zoo import weights
from zoo.architecture import ProGANConfig
from zoo.importers.conversion import CheckpointImportError, joint_config, width_fields
from zoo.layers import downsample, upsample
from zoo.progan import Discriminator, Generator

TINY = {"resolution": 16, "latent_size": 8, "fmap_base": 32, "fmap_max": 8}
FOREIGN = {
    "widths": [9, 7, 5], "latent_norm": "both", "latent_epsilon": 1e-6, "per_pixel_bias": True, "tanh": True,
    "pixelnorm": "not_first", "pixelnorm_epsilon": 1e-5, "epsilon_outside_root": True, "generator_slope": 0.1,
    "discriminator_slope": 0.3, "discriminator_hidden": 11, "discriminator_conv": False, "discriminator_fades_from": 16,
    "pool_first": True, "stddev": "contiguous", "stddev_unbiased": True, "stddev_remainder": "batch", "lod": 0.5,
    "from_rgb_slope": 0.5,
}  # fmt: skip

NORMALIZED = {
    "generator_norm": "batch", "discriminator_norm": "layer", "minibatch_discrimination": 3, "equalized": False,
    "pixelnorm": "none",
}  # fmt: skip
SMALL = {"direct_input": 16, "discriminator_divisor": 4, "variant": "mnist1k"}
"""Of the paper's other experiments, which do not go together with the foreign ones."""


def test_config_json_of_our_own_networks_has_the_fields_that_it_always_had():
    assert list(ProGANConfig().to_dict()) == [
        "resolution", "latent_size", "label_size", "image_channels", "fmap_base", "fmap_max", "variant", "stddev_group",
    ]  # fmt: skip


def test_every_field_of_a_foreign_network_survives_json():
    for fields in (FOREIGN, NORMALIZED, SMALL):
        config = ProGANConfig(**TINY, **fields)
        written = json.loads(json.dumps(config.to_dict()))
        assert written.items() >= fields.items()
        assert ProGANConfig.from_dict(written) == config
    foreign = set(ProGANConfig.__dataclass_fields__) - set(ProGANConfig().to_dict())
    assert {*FOREIGN, *NORMALIZED, *SMALL} - {"variant"} == foreign - {
        "single_resolution"
    }  # which cannot be half grown


def test_config_json_of_earlier_versions_stays_readable_under_the_names_of_today():
    former = {
        "generator_leak": 0.1, "discriminator_leak": 0.3, "from_rgb_leak": 1.0, "last_rgb_only": True,
        "stddev_uneven": "batch",
    }  # fmt: skip
    config = ProGANConfig(
        **TINY, generator_slope=0.1, discriminator_slope=0.3, from_rgb_slope=1.0, single_resolution=True,
        stddev_remainder="batch",
    )  # fmt: skip
    assert ProGANConfig.from_dict({**TINY, **former}) == config
    assert not former.keys() & config.to_dict().keys()


def test_a_foreign_pair_survives_the_model_folder(tmp_path):
    config = ProGANConfig(**TINY, **FOREIGN)
    generator, discriminator = Generator(config), Discriminator(config)
    weights.save(discriminator, tmp_path)
    weights.save(generator, tmp_path)
    z, images = torch.randn(4, 8), torch.randn(4, 3, 16, 16)
    torch.testing.assert_close(weights.load(tmp_path)(z), generator(z), rtol=0, atol=0)
    loaded = weights.load(tmp_path, "discriminator")
    torch.testing.assert_close(loaded(images), discriminator(images), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("widths", [8, 8], r"widths: got \(8, 8\), expected 3 numbers"),
        ("widths", [8, 0, 8], "at least 1 each"),
        ("widths", [8, 8.0, 8], "expected a list of integers"),
        ("widths", "888", "expected a list of integers"),
        ("tanh", 1, "expected true or false"),
        ("pool_first", "yes", "expected true or false"),
        ("lod", 2.5, "lod: got 2.5, expected at most 2"),
        ("lod", -0.1, "expected a number from 0"),
        ("latent_epsilon", float("nan"), "expected a number from 0"),
        ("pixelnorm", "some", "expected 'all' or 'not_first' or 'none'"),
        ("stddev", "random", "expected 'batch' or 'strided' or 'contiguous' or 'none'"),
        ("discriminator_hidden", 0, "discriminator_hidden: got 0, expected at least 1"),
        ("variant", None, "expected 'paper' or 'released'"),
        ("fmap_base", True, "expected an integer"),
        ("latent_size", 10**400, "latent_size: got a number larger than any network's, expected at most 65536"),
        ("generator_slope", 1e300, "generator_slope: got a number larger than any network's, expected at most 10000"),
        ("pixelnorm_epsilon", 1e39, "pixelnorm_epsilon: got a number larger than any network's"),
        ("stddev_group", 10**400, "stddev_group: got a number larger than any network's"),
        ("fmap_base", 10**400, "fmap_base: got a number larger than any network's"),
        ("label_size", 10**9, "label_size: got a number larger than any network's"),
        ("widths", [8, 10**18, 8], "widths: got numbers larger than any network's"),
    ],
)
def test_a_value_that_cannot_be_is_refused_at_once(field, value, message):
    with pytest.raises(ValueError, match=message):
        ProGANConfig(**{**TINY, field: value})


@pytest.mark.parametrize(
    ("lod", "resolution", "alpha"), [(0.25, 16, 0.75), (1.0, 8, 1.0), (1.5, 8, 0.5), (2.0, 4, 1.0)]
)
def test_a_half_grown_network_works_as_it_stands(with_random_biases, lod, resolution, alpha):
    generator = with_random_biases(Generator(ProGANConfig(**TINY, lod=lod)))
    z = torch.randn(2, 8)
    image = generator(z, resolution=resolution, alpha=alpha)
    while image.shape[-1] < 16:
        image = upsample(image)
    torch.testing.assert_close(generator(z), image)
    assert generator(z, resolution=16).sub(image).abs().max() > 1e-3  # who asks for a resolution gets it fully in

    discriminator = with_random_biases(Discriminator(ProGANConfig(**TINY, lod=lod)))
    images = shrunk = torch.randn(4, 3, 16, 16)
    while shrunk.shape[-1] > resolution:
        shrunk = downsample(shrunk)
    torch.testing.assert_close(discriminator(images), discriminator(shrunk, alpha=alpha))
    assert (discriminator(images) - discriminator(images, alpha=1.0)).abs().max() > 1e-3


def test_the_config_up_to_a_resolution_is_of_the_same_layers():
    config = ProGANConfig(**TINY, **FOREIGN)
    part, whole = Generator(config.at(8)).state_dict(), Generator(config).state_dict()
    assert config.at(8).widths == (9, 7) and config.at(8).lod == 0
    assert {key: value.shape for key, value in part.items()} == {key: whole[key].shape for key in part}


@pytest.mark.parametrize(
    ("widths", "hidden", "said"),
    [
        ((512, 512, 512, 512, 256, 128, 64, 32, 16), 512, {"fmap_base": 8192, "fmap_max": 512}),
        ((48, 48, 48, 32), 48, {"fmap_base": 512, "fmap_max": 48}),
        ((7, 11, 5), 11, {"widths": (7, 11, 5)}),
        ((12, 10, 6), 9, {"widths": (12, 10, 6), "discriminator_hidden": 9}),
    ],
)
def test_widths_are_said_by_table_2s_formula_where_it_gives_them(widths, hidden, said):
    fields = width_fields(widths, hidden)
    config = ProGANConfig(**fields)
    assert [config.feature_maps(r) for r in config.resolutions] == list(widths) and config.hidden_size == hidden
    assert fields.items() >= said.items() and ("widths" in fields) == ("widths" in said)


def test_a_pair_of_different_sizes_has_no_joint_config():
    one, other = ProGANConfig(**TINY), ProGANConfig(**{**TINY, "fmap_max": 6})
    with pytest.raises(CheckpointImportError, match=r"generator of \[8, 8, 4\] .*discriminator of \[6, 6, 4\]"):
        joint_config(one, other)
    with pytest.raises(CheckpointImportError, match="label_size: got 0 of the generator and 3 of the discriminator"):
        joint_config(one, ProGANConfig(**TINY, label_size=3))
    assert joint_config(one, one) == one
