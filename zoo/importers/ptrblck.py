"""ptrblck's inference port, and gandissect's older files: layers that store the scale of their weights."""

import math
from typing import Any

from zoo.importers.content import CheckpointImportError
from zoo.importers.conversion import Conversion, Layer, he_scale
from zoo.importers.state import State
from zoo.importers.wscale_chain import chain_tensors, convert_chain

NAME = "ptrblck"


def recognises(content: Any) -> bool:
    """Tell whether the content is such a generator: whatever it is, without raising."""
    return bool(networks(content))


def networks(content: Any) -> list[str]:
    """Return ["generator"] or []: the family has no discriminators."""
    tensors = chain_tensors(content)
    later = {"features.0.conv.weight", "features.0.wscale.b", "output.conv.weight"} <= tensors.keys()
    first = {"in_layer.1.weight", "upsampling_layers.0.conv.weight", "out_layer.1.weight"} <= tensors.keys()
    return ["generator"] * (later or first)


def convert(content: Any, network: str) -> Conversion:
    """Return the generator in our names, with the scales that the file stores.

    Raises:
        CheckpointImportError: tensors are missing, left over, or fit no such network.
    """
    state, layers = State(chain_tensors(content)), []
    if "in_layer.1.weight" in state:  # the names of the program's first version
        ends = [(f"{name}.1.weight", f"{name}.2") for name in ("in_layer", "out_layer")]
        pattern = "upsampling_layers.{}"
    else:
        ends = [("", ""), ("output.conv.weight", "output.wscale")]
        pattern = "features.{}"
    if ends[0][0]:
        layers.append(_layer(state, *ends[0]))
    while (name := pattern.format(len(layers) - bool(ends[0][0]))) + ".conv.weight" in state:
        layers.append(_layer(state, f"{name}.conv.weight", f"{name}.wscale"))
    output = _layer(state, *ends[1], gain=1.0)
    state.finish()
    return convert_chain(layers, output)


def _layer(state: State, weight_name: str, wscale: str, gain: float = math.sqrt(2)) -> Layer:
    """Return a layer with its stored scale, or, where a file has none, with gain / sqrt(fan_in)."""
    weight = state.take(weight_name, 4)
    scale = he_scale(weight, gain)
    if f"{wscale}.scale" in state:
        stored = state.take(f"{wscale}.scale")
        if stored.numel() != 1 or stored.ndim > 1:
            raise CheckpointImportError(f"{wscale}.scale is {tuple(stored.shape)}, expected one number")
        scale = stored.item()
    return Layer(weight, state.take(f"{wscale}.b", 1), scale)
