"""ProGAN against Table 2: parameters, growing, precision, config."""

import pytest
import torch

from zoo.layers import downsample, upsample
from zoo.progan import Discriminator, Generator, ProGANConfig

TINY = ProGANConfig(resolution=16, latent_size=8, fmap_base=32, fmap_max=8)
BOTH_VARIANTS = pytest.mark.parametrize("variant", ["paper", "released"])


def tiny(**changes) -> ProGANConfig:
    return ProGANConfig(**{**TINY.to_dict(), **changes})


# Table 2, as printed: parameters of each layer.

CONV_4X4, CONV = "4.2M", "2.4M"
TABLE_2 = {  # resolution: parameters of G's two convolutions; D's are the same from the last to the first
    8: (CONV, CONV),
    16: (CONV, CONV),
    32: (CONV, CONV),
    64: ("1.2M", "590k"),
    128: ("295k", "148k"),
    256: ("74k", "37k"),
    512: ("18k", "9.2k"),
    1024: ("4.6k", "2.3k"),
}


def as_printed(module: torch.nn.Module) -> str:
    """The number of parameters with the digits that Table 2 gives it."""
    count = sum(parameter.numel() for parameter in module.parameters())
    if count < 1e3:
        return str(count)
    if count < 1e6:
        return f"{count / 1e3:.{1 if count < 1e4 else 0}f}k"
    return f"{count / 1e6:.1f}M"


def total_at_full_resolution(network: torch.nn.Module) -> int:
    """Parameters of the network of Table 2: of the layers from and to RGB only the newest counts."""
    return sum(
        parameter.numel()
        for name, parameter in network.named_parameters()
        if "rgb" not in name or name.split(".")[1] == "1024x1024"
    )


@BOTH_VARIANTS
def test_generator_has_the_parameters_of_table_2(variant):
    with torch.device("meta"):
        generator = Generator(ProGANConfig(variant=variant))
    assert as_printed(generator.blocks["4x4"].dense) == CONV_4X4
    assert as_printed(generator.blocks["4x4"].conv) == CONV
    found = {int(key.split("x")[0]): block for key, block in generator.blocks.items() if key != "4x4"}
    assert {r: (as_printed(block.conv0), as_printed(block.conv1)) for r, block in found.items()} == TABLE_2
    assert as_printed(generator.to_rgb["1024x1024"]) == "51"
    assert f"{total_at_full_resolution(generator) / 1e6:.1f}M" == "23.1M"


@BOTH_VARIANTS
def test_discriminator_has_the_parameters_of_table_2(variant):
    with torch.device("meta"):
        discriminator = Discriminator(ProGANConfig(variant=variant))
    last = discriminator.blocks["4x4"]
    assert [as_printed(layer) for layer in (last.conv, last.dense0, last.dense1)] == [CONV, CONV_4X4, "513"]
    found = {int(key.split("x")[0]): block for key, block in discriminator.blocks.items() if key != "4x4"}
    assert {r: (as_printed(block.conv1), as_printed(block.conv0)) for r, block in found.items()} == TABLE_2
    assert as_printed(discriminator.from_rgb["1024x1024"]) == "64"
    assert f"{total_at_full_resolution(discriminator) / 1e6:.1f}M" == "23.1M"


def test_state_dict_reads_like_table_2():
    keys = set(Generator(tiny(resolution=8)).state_dict())
    modules = [
        "blocks.4x4.dense",
        "blocks.4x4.conv",
        "blocks.8x8.conv0",
        "blocks.8x8.conv1",
        "to_rgb.4x4",
        "to_rgb.8x8",
    ]
    assert keys == {f"{module}.{part}" for module in modules for part in ("weight", "bias")}


# Growing.


@BOTH_VARIANTS
@pytest.mark.parametrize("label_size", [0, 3])
def test_every_parameter_gets_a_gradient(variant, label_size):
    config = tiny(variant=variant, label_size=label_size)
    generator, discriminator = Generator(config), Discriminator(config)
    label = torch.eye(3)[[0, 1, 2, 0]] if label_size else None
    for resolution in config.resolutions:  # each has a layer to and from RGB of its own
        out = discriminator(generator(torch.randn(4, 8), label, resolution=resolution))
        sum(part.square().sum() for part in (out if label_size else (out,))).backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None and parameter.grad.any(), f"no gradient for {name}"


def test_new_generator_block_is_invisible_when_it_is_added(with_random_biases):
    generator, z = with_random_biases(Generator(TINY)), torch.randn(2, 8)
    torch.testing.assert_close(generator(z, resolution=16, alpha=0.0), upsample(generator(z, resolution=8)))


@BOTH_VARIANTS
def test_new_discriminator_block_is_invisible_when_it_is_added(variant, with_random_biases):
    discriminator, images = with_random_biases(Discriminator(tiny(variant=variant))), torch.randn(4, 3, 16, 16)
    torch.testing.assert_close(discriminator(images, alpha=0.0), discriminator(downsample(images)))


def test_fade_is_a_straight_line_between_the_old_image_and_the_new():
    generator, z = Generator(TINY), torch.randn(2, 8)
    old, new = upsample(generator(z, resolution=8)), generator(z, resolution=16)
    torch.testing.assert_close(generator(z, alpha=0.25), 0.75 * old + 0.25 * new)


@BOTH_VARIANTS
def test_alpha_may_be_a_device_tensor(variant):
    generator, discriminator = Generator(tiny(variant=variant)), Discriminator(tiny(variant=variant))
    z, images = torch.randn(4, 8), torch.randn(4, 3, 16, 16)
    for alpha in (0.0, 0.3, 1.0):
        torch.testing.assert_close(generator(z, alpha=torch.tensor(alpha)), generator(z, alpha=alpha))
        torch.testing.assert_close(discriminator(images, alpha=torch.tensor(alpha)), discriminator(images, alpha=alpha))


def test_only_the_direction_of_a_latent_matters():
    generator, z = Generator(TINY), torch.randn(2, 8)
    torch.testing.assert_close(generator(5 * z), generator(z), rtol=1e-4, atol=1e-5)


# Precision.


@BOTH_VARIANTS
def test_bfloat16_stays_inside_the_blocks(variant):
    config = tiny(variant=variant, fmap_base=512, fmap_max=64)
    generator, discriminator = Generator(config), Discriminator(config)
    z = torch.randn(4, 8)
    seen = {}
    for name, network in (("G", generator), ("D", discriminator)):
        for key, module in network.named_modules():
            module.register_forward_hook(lambda _, __, out, key=f"{name}.{key}": seen.update({key: out}))
    exact = generator(z)
    exact_scores = discriminator(exact)
    generator.compute_dtype = discriminator.compute_dtype = torch.bfloat16
    images = generator(z)
    assert seen["G.blocks.8x8.conv1"].dtype == seen["G.to_rgb.16x16"].dtype == torch.bfloat16
    scores = discriminator(exact)
    assert seen["D.from_rgb.16x16"].dtype == seen["D.blocks.8x8.conv1"].dtype == torch.bfloat16
    # float32 from the minibatch stddev on
    assert seen["D.blocks.4x4.conv"].dtype == seen["D.blocks.4x4.dense1"].dtype == torch.float32
    assert images.dtype == scores.dtype == torch.float32
    # single pixels may be far off, where a feature vector is short and its norm is divided by; most are not
    assert 0 < (images - exact).square().mean().sqrt() < 0.02 * exact.square().mean().sqrt()
    assert 0 < (scores - exact_scores).abs().max() < 0.1 * exact_scores.abs().max()
    assert {parameter.dtype for parameter in generator.parameters()} == {torch.float32}


# The config.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resolution": 48}, "resolution: got 48, expected a power of two from 4"),
        ({"resolution": 2}, "resolution: got 2, expected a power of two from 4"),
        ({"latent_size": 0}, "latent_size: got 0, expected at least 1"),
        ({"latent_size": 8.0}, "latent_size: got 8.0, expected an integer"),
        ({"label_size": -1}, "label_size: got -1, expected 0 or more"),
        ({"variant": "stylegan"}, "variant: got 'stylegan', expected 'paper' or 'released'"),
        ({"depth": 3}, "architecture: got depth, expected fields"),
    ],
)
def test_config_refuses_nonsense(changes, message):
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        ProGANConfig.from_dict({**TINY.to_dict(), **changes})


def test_config_survives_its_dictionary():
    config = tiny(variant="released", label_size=2)
    assert ProGANConfig.from_dict(config.to_dict()) == config
