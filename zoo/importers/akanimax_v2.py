"""akanimax's pro_gan_pytorch up to version 2: one network a file, initial_block, layers and rgb_converters."""

import math
from typing import Any

from torch import Tensor

from zoo.architecture import ProGANConfig
from zoo.importers.akanimax_v3 import convolution, discriminator_fields, generator_config, output_layers, projection
from zoo.importers.content import CheckpointImportError
from zoo.importers.conversion import Conversion, Layer
from zoo.importers.equalized import is_equalized
from zoo.importers.state import State, named_tensors

NAME = "akanimax_v2"


def recognises(content: Any) -> bool:
    """Tell whether the content is one network of these names: whatever it is, without raising."""
    return bool(networks(content))


def networks(content: Any) -> list[str]:
    """Return which of "generator" and "discriminator" the content is."""
    tensors = named_tensors(content)
    generator = {"initial_block.conv_1.bias", "initial_block.conv_2.bias", "rgb_converters.0.bias"} <= tensors.keys()
    critic = {"final_block.conv_1.bias", "final_block.conv_3.bias", "rgb_to_features.0.bias"} <= tensors.keys()
    return ["generator"] * generator + ["discriminator"] * critic


def convert(content: Any, network: str) -> Conversion:
    """Return the network in our names.

    The program leaves it to the caller to normalize z; ours does it. How far training had grown the network is only in
    the file's name (GAN_GEN_SHADOW_8: 0 is 4x4), so it is left to the caller's `resolution`.

    Raises:
        CheckpointImportError: tensors are missing, left over, or fit no such network.
    """
    tensors = named_tensors(content)
    return _generator(tensors) if network == "generator" else _discriminator(tensors)


def _generator(tensors: dict[str, Tensor]) -> Conversion:
    first_version = "initial_block.conv_1.deconv.weight" in tensors
    state = State(_with_plain_names(tensors) if first_version else tensors)
    blocks = state.count("rgb_converters.{}.weight")
    scaled = first_version or is_equalized([tensors["initial_block.conv_2.weight"]])
    layers = {"blocks.4x4.dense": projection(state, "initial_block.conv_1", scaled)}
    layers["blocks.4x4.conv"] = convolution(state, "initial_block.conv_2", scaled)
    for b in range(blocks):
        side = f"{4 << b}x{4 << b}"
        if b:
            layers[f"blocks.{side}.conv0"] = convolution(state, f"layers.{b - 1}.conv_1", scaled)
            layers[f"blocks.{side}.conv1"] = convolution(state, f"layers.{b - 1}.conv_2", scaled)
        layers[f"to_rgb.{side}"] = convolution(state, f"rgb_converters.{b}", scaled)
    state.finish()
    notes = ["z is normalized here, which the program left to its caller"]
    if first_version:
        layers = {name: _first_scale(layer, dense=name.endswith("dense")) for name, layer in layers.items()}
        notes.append("the program's first version drew its scales anew at each start: their expectation is taken")
    notes += ["weights without equalized learning rate"] * (not scaled)
    return Conversion(generator_config(layers, blocks), layers, tuple(notes))


def _discriminator(tensors: dict[str, Tensor]) -> Conversion:
    if "final_block.conv_1.conv.weight" in tensors:
        raise CheckpointImportError(
            "final_block.conv_1.conv.weight: of the program's first version, which drew its scales anew at each start "
            "and kept a map of deviations; expected a discriminator of its later versions"
        )
    state = State(tensors)
    blocks = state.count("rgb_to_features.{}.weight")
    scaled = is_equalized([tensors["final_block.conv_1.weight"]])
    layers = {}
    for b in range(blocks):
        side = f"{4 << b}x{4 << b}"
        layers[f"from_rgb.{side}"] = convolution(state, f"rgb_to_features.{b}", scaled)
        if b:
            layers[f"blocks.{side}.conv0"] = convolution(state, f"layers.{b - 1}.conv_1", scaled)
            layers[f"blocks.{side}.conv1"] = convolution(state, f"layers.{b - 1}.conv_2", scaled)
    layers |= output_layers(state, "final_block", scaled)
    state.finish()
    config = ProGANConfig(**discriminator_fields(layers, blocks), from_rgb_slope=1.0)
    return Conversion(config, layers, ("weights without equalized learning rate",) * (not scaled))


def _with_plain_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the first version's tensors under the later names: .conv.weight is .weight, and two biases are one."""
    plain: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        name = name.replace(".deconv.", ".").replace(".conv.", ".")
        plain[name] = plain[name] + tensor if name in plain else tensor
    return plain


def _first_scale(layer: Layer, dense: bool) -> Layer:
    """Return a layer with the first version's scale: that of kaiming_normal_ with a slope of 1, 1 / sqrt(fan_in).

    torch counts the fan of the transposed convolution over its outputs and its kernel.
    """
    fan_in = layer.weight.shape[0] if dense else layer.weight[0].numel()
    return Layer(layer.weight, layer.bias, 1 / math.sqrt(fan_in))
