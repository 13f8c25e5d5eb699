"""interfacegan, higan and mganprior: layerN.conv.weight with layerN.wscale.bias, one network a file."""

import math
import re
from typing import Any

from torch import Tensor

from zoo.architecture import ProGANConfig
from zoo.importers.conversion import Conversion, Layer, he_scale, width_fields
from zoo.importers.equalized import dense_of_padded, upsampling_kernel
from zoo.importers.genforce import GROUP
from zoo.importers.state import State, named_tensors

NAME = "interfacegan"


def recognises(content: Any) -> bool:
    """Tell whether the content is one network of these names: whatever it is, without raising."""
    return bool(networks(content))


def networks(content: Any) -> list[str]:
    """Return which of "generator" and "discriminator" the content is."""
    tensors = named_tensors(content)
    if not {"layer1.conv.weight", "layer1.wscale.bias"} <= tensors.keys():
        return ["discriminator"] if {"layer0.conv.weight", "input0.wscale.bias"} <= tensors.keys() else []
    outputs = [name for name in tensors if re.fullmatch(r"output(_\d+x\d+|\d+)\.wscale\.bias", name)]
    return ["generator"] * bool(outputs) + ["discriminator"] * ("input0.wscale.bias" in tensors)


def convert(content: Any, network: str) -> Conversion:
    """Return the network in our names.

    Two forms of generators: interfacegan's, from layer1 on with the output layer of the full resolution alone, and
    higan's and mganprior's, from layer0 on with lod and an output layer a resolution. Their callers normalize z; their
    first layer does so once more, as ours does. These programs do not blend: a fractional lod is rounded up.

    Raises:
        CheckpointImportError: tensors are missing, left over, or fit no such network.
    """
    tensors = named_tensors(content)
    return _generator(tensors) if network == "generator" else _discriminator(tensors)


def _generator(tensors: dict[str, Tensor]) -> Conversion:
    """Return a generator of either form."""
    state, start = State(tensors), 0 if "layer0.wscale.bias" in tensors else 1
    count = 0
    while f"layer{count + start}.wscale.bias" in tensors:
        count += 1
    blocks, widths, layers = count // 2, [], {}
    for b in range(blocks):
        resolution = 4 << b
        side = f"{resolution}x{resolution}"
        first, second = f"layer{2 * b + start}", f"layer{2 * b + 1 + start}"
        if b == 0:
            weight = state.take(f"{first}.conv.weight", 4)
            inputs = weight.shape[1]
            dense, scale = dense_of_padded(weight), math.sqrt(2) / 4 / math.sqrt(inputs)
            layers["blocks.4x4.dense"] = Layer(dense, state.take(f"{first}.wscale.bias"), scale)
        else:
            layers[f"blocks.{side}.conv0"] = _layer(state, first, resampling="up")
        layers[f"blocks.{side}.{'conv1' if b else 'conv'}"] = _layer(state, second)
        widths.append(layers[f"blocks.{side}.{'conv1' if b else 'conv'}"].weight.shape[0])
        output = f"output{b}" if start == 0 else f"output_{side}"
        if start == 0 or b == blocks - 1:
            layers[f"to_rgb.{side}"] = _layer(state, output, gain=1.0)
    lod = math.ceil(state.take("lod", 0).item()) if start == 0 else 0
    state.finish()
    config = ProGANConfig(
        **width_fields(widths),
        latent_size=inputs,
        image_channels=layers[f"to_rgb.{side}"].weight.shape[0],
        single_resolution=start == 1 and blocks > 1,
        lod=float(lod),
    )
    notes = ("only the full resolution can be generated: the file has one output layer",) * (start == 1)
    return Conversion(config, layers, notes + (f"saved while growing, lod {lod}",) * bool(lod))


def _discriminator(tensors: dict[str, Tensor]) -> Conversion:
    """Return a discriminator: inputN and layerN count from the full resolution down."""
    state, blocks = State(tensors), 0
    while f"input{blocks}.conv.weight" in tensors:
        blocks += 1
    fused = "layer1.weight" in tensors
    layers: dict[str, Layer] = {}
    widths: list[int] = []
    for b in range(blocks):
        side = f"{4 << (blocks - 1 - b)}x{4 << (blocks - 1 - b)}"
        layers[f"from_rgb.{side}"] = _layer(state, f"input{b}")
        last = b == blocks - 1
        layers[f"blocks.{side}.{'conv' if last else 'conv0'}"] = conv = _layer(state, f"layer{2 * b}")
        widths.insert(0, conv.weight.shape[0])
        if not last:
            layers[f"blocks.{side}.conv1"] = _layer(state, f"layer{2 * b + 1}", resampling="down")
    for n, gain in ((0, math.sqrt(2)), (1, 1.0)):
        name = f"layer{2 * blocks - 1 + n}"
        weight = state.take(f"{name}.fc.weight", 2)
        layers[f"blocks.4x4.dense{n}"] = Layer(weight, state.take(f"{name}.wscale.bias"), he_scale(weight, gain))
    lod = math.ceil(state.take("lod", 0).item())
    state.finish()
    config = ProGANConfig(
        **width_fields(widths, hidden=layers["blocks.4x4.dense0"].weight.shape[0]),
        label_size=layers["blocks.4x4.dense1"].weight.shape[0] - 1,
        image_channels=layers["from_rgb.4x4"].weight.shape[1],
        pool_first=fused,
        stddev="strided" if conv.weight.shape[1] == widths[0] + 1 else "none",
        stddev_group=GROUP,
        lod=float(lod),
    )
    return Conversion(config, layers, (f"saved while growing, lod {lod}",) * bool(lod))


def _layer(state: State, name: str, gain: float = math.sqrt(2), resampling: str = "") -> Layer:
    """Return a convolution; a fused one that goes "up" or "down" is stored as TensorFlow does, (3, 3, in, out)."""
    if resampling and f"{name}.weight" in state:
        stored = state.take(f"{name}.weight", 4)
        up = resampling == "up"
        weight = upsampling_kernel(stored.permute(2, 3, 0, 1)) if up else stored.permute(3, 2, 0, 1)
    else:
        weight = state.take(f"{name}.conv.weight", 4)
    return Layer(weight, state.take(f"{name}.wscale.bias"), he_scale(weight, gain))
