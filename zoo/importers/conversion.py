"""From a layout's layers to our networks: scales folded into our own, every name, shape and number checked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from zoo.architecture import ProGANConfig
from zoo.importers.content import CheckpointImportError
from zoo.layers import EqualizedConv2d, EqualizedLinear
from zoo.progan import Discriminator, Generator

NETWORKS: dict[str, type[Generator] | type[Discriminator]] = {"generator": Generator, "discriminator": Discriminator}


@dataclass(frozen=True)
class Layer:
    """A convolution or dense layer as its program computes it: weight * scale, plus bias.

    weight: (out, in, kernel, kernel) or (out, in), ready for a cross-correlation as torch computes it.
    bias: (out,); of G's first layer (channels,), or (channels * 16,) where it differs from pixel to pixel.
    scale: what the program multiplies the weight with at run time; 1 where it has no equalized learning rate.
    """

    weight: Tensor
    bias: Tensor
    scale: float = 1.0


@dataclass(frozen=True)
class Conversion:
    """What a layout's convert() returns."""

    config: ProGANConfig
    layers: dict[str, Layer]
    """Our module -> layer: blocks.4x4.dense, blocks.4x4.conv, blocks.8x8.conv0, ..., to_rgb.8x8 of a generator;
    from_rgb.8x8, blocks.8x8.conv0, ..., blocks.4x4.conv, blocks.4x4.dense0, blocks.4x4.dense1 of a discriminator."""
    notes: tuple[str, ...] = ()
    """What a user should know of this file: which of its networks was taken, its fade state."""


def he_scale(weight: Tensor, gain: float = math.sqrt(2)) -> float:
    """Return gain / sqrt(fan_in) of an (out, in, ...) weight: the usual run-time scale."""
    return gain / math.sqrt(weight[0].numel())


def width_fields(widths: Sequence[int], hidden: int | None = None) -> dict[str, Any]:
    """Return ProGANConfig's fields for feature maps at 4x4, 8x8, ... and the size of D's dense layer.

    Table 2's formula where it gives these numbers (the config then reads as everybody's), else the list.
    """
    resolution = 4 << (len(widths) - 1)
    if not 1 <= len(widths) <= 12 or min(widths) < 1:
        raise CheckpointImportError(f"{len(widths)} resolutions of {list(widths)[:12]} feature maps, expected 1 to 12")
    sizes: dict[str, Any] = {
        "resolution": resolution,
        "fmap_base": max(1, widths[-1] * resolution // 2),
        "fmap_max": max(widths),
    }
    config = ProGANConfig(**sizes)
    if [config.feature_maps(r) for r in config.resolutions] != list(widths):
        sizes["widths"] = tuple(widths)
    if hidden is not None and hidden != config.hidden_size:
        sizes["discriminator_hidden"] = hidden
    return sizes


def build(conversion: Conversion, network: str) -> Generator | Discriminator:
    """Return our network with a layout's layers, in float32 on the CPU, in evaluation mode, gradients off.

    Args:
        conversion: what the layout found.
        network: "generator" or "discriminator".

    Raises:
        CheckpointImportError: a layer is missing, superfluous, of another shape, or not of finite numbers.
    """
    with torch.device("meta"):  # no random numbers, not even for a moment
        result = NETWORKS[network](conversion.config)
    layer_types = (EqualizedConv2d, EqualizedLinear)
    modules = {name: module for name, module in result.named_modules() if isinstance(module, layer_types)}
    differences = [f"{name} is missing" for name in modules if name not in conversion.layers]
    differences += [f"{name} has no place" for name in conversion.layers if name not in modules]
    for name in modules:
        if name in conversion.layers:
            differences += _differences(name, conversion.layers[name], modules[name])
    if differences:
        more = f" (and {len(differences) - 3} more)" if len(differences) > 3 else ""
        raise CheckpointImportError(f"does not fit together: {'; '.join(differences[:3])}{more}")
    state = {}
    for name, module in modules.items():
        layer = conversion.layers[name]
        ratio = layer.scale / module.scale
        weight = layer.weight.float()
        state[f"{name}.weight"] = (weight if math.isclose(ratio, 1, rel_tol=1e-6) else weight * ratio).contiguous()
        state[f"{name}.bias"] = layer.bias.float().contiguous()
    wrong = next((key for key, value in state.items() if not torch.isfinite(value).all()), None)
    if wrong:
        raise CheckpointImportError(f"{wrong} is not finite, expected finite weights")
    # its own memory: a view into a file that is closed or an array that others change must not stay
    result.load_state_dict({key: value.clone() for key, value in state.items()}, strict=True, assign=True)
    return result.eval().requires_grad_(False)


def _differences(name: str, layer: Layer, module: EqualizedConv2d | EqualizedLinear) -> list[str]:
    """Return what of a layer is not as our module wants it."""
    found = [
        f"{name}.{part} is {tuple(theirs.shape)}, expected {tuple(ours.shape)}"
        for part, theirs, ours in (("weight", layer.weight, module.weight), ("bias", layer.bias, module.bias))
        if theirs.shape != ours.shape
    ]
    found += [
        f"{name}.{part} is of {str(theirs.dtype).removeprefix('torch.')}, expected floating point"
        for part, theirs in (("weight", layer.weight), ("bias", layer.bias))
        if not theirs.dtype.is_floating_point
    ]
    if not math.isfinite(layer.scale) or layer.scale == 0:
        found.append(f"{name} is scaled by {layer.scale}, expected a finite number other than 0")
    return found


def joint_config(generator: ProGANConfig, discriminator: ProGANConfig) -> ProGANConfig:
    """Return one config for a generator and its discriminator, as a model folder has one.

    Raises:
        CheckpointImportError: the two are of different sizes.
    """
    for name in ("resolution", "image_channels", "label_size"):
        ours, theirs = getattr(generator, name), getattr(discriminator, name)
        if ours != theirs:
            raise CheckpointImportError(
                f"{name}: got {ours} of the generator and {theirs} of the discriminator, expected a pair of one"
            )
    widths = [[config.feature_maps(r) for r in config.resolutions] for config in (generator, discriminator)]
    if widths[0] != widths[1]:
        raise CheckpointImportError(
            f"generator of {widths[0]} feature maps, discriminator of {widths[1]}: a pair has the same"
        )
    joint = replace(
        generator,
        discriminator_slope=discriminator.discriminator_slope,
        from_rgb_slope=discriminator.from_rgb_slope,
        discriminator_hidden=discriminator.hidden_size,
        discriminator_conv=discriminator.discriminator_conv,
        discriminator_fades_from=discriminator.discriminator_fades_from,
        pool_first=discriminator.fused_pooling,
        stddev=discriminator.stddev_kind,
        stddev_group=discriminator.stddev_group,
        stddev_unbiased=discriminator.stddev_unbiased,
        stddev_remainder=discriminator.stddev_remainder,
    )
    # what the rest of the config says anyway is not said twice
    for name, meaning in (
        ("discriminator_hidden", "hidden_size"),
        ("pool_first", "fused_pooling"),
        ("stddev", "stddev_kind"),
    ):
        unsaid: dict[str, Any] = {name: None}
        plain = replace(joint, **unsaid)
        if getattr(plain, meaning) == getattr(joint, meaning):
            joint = plain
    return joint
