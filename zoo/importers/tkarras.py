"""The released program's own pickles (tkarras/progressive_growing_of_gans), of its TensorFlow version."""

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor

from zoo.architecture import NEGATIVE_SLOPE, ProGANConfig
from zoo.importers.content import CheckpointImportError, Record, describe
from zoo.importers.conversion import Conversion, Layer, he_scale, width_fields
from zoo.importers.network_pickle import TensorFlowNetwork

NAME = "tkarras"


def recognises(content: Any) -> bool:
    """A tfutil.Network, or the (G, D, Gs) that the program saves."""
    return bool(networks(content))


def networks(content: Any) -> list[str]:
    """Return which of "generator" and "discriminator" are there."""
    return [name for name in ("generator", "discriminator") if saved_networks(content, TensorFlowNetwork, _kind)[name]]


def convert(content: Any, network: str) -> Conversion:
    """Return the layers of the last such network: Gs, the moving average, of (G, D, Gs)."""
    records = saved_networks(content, TensorFlowNetwork, _kind)[network]
    config, layers = _network(records[-1].fields, network)
    return Conversion(config, layers, (note(network, "TensorFlow", len(records), config.lod),))


def saved_networks(
    content: Any, kind: type[Record], network_of: Callable[[Record], str | None]
) -> dict[str, list[Record]]:
    """Return the generators and discriminators of a file, in its order.

    Args:
        content: a network or several of them.
        kind: the program's class of networks.
        network_of: says of one whether it is a "generator" or a "discriminator"; None for anything else.
    """
    found: dict[str, list[Record]] = {"generator": [], "discriminator": []}
    for part in content if isinstance(content, list | tuple) else [content]:
        name = network_of(part) if isinstance(part, kind) else None
        if name:
            found[name].append(part)
    return found


def note(network: str, program: str, count: int, lod: float) -> str:
    """Return what a user should know of a network that was taken as the last of so many."""
    of = " (the moving average Gs)" if network == "generator" and count > 1 else ""
    state = f"lod {lod:g}: half grown, it generates as it stands" if lod else "fully grown"
    return f"{network}: {program} network{of}, {state}"


def _kind(record: Record) -> str | None:
    """Return which network a record is; None for a StyleGAN, a classifier or the like."""
    names = _variables(record.fields)
    if "4x4/Dense/weight" in names and "ToRGB_lod0/weight" in names:
        return "generator"
    return "discriminator" if "4x4/Dense1/weight" in names and "FromRGB_lod0/weight" in names else None


def _variables(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a TensorFlow network's variables, saved as pairs, as a dict, or as the names and the values."""
    found = fields.get("variables")
    if isinstance(found, list | tuple) and len(found) == 2 and all(isinstance(part, list | tuple) for part in found):
        named = all(isinstance(name, str) for name in found[0]) and len(found[0]) == len(found[1])
        found = list(zip(*found, strict=True)) if named else found
    if isinstance(found, list | tuple):
        pairs = [pair for pair in found if isinstance(pair, list | tuple) and len(pair) == 2]
        found = {name: value for name, value in pairs if isinstance(name, str)}
    return found if isinstance(found, dict) else {}


def _network(fields: dict[str, Any], network: str) -> tuple[ProGANConfig, dict[str, Layer]]:
    """Return config and layers of a tfutil.Network: (in, out) and (height, width, in, out) kernels, unscaled."""
    variables = _variables(fields)
    options = fields.get("static_kwargs") or {}
    rgb = "ToRGB_lod" if network == "generator" else "FromRGB_lod"
    count = sum(name.startswith(rgb) and name.endswith("/weight") for name in variables)
    used = {"lod"}
    # the released program keeps a fused kernel as (height, width, out, in); StyleGAN's, which writes version 3, not
    turned = int(fields.get("version", 2)) < 3

    def layer(name: str, gain: float = math.sqrt(2), fused_up: bool = False) -> Layer:
        used.update((f"{name}/weight", f"{name}/bias"))
        weight = variables[f"{name}/weight"]
        if weight.ndim == 2:
            weight = weight.T
        elif fused_up:  # the kernel of a transposed convolution
            weight = weight.permute(*((2, 3) if turned else (3, 2)), 0, 1).flip(2, 3)
        else:
            weight = weight.permute(3, 2, 0, 1)
        scale = he_scale(weight, gain) if options.get("use_wscale", True) else 1.0
        return Layer(weight, variables[f"{name}/bias"], scale)

    sizes = [4 << i for i in range(count)]
    names = [f"{size}x{size}" for size in sizes]
    layers: dict[str, Layer] = {}
    for i, size in enumerate(names):
        lod = f"{rgb}{count - 1 - i}"
        if network == "generator":
            layers[f"to_rgb.{size}"] = layer(lod, gain=1.0)
            if i == 0:
                layers[f"blocks.{size}.dense"] = layer("4x4/Dense", gain=math.sqrt(2) / 4)
                layers[f"blocks.{size}.conv"] = layer("4x4/Conv")
                continue
            fused = f"{size}/Conv0_up/weight" in variables
            layers[f"blocks.{size}.conv0"] = layer(f"{size}/Conv0_up" if fused else f"{size}/Conv0", fused_up=fused)
            layers[f"blocks.{size}.conv1"] = layer(f"{size}/Conv1")
        else:
            layers[f"from_rgb.{size}"] = layer(lod)
            if i == 0:
                layers |= {f"blocks.{size}.{ours}": layer(f"4x4/{ours.title()}") for ours in ("conv", "dense0")}
                layers[f"blocks.{size}.dense1"] = layer("4x4/Dense1", gain=1.0)
                continue
            fused = f"{size}/Conv1_down/weight" in variables
            layers[f"blocks.{size}.conv0"] = layer(f"{size}/Conv0")
            layers[f"blocks.{size}.conv1"] = layer(f"{size}/Conv1_down" if fused else f"{size}/Conv1")
    unused = sorted(set(variables) - used)
    if unused:
        raise CheckpointImportError(
            f"variables without a place, {describe({name: variables[name] for name in unused})}"
        )
    pooled = [f"{size}/Conv1_down/weight" in variables for size in names[1:]]
    if len(set(pooled)) > 1 and network == "discriminator":
        raise CheckpointImportError("blocks with and blocks without fused pooling, expected one kind")
    group = int(options.get("mbstd_group_size", 4))
    config = config_of(network, layers, options, float(variables.get("lod", 0.0)), {
        "variant": "released",
        "pool_first": pooled[0] if pooled else None,
        "stddev": "strided" if group > 1 else "none",
        "stddev_group": max(group, 1),
    })  # fmt: skip
    return config, layers


def config_of(
    network: str, layers: dict[str, Layer], options: dict[str, Any], lod: float, rest: dict[str, Any]
) -> ProGANConfig:
    """Return the config that both programs' options mean; sizes are those of the layers."""
    rgb = "to_rgb" if network == "generator" else "from_rgb"
    names = sorted((name for name in layers if name.startswith(rgb)), key=lambda name: int(name.split("x")[-1]))
    kernels: list[Tensor] = [layers[name].weight for name in names]
    label_size = int(options.get("label_size") or 0)
    found: dict[str, Any] = {"label_size": label_size}
    if network == "generator":
        epsilon = float(options.get("pixelnorm_epsilon", 1e-8))
        found |= width_fields([kernel.shape[1] for kernel in kernels])
        found |= {
            "image_channels": kernels[0].shape[0],
            "latent_size": layers["blocks.4x4.dense"].weight.shape[1] - label_size,
            "latent_norm": None if options.get("normalize_latents", True) else "none",
            "latent_epsilon": epsilon,
            "pixelnorm": "all" if options.get("use_pixelnorm", True) else "none",
            "pixelnorm_epsilon": epsilon,
            "generator_slope": NEGATIVE_SLOPE if options.get("use_leakyrelu", True) else 0.0,
        }
        rest = {name: value for name, value in rest.items() if name in ("variant", "tanh")}
    else:
        hidden = layers["blocks.4x4.dense0"].weight.shape[0]
        found |= width_fields([kernel.shape[0] for kernel in kernels], hidden)
        found |= {"image_channels": kernels[0].shape[1]}
    if not math.isfinite(lod):
        raise CheckpointImportError(f"lod: got {lod}, expected a number")
    return ProGANConfig(**found, **rest, lod=min(max(lod, 0.0), len(names) - 1.0))
