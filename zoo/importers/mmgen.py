"""MMGeneration and MMagic: {meta, state_dict} with generator., generator_ema. and discriminator.; BGR inside."""

import math
import re
from typing import Any

from torch import Tensor

from zoo.architecture import ProGANConfig
from zoo.importers.content import CheckpointImportError, as_state_dict
from zoo.importers.conversion import Conversion, Layer, he_scale, width_fields
from zoo.importers.equalized import upsampling_kernel
from zoo.importers.state import State, below, named_tensors

NAME = "mmgen"
LABEL_NORM = "joined"
"""latent_norm of a generator with labels; a file without a discriminator does not tell whether it has any."""
GROUP = 4
"""The program's default for the samples that share a minibatch stddev."""
LATENT_EPSILON, LAYER_EPSILON = 1e-6, 1e-5
"""What is added to the root mean square of the latent, and, as mmcv builds those layers, of the features."""


def recognises(content: Any) -> bool:
    """Tell whether the content is of this family: whatever it is, without raising."""
    return bool(networks(content))


def networks(content: Any) -> list[str]:
    """Return which of "generator" and "discriminator" the content holds."""
    tensors = _tensors(content)
    generator = any(f"{prefix}noise2feat.linear.weight_orig" in tensors for prefix in _GENERATORS)
    return ["generator"] * generator + ["discriminator"] * ("discriminator.decision.linear0.weight_orig" in tensors)


def convert(content: Any, network: str) -> Conversion:
    """Return a network of the file in our names, to generate or score RGB; its generator_ema where there is one.

    A file that was saved while growing gives the network of the resolution that it had reached.

    Raises:
        CheckpointImportError: tensors are missing, left over, or fit no such network.
    """
    tensors, settings = _tensors(content), _settings(content)
    growth = State({name: tensors[name] for name in ("_curr_scale_int", "_curr_transition_weight") if name in tensors})
    prefix = next((prefix for prefix in _GENERATORS if f"{prefix}noise2feat.linear.weight_orig" in tensors), None)
    if network == "discriminator":
        # its two forms have the same shapes: where the settings are not in the file, it is taken to be as its generator
        fused = prefix is None or _is_fused(State(below(tensors, prefix)), settings)
        fused = settings.get("fused_convdown", str(fused)) != "False"
        return _discriminator(below(tensors, "discriminator."), fused, growth, settings)
    if prefix is None:
        raise CheckpointImportError(f"no tensors {' or '.join(_GENERATORS)}noise2feat...: expected a generator's")
    last = tensors.get("discriminator.decision.linear1.weight_orig")
    labels = 0 if last is None else last.shape[0] - 1
    return _generator(below(tensors, prefix), prefix, labels, growth, settings)


_GENERATORS = ("generator_ema.module.", "generator_ema.", "generator.")
"""Prefixes of the generators in a file, the one that is taken first: MMagic's average, MMGeneration's, none."""


def _tensors(content: Any) -> dict[str, Tensor]:
    """Return the state dict of the whole model, bare or under "state_dict"."""
    if isinstance(content, dict) and "state_dict" in content:
        content = content["state_dict"]
    return named_tensors(as_state_dict(content))


def _settings(content: Any) -> dict[str, str]:
    """Return the settings of interest that the training program's own text in "meta" gives: name -> value."""
    meta = content.get("meta") if isinstance(content, dict) else None
    text = meta.get("config", meta.get("cfg")) if isinstance(meta, dict) else None
    wanted = r"\b(fused_upconv|fused_convdown|group_size|to_rgb)\s*=\s*(\w+)"
    return dict(re.findall(wanted, text)) if isinstance(text, str) else {}


def _reached(growth: State, blocks: int) -> tuple[int, float]:
    """Return (resolutions that training had reached, weight of the newest); all and 1 where the file does not say."""
    if "_curr_scale_int" not in growth:
        return blocks, 1.0
    scale = int(growth.take("_curr_scale_int", 0))
    reached = scale.bit_length() - 2
    if scale not in [4 << b for b in range(blocks)]:
        raise CheckpointImportError(f"_curr_scale_int is {scale}, expected a resolution from 4 to {4 << (blocks - 1)}")
    weight = growth.take("_curr_transition_weight", 0).item() if "_curr_transition_weight" in growth else 1.0
    return reached, min(max(weight, 0.0), 1.0) if reached > 1 else 1.0


def _generator(
    tensors: dict[str, Tensor], prefix: str, labels: int, growth: State, settings: dict[str, str]
) -> Conversion:
    state = State(tensors)
    blocks = state.count("torgb_layers.{}.conv.bias")
    fused = _is_fused(state, settings)
    dense = state.take("noise2feat.linear.weight_orig", 2)
    inputs, bias = dense.shape[1], state.take("noise2feat.bias", 4).flatten()
    layers = {"blocks.4x4.dense": Layer(dense, bias, math.sqrt(2) / 4 / math.sqrt(inputs))}
    for b in range(blocks):
        side = f"{4 << b}x{4 << b}"
        if b:
            layers[f"blocks.{side}.conv0"] = _layer(state, f"conv_blocks.{2 * b - 1}", fused=fused)
        layers[f"blocks.{side}.{'conv1' if b else 'conv'}"] = _layer(state, f"conv_blocks.{2 * b}")
        rgb = _layer(state, f"torgb_layers.{b}", gain=1.0)
        if not _is_rgb(settings):
            rgb = Layer(rgb.weight.flip(0), rgb.bias.flip(0), rgb.scale)
        layers[f"to_rgb.{side}"] = rgb
    state.finish()
    if inputs <= labels:
        raise CheckpointImportError(
            f"noise2feat takes {inputs} numbers, {labels} of them a label, expected a latent vector too"
        )
    reached, newest = _reached(growth, blocks)
    layers = _up_to(layers, reached)
    widths = [layers[f"to_rgb.{4 << b}x{4 << b}"].weight.shape[1] for b in range(reached)]
    config = ProGANConfig(
        **width_fields(widths),
        latent_size=inputs - labels,
        label_size=labels,
        image_channels=rgb.weight.shape[0],
        latent_norm="joined" if labels else None,
        latent_epsilon=LATENT_EPSILON,
        pixelnorm_epsilon=LAYER_EPSILON,
        epsilon_outside_root=True,
        lod=1.0 - newest,
    )
    return Conversion(config, layers, (f"taken: {prefix.rstrip('.')}", *_notes(settings, reached, blocks, newest)))


def _discriminator(tensors: dict[str, Tensor], fused: bool, growth: State, settings: dict[str, str]) -> Conversion:
    state, layers = State(tensors), {}
    blocks = state.count("fromrgb_layers.{}.conv.bias")
    for b in range(blocks):
        side = f"{4 << b}x{4 << b}"
        entry = _layer(state, f"fromrgb_layers.{b}")
        weight = entry.weight if _is_rgb(settings) else entry.weight.flip(1)
        layers[f"from_rgb.{side}"] = Layer(weight, entry.bias, entry.scale)
        if b:
            layers[f"blocks.{side}.conv0"] = _layer(state, f"conv_blocks.{2 * b - 1}")
            layers[f"blocks.{side}.conv1"] = _layer(state, f"conv_blocks.{2 * b}")
        else:
            _layer(state, "conv_blocks.0")  # the program makes it, and never calls it
    for n, gain in ((0, math.sqrt(2)), (1, 1.0)):
        weight = state.take(f"decision.linear{n}.weight_orig", 2)
        layers[f"blocks.4x4.dense{n}"] = Layer(weight, state.take(f"decision.linear{n}.bias"), he_scale(weight, gain))
    state.finish()
    reached, newest = _reached(growth, blocks)
    layers = _up_to(layers, reached)
    widths = [layers[f"from_rgb.{4 << b}x{4 << b}"].weight.shape[0] for b in range(reached)]
    dense = layers["blocks.4x4.dense0"].weight
    config = ProGANConfig(
        **width_fields(widths, hidden=dense.shape[0]),
        label_size=layers["blocks.4x4.dense1"].weight.shape[0] - 1,
        image_channels=layers["from_rgb.4x4"].weight.shape[1],
        discriminator_conv=False,
        pool_first=fused,
        stddev="strided" if dense.shape[1] > widths[0] * 16 else "none",
        stddev_group=int(settings.get("group_size", GROUP)),
        lod=1.0 - newest,
    )
    return Conversion(config, layers, _notes(settings, reached, blocks, newest))


def _layer(state: State, name: str, gain: float = math.sqrt(2), fused: bool = False) -> Layer:
    """Return a convolution; of a transposed one, (in, out, 3, 3), the program counts the fan over the outputs."""
    stored = state.take(f"{name}.conv.weight_orig", 4)
    weight = upsampling_kernel(stored) if fused else stored
    return Layer(weight, state.take(f"{name}.conv.bias", 1), he_scale(stored, gain))


def _is_fused(state: State, settings: dict[str, str]) -> bool:
    """Tell whether layers that double are transposed convolutions: by shape, else by the settings, else by default."""
    for b in range(1, state.count("torgb_layers.{}.conv.bias")):
        stored = state.shape(f"conv_blocks.{2 * b - 1}.conv.weight_orig")
        if stored[0] != stored[1]:
            return stored[1] == state.shape(f"conv_blocks.{2 * b}.conv.weight_orig")[0]
    return settings.get("fused_upconv") != "False"


def _is_rgb(settings: dict[str, str]) -> bool:
    """Tell whether the network was trained on RGB; the published ones and the default are BGR, as OpenCV reads."""
    return settings.get("to_rgb") == "True"


def _up_to(layers: dict[str, Layer], reached: int) -> dict[str, Layer]:
    """Return the layers of the first resolutions."""
    sides = {f"{4 << b}x{4 << b}" for b in range(reached)}
    return {name: layer for name, layer in layers.items() if name.split(".")[1] in sides}


def _notes(settings: dict[str, str], reached: int, blocks: int, weight: float) -> tuple[str, ...]:
    notes = ["trained on BGR, turned to RGB"] * (not _is_rgb(settings))
    if reached < blocks:
        notes.append(f"saved while growing to {4 << (blocks - 1)}: the layers above {4 << (reached - 1)} are left out")
    return tuple(notes + [f"the newest block had weight {weight:g}"] * (weight < 1))
