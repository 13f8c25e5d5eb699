"""gandissect and ganseeing: layerN.conv.weight with layerN.wscale.b, and the output layer of one resolution."""

import math
import re
from typing import Any

from zoo.importers.conversion import Conversion, Layer, he_scale
from zoo.importers.state import State
from zoo.importers.wscale_chain import chain_tensors, convert_chain

NAME = "gandissect"


def recognises(content: Any) -> bool:
    """Tell whether the content is such a generator: whatever it is, without raising."""
    return bool(networks(content))


def networks(content: Any) -> list[str]:
    """Return ["generator"] or []: the family has no discriminators."""
    tensors = chain_tensors(content)
    named = {"layer1.conv.weight", "layer1.wscale.b", "layer2.conv.weight"} <= tensors.keys()
    return ["generator"] * (named and any(re.fullmatch(r"output_\d+x\d+\.conv\.weight", name) for name in tensors))


def convert(content: Any, network: str) -> Conversion:
    """Return the generator in our names; ganseeing clips what it generates to [-1, 1], gandissect and ours do not.

    Raises:
        CheckpointImportError: tensors are missing, left over, or fit no such network.
    """
    state = State(chain_tensors(content))
    count = 0
    while f"layer{count + 1}.conv.weight" in state:
        count += 1
    side = 4 << max(count // 2 - 1, 0)
    layers = [_layer(state, f"layer{n + 1}") for n in range(count)]
    output = _layer(state, f"output_{side}x{side}", gain=1.0)
    state.finish()
    return convert_chain(layers, output)


def _layer(state: State, name: str, gain: float = math.sqrt(2)) -> Layer:
    """Return a layer with the scale that the program computes, gain / kernel / sqrt(in)."""
    weight = state.take(f"{name}.conv.weight", 4)
    return Layer(weight, state.take(f"{name}.wscale.b", 1), he_scale(weight, gain))
