"""genforce's PGGAN files: {generator, generator_smooth, discriminator}, of layerN, outputN and inputN.

Two things are in no file. Its option final_tanh: `"tanh": true` under architecture in config.json stands for it. And
the program's version: since commit 3038720 (2020-12-09) it normalizes z, joins the label and normalizes both; before,
it multiplied z by the root of its size in between, for which `"latent_norm": "both"` stands there. Without labels the
two are the same.
"""

import math
from typing import Any

from torch import Tensor

from zoo.architecture import ProGANConfig
from zoo.importers.content import CheckpointImportError
from zoo.importers.conversion import Conversion, Layer, he_scale, width_fields
from zoo.importers.equalized import dense_of_padded, is_equalized, upsampling_kernel
from zoo.importers.state import State, named_tensors

NAME = "genforce"
LABEL_NORM = "twice"
"""latent_norm of a generator with labels; a file without a discriminator does not tell whether it has any."""
OLDER_NORMS = (
    'the label joins z as genforce does since December 2020; "latent_norm": "both" in config.json is as it did before, '
    "and the file does not tell which trained it",
)
GROUP = 16
"""genforce's default for the samples that share a minibatch stddev; the files do not say."""


def recognises(content: Any) -> bool:
    """Tell whether the content is genforce's: whatever it is, without raising."""
    return bool(networks(content))


def networks(content: Any) -> list[str]:
    """Return which of "generator" and "discriminator" the content holds."""
    generator, critic = _parts(content)
    return ["generator"] * bool(generator) + ["discriminator"] * bool(critic)


def convert(content: Any, network: str) -> Conversion:
    """Return a network of the file in our names; of generators the moving average, generator_smooth, if there is one.

    Raises:
        CheckpointImportError: tensors are missing, left over, or fit no such network.
    """
    generator, critic = _parts(content)
    labels = label_size(critic) if critic else 0
    if network == "generator":
        note = "generator_smooth, the moving average" if "generator_smooth" in content else "generator, no average"
        return convert_generator(generator, labels, (f"taken: {note}",))
    fused = bool(generator) and _is_fused(State(generator))
    return convert_discriminator(critic, fused)


def _parts(content: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the tensors of (the averaged generator, the discriminator), each {} where there is none."""
    if not isinstance(content, dict):
        return {}, {}
    generator = named_tensors(content.get("generator_smooth", content.get("generator")))
    critic = named_tensors(content.get("discriminator"))
    return generator if is_generator(generator) else {}, critic if is_discriminator(critic) else {}


def is_generator(tensors: dict[str, Tensor]) -> bool:
    """Tell a generator by its names."""
    return {"lod", "layer0.weight", "layer1.weight", "output0.weight"} <= tensors.keys()


def is_discriminator(tensors: dict[str, Tensor]) -> bool:
    """Tell a discriminator by its names."""
    return {"lod", "layer0.weight", "layer1.weight", "input0.weight"} <= tensors.keys()


def label_size(critic: dict[str, Tensor]) -> int:
    """Return the components of the label, which only the discriminator's last layer tells."""
    last = State(critic).count("layer{}.weight") - 1
    return critic[f"layer{last}.weight"].shape[0] - 1


def convert_generator(tensors: dict[str, Tensor], labels: int, notes: tuple[str, ...] = ()) -> Conversion:
    """Return a generator of genforce's names.

    Args:
        tensors: its state dict.
        labels: components of the label, which join z in the first layer's inputs.
        notes: of the conversion, to which those on its options are added.
    """
    state = State(tensors)
    blocks, fused = state.count("output{}.weight"), _is_fused(state)
    scaled = is_equalized([tensors[f"layer{2 * b + 1}.weight"] for b in range(blocks)])
    widths = [state.shape(f"layer{2 * b + 1}.weight")[0] for b in range(blocks)]
    if len(set(widths)) == 1:
        notes += ("all layers are of one width: read as not fused, as the file cannot tell",)
    layers = {}
    for b in range(blocks):
        side = f"{4 << b}x{4 << b}"
        weight = state.take(f"layer{2 * b}.weight", 4)
        if b == 0:
            inputs = weight.shape[1]
            weight, scale = dense_of_padded(weight), math.sqrt(2) / 4 / math.sqrt(inputs)
        else:
            weight = upsampling_kernel(weight) if fused else weight
            scale = he_scale(weight)
        first, second = ("dense", "conv") if b == 0 else ("conv0", "conv1")
        layers[f"blocks.{side}.{first}"] = Layer(weight, state.take(f"layer{2 * b}.bias"), scale if scaled else 1.0)
        layers[f"blocks.{side}.{second}"] = _layer(state, f"layer{2 * b + 1}", scaled)
        layers[f"to_rgb.{side}"] = _layer(state, f"output{b}", scaled, gain=1.0)
    lod = state.take("lod", 0).item()
    state.finish()
    if inputs <= labels:
        raise CheckpointImportError(
            f"layer0 takes {inputs} numbers, {labels} of them a label, expected a latent vector too"
        )
    config = ProGANConfig(
        **width_fields(widths),
        latent_size=inputs - labels,
        label_size=labels,
        image_channels=layers["to_rgb.4x4"].weight.shape[0],
        latent_norm="twice",
        lod=lod,
    )
    notes += OLDER_NORMS if labels else ()
    return Conversion(config, layers, notes + _option_notes(fused, scaled, lod))


def convert_discriminator(tensors: dict[str, Tensor], fused: bool, notes: tuple[str, ...] = ()) -> Conversion:
    """Return a discriminator of genforce's names; fused: whether it pools within its convolutions."""
    state = State(tensors)
    blocks = state.count("input{}.weight")
    scaled = is_equalized([tensors[f"layer{2 * b}.weight"] for b in range(blocks)])
    widths = [state.shape(f"layer{2 * b}.weight")[0] for b in reversed(range(blocks))]
    inputs = state.shape(f"layer{2 * blocks - 2}.weight")[1]
    layers = {}
    for b in range(blocks):  # 0 is the full resolution
        side = f"{4 << (blocks - 1 - b)}x{4 << (blocks - 1 - b)}"
        layers[f"from_rgb.{side}"] = _layer(state, f"input{b}", scaled)
        first, second = ("conv", "dense0") if b == blocks - 1 else ("conv0", "conv1")
        layers[f"blocks.{side}.{first}"] = _layer(state, f"layer{2 * b}", scaled)
        layers[f"blocks.{side}.{second}"] = _layer(state, f"layer{2 * b + 1}", scaled)
    layers["blocks.4x4.dense1"] = _layer(state, f"layer{2 * blocks}", scaled, gain=1.0)
    lod = state.take("lod", 0).item()
    state.finish()
    config = ProGANConfig(
        **width_fields(widths, hidden=layers["blocks.4x4.dense0"].weight.shape[0]),
        label_size=layers["blocks.4x4.dense1"].weight.shape[0] - 1,
        image_channels=layers["from_rgb.4x4"].weight.shape[1],
        pool_first=fused,
        stddev="strided" if inputs == widths[0] + 1 else "none",
        stddev_group=GROUP,
        lod=lod,
    )
    return Conversion(config, layers, notes + _option_notes(fused, scaled, lod))


def _layer(state: State, name: str, scaled: bool, gain: float = math.sqrt(2)) -> Layer:
    """Return a layer that is stored as it is used."""
    weight = state.take(f"{name}.weight")
    return Layer(weight, state.take(f"{name}.bias"), he_scale(weight, gain) if scaled else 1.0)


def _is_fused(state: State) -> bool:
    """Tell whether layers that double are transposed convolutions: (in, out, 3, 3). Equal widths cannot tell."""
    for b in range(1, state.count("output{}.weight")):
        stored, width = state.shape(f"layer{2 * b}.weight")[:2], state.shape(f"layer{2 * b + 1}.weight")[0]
        if stored[0] != stored[1]:
            return stored[1] == width
    return False


def _option_notes(fused: bool, scaled: bool, lod: float) -> tuple[str, ...]:
    """Return notes on the options that differ from genforce's own."""
    notes = ["fused resampling"] * fused + ["weights without equalized learning rate"] * (not scaled)
    return tuple(notes + [f"saved while growing, lod {lod:g}"] * bool(lod))
