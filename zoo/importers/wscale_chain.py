"""A chain of convolutions with one output layer, as gandissect and ptrblck store generators: our names for it."""

from dataclasses import replace
from typing import Any

from torch import Tensor

from zoo.architecture import ProGANConfig
from zoo.importers.content import CheckpointImportError
from zoo.importers.conversion import Conversion, Layer, width_fields
from zoo.importers.equalized import dense_of_padded
from zoo.importers.state import named_tensors


def chain_tensors(content: Any) -> dict[str, Tensor]:
    """Return the state dict of a file, bare or under "state_dict"."""
    if isinstance(content, dict) and "state_dict" in content:
        content = content["state_dict"]
    return named_tensors(content)


def convert_chain(layers: list[Layer], output: Layer, notes: tuple[str, ...] = ()) -> Conversion:
    """Return the generator of a chain.

    Args:
        layers: two a resolution, 4x4 first; the very first a 4x4 convolution that a single pixel, padded by 3, enters.
        output: the 1x1 convolution after the last of them.
        notes: of the conversion.

    Raises:
        CheckpointImportError: an odd number of layers.
    """
    if not layers or len(layers) % 2:
        raise CheckpointImportError(f"{len(layers)} layers, expected two a resolution")
    latent_size = layers[0].weight.shape[1]
    chain = [replace(layers[0], weight=dense_of_padded(layers[0].weight)), *layers[1:]]
    names = [("dense", "conv") if n == 0 else ("conv0", "conv1") for n in range(len(layers) // 2)]
    named = {
        f"blocks.{4 << b}x{4 << b}.{name}": chain[2 * b + n]
        for b in range(len(names))
        for n, name in enumerate(names[b])
    }
    side = 4 << (len(names) - 1)
    config = ProGANConfig(
        **width_fields([layer.weight.shape[0] for layer in layers[1::2]]),
        latent_size=latent_size,
        image_channels=output.weight.shape[0],
        single_resolution=len(names) > 1,
    )
    notes += ("only the full resolution can be generated: the file has one output layer",) * (len(names) > 1)
    return Conversion(config, named | {f"to_rgb.{side}x{side}": output}, notes)
