"""akanimax's pro_gan_pytorch, version 3: {generator, shadow_generator, discriminator}, each {conf, state_dict}."""

import math
from typing import Any

from torch import Tensor

from zoo.architecture import ProGANConfig
from zoo.importers.content import CheckpointImportError
from zoo.importers.conversion import Conversion, Layer, he_scale, width_fields
from zoo.importers.equalized import dense_of_transposed
from zoo.importers.state import State, named_tensors

NAME = "akanimax_v3"
GROUP = 4
"""Neighbours that share a minibatch stddev in the program; the files do not say."""


def recognises(content: Any) -> bool:
    """Tell whether the content is of this version: whatever it is, without raising."""
    return bool(networks(content))


def networks(content: Any) -> list[str]:
    """Return which of "generator" and "discriminator" the content holds."""
    generator = any("rgb_converters.0.weight" in _part(content, name)[1] for name in ("shadow_generator", "generator"))
    critic = "from_rgb.0.0.weight" in _part(content, "discriminator")[1]
    return ["generator"] * generator + ["discriminator"] * critic


def convert(content: Any, network: str) -> Conversion:
    """Return a network of the file in our names; of generators the moving average, shadow_generator, if there is one.

    Raises:
        CheckpointImportError: tensors are missing, left over, or fit no such network.
    """
    if network == "discriminator":
        conf, tensors = _part(content, "discriminator")
        return _discriminator(State(tensors), _is_equalized(conf))
    name = next(name for name in ("shadow_generator", "generator") if _part(content, name)[1])
    conf, tensors = _part(content, name)
    conversion = _generator(State(tensors), _is_equalized(conf), f"taken: {name}")
    for key, found in (
        ("latent_size", conversion.config.latent_size),
        ("num_channels", conversion.config.image_channels),
    ):
        if conf.get(key, found) != found:
            raise CheckpointImportError(f"conf has {key} {conf[key]!r}, expected {found} as of the layers")
    return conversion


def _part(content: Any, name: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return (conf, tensors) of one of the file's networks, ({}, {}) where there is none."""
    part = content.get(name) if isinstance(content, dict) else None
    if not isinstance(part, dict) or not isinstance(part.get("conf"), dict):
        return {}, {}
    return part["conf"], named_tensors(part.get("state_dict"))


def _is_equalized(conf: dict[str, Any]) -> bool:
    """Return whether weights are multiplied by He's constant at run time, as conf says."""
    if not isinstance(conf.get("use_eql"), bool):
        raise CheckpointImportError(f"conf has use_eql {conf.get('use_eql')!r}, expected True or False")
    return conf["use_eql"]


def _generator(state: State, scaled: bool, note: str) -> Conversion:
    layers, blocks = {}, state.count("rgb_converters.{}.weight")
    for b in range(blocks):
        side = f"{4 << b}x{4 << b}"
        if b == 0:
            layers["blocks.4x4.dense"] = projection(state, "layers.0.conv_1", scaled)
        else:
            layers[f"blocks.{side}.conv0"] = convolution(state, f"layers.{b}.conv_1", scaled)
        layers[f"blocks.{side}.{'conv1' if b else 'conv'}"] = convolution(state, f"layers.{b}.conv_2", scaled)
        layers[f"to_rgb.{side}"] = convolution(state, f"rgb_converters.{b}", scaled)
    state.finish()
    return Conversion(generator_config(layers, blocks), layers, (note,))


def _discriminator(state: State, scaled: bool) -> Conversion:
    layers, blocks = {}, state.count("from_rgb.{}.0.weight")
    for b in range(blocks):  # 0 is the full resolution
        side = f"{4 << (blocks - 1 - b)}x{4 << (blocks - 1 - b)}"
        layers[f"from_rgb.{side}"] = convolution(state, f"from_rgb.{b}.0", scaled)
        if b < blocks - 1:
            layers[f"blocks.{side}.conv0"] = convolution(state, f"layers.{b}.conv_1", scaled)
            layers[f"blocks.{side}.conv1"] = convolution(state, f"layers.{b}.conv_2", scaled)
    layers |= output_layers(state, f"layers.{blocks - 1}", scaled)
    state.finish()
    config = ProGANConfig(**discriminator_fields(layers, blocks), stddev="contiguous", stddev_group=GROUP)
    return Conversion(config, layers)


def convolution(state: State, name: str, scaled: bool) -> Layer:
    """Return a convolution; every gain is sqrt(2), that of the output layers too."""
    weight = state.take(f"{name}.weight", 4)
    return Layer(weight, state.take(f"{name}.bias", 1), he_scale(weight) if scaled else 1.0)


def projection(state: State, name: str, scaled: bool) -> Layer:
    """Return G's first layer, a transposed convolution (latent, out, 4, 4), whose fan is the latent's size."""
    weight = state.take(f"{name}.weight", 4)
    scale = math.sqrt(2 / weight.shape[0]) if scaled else 1.0
    return Layer(dense_of_transposed(weight), state.take(f"{name}.bias", 1), scale)


def output_layers(state: State, name: str, scaled: bool) -> dict[str, Layer]:
    """Return D's three layers at 4x4, the last two of them convolutions that see everything."""
    conv = convolution(state, f"{name}.conv_1", scaled)
    dense0, dense1 = (convolution(state, f"{name}.conv_{n}", scaled) for n in (2, 3))
    return {
        "blocks.4x4.conv": conv,
        "blocks.4x4.dense0": Layer(dense0.weight.flatten(1), dense0.bias, dense0.scale),
        "blocks.4x4.dense1": Layer(dense1.weight.flatten(1), dense1.bias, dense1.scale),
    }


def generator_config(layers: dict[str, Layer], blocks: int) -> ProGANConfig:
    """Return the config of a generator of this program: no normalization after the first layer."""
    return ProGANConfig(
        **width_fields([layers[f"to_rgb.{4 << b}x{4 << b}"].weight.shape[1] for b in range(blocks)]),
        latent_size=layers["blocks.4x4.dense"].weight.shape[1],
        image_channels=layers["to_rgb.4x4"].weight.shape[0],
        pixelnorm="not_first",
    )


def discriminator_fields(layers: dict[str, Layer], blocks: int) -> dict[str, Any]:
    """Return ProGANConfig's fields for the sizes of a discriminator of this program."""
    widths = [layers[f"from_rgb.{4 << b}x{4 << b}"].weight.shape[0] for b in range(blocks)]
    sizes = width_fields(widths, hidden=layers["blocks.4x4.dense0"].weight.shape[0])
    return {**sizes, "image_channels": layers["from_rgb.4x4"].weight.shape[1]}
