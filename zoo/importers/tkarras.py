"""The released programs' own pickles (tkarras/progressive_growing_of_gans): TensorFlow's, and the Theano version's."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from zoo.architecture import ProGANConfig
from zoo.importers.content import ImportFailure, Record, describe
from zoo.importers.conversion import Conversion, Layer, he_scale, width_fields
from zoo.importers.network_pickle import TensorFlowNetwork, TheanoNetwork
from zoo.layers import LEAK

NAME = "tkarras"

_FUNCTIONS = {"G_paper": "generator", "G_progressive_8": "generator", "D_paper": "discriminator"}
_FUNCTIONS["D_progressive_8"] = "discriminator"
_REFUSED = {"use_batchnorm": False, "use_layernorm": False, "mbdisc_kernels": None, "mbstat_func": "Tstdeps"}
"""Options of the Theano program for networks that ours cannot be, and the values at which they do nothing."""


def recognises(content: Any) -> bool:
    """A Network of either program, or the (G, D, Gs) that they save."""
    return bool(_networks(content))


def networks(content: Any) -> list[str]:
    """Return which of "generator" and "discriminator" are there."""
    found = [_kind(record) for record in _networks(content)]
    return [name for name in ("generator", "discriminator") if name in found]


def convert(content: Any, network: str) -> Conversion:
    """Return the layers of the last such network: Gs, the moving average, of (G, D, Gs)."""
    records = [record for record in _networks(content) if _kind(record) == network]
    record = records[-1]
    of = " (the moving average Gs)" if network == "generator" and len(records) > 1 else ""
    if isinstance(record, TheanoNetwork):
        config, layers = _from_theano(record.fields, network)
        program = f"Theano network{of}"
    else:
        config, layers = _from_tensorflow(record.fields, network)
        program = f"TensorFlow network{of}"
    state = f"lod {config.lod:g}: half grown, it paints as it stands" if config.lod else "fully grown"
    return Conversion(config, layers, (f"{network}: {program}, {state}",))


def _networks(content: Any) -> list[Record]:
    parts = content if isinstance(content, list | tuple) else [content]
    return [part for part in parts if isinstance(part, TensorFlowNetwork | TheanoNetwork) and _kind(part)]


def _kind(record: Record) -> str | None:
    """Return which network a record is; None for a StyleGAN, a classifier or the like."""
    if isinstance(record, TheanoNetwork):
        spec = record.fields.get("build_func_spec")
        return _FUNCTIONS.get(str(spec.get("func"))) if isinstance(spec, dict) else None
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


def _from_tensorflow(fields: dict[str, Any], network: str) -> tuple[ProGANConfig, dict[str, Layer]]:
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
        raise ImportFailure(f"variables without a place, {describe({name: variables[name] for name in unused})}")
    fused = [f"{size}/Conv1_down/weight" in variables for size in names[1:]]
    if len(set(fused)) > 1 and network == "discriminator":
        raise ImportFailure("blocks with and blocks without fused pooling, one kind is wanted")
    group = int(options.get("mbstd_group_size", 4))
    config = _config(network, layers, options, float(variables.get("lod", 0.0)), {
        "variant": "released",
        "pool_first": fused[0] if fused else None,
        "stddev": "strided" if group > 1 else "none",
        "stddev_group": max(group, 1),
    })  # fmt: skip
    return config, layers


def _from_theano(fields: dict[str, Any], network: str) -> tuple[ProGANConfig, dict[str, Layer]]:
    """Return config and layers of a network.Network: a list of values, in the order in which Lasagne meets them.

    Kernels are (out, in, height, width) of true convolutions, so flipped; each is followed by its run-time scale.
    """
    options = dict(fields["build_func_spec"])
    for name, wanted in _REFUSED.items():
        if options.get(name, wanted) != wanted:
            raise ImportFailure(f"{name}: {options[name]!r}, {wanted!r} is wanted")
    if options.get("tanh_at_end") not in (None, 1, True) or options.get("mbstat_avg", "all") not in ("all", None):
        raise ImportFailure(
            f"tanh_at_end: {options.get('tanh_at_end')!r}, mbstat_avg: {options.get('mbstat_avg')!r}; "
            "None or 1, and 'all' or None, are wanted"
        )
    resolution = int(options.get("resolution", 32))
    names = [f"{4 << i}x{4 << i}" for i in range(resolution.bit_length() - 2)]
    values: Iterator[Any] = iter(fields["param_values"])

    def parameter() -> Any:
        for value in values:
            return value
        raise ImportFailure(f"{len(fields['param_values'])} parameters, fewer than a network of {resolution} px has")

    def layer() -> Layer:
        weight = parameter()
        scale = float(parameter()) if options.get("use_wscale", True) else 1.0
        if weight.ndim == 4:
            weight = weight.flip(2, 3)
        return Layer(weight if weight.ndim == 4 else weight.T, parameter(), scale)

    def rgb_layer() -> Layer:
        found = layer()
        return Layer(found.weight[:, :, None, None], found.bias, found.scale)

    layers: dict[str, Layer] = {}
    if network == "generator":
        first = layer()
        weight = first.weight.flip(2, 3).permute(0, 2, 3, 1)  # one pixel, padded, shows the kernel as it is
        layers["blocks.4x4.dense"] = Layer(weight.reshape(-1, weight.shape[3]), first.bias, first.scale)
        layers["blocks.4x4.conv"] = layer()
        for size in names[1:]:
            layers |= {f"blocks.{size}.conv0": layer(), f"blocks.{size}.conv1": layer()}
        layers |= {f"to_rgb.{size}": rgb_layer() for size in reversed(names)}
    else:
        layers[f"from_rgb.{names[-1]}"] = rgb_layer()
        for size, coarser in zip(reversed(names[1:]), reversed(names[:-1]), strict=True):
            layers |= {f"blocks.{size}.conv0": layer(), f"blocks.{size}.conv1": layer()}
            layers[f"from_rgb.{coarser}"] = rgb_layer()
        layers["blocks.4x4.conv"] = layer()
        last = layer()
        layers["blocks.4x4.dense0"] = Layer(last.weight.flatten(1), last.bias, last.scale)
        heads = [layer() for _ in range(2 if options.get("label_size") else 1)]  # scores, labels
        layers["blocks.4x4.dense1"] = Layer(
            torch.cat([head.weight * head.scale for head in heads]), torch.cat([head.bias for head in heads])
        )
    if next(values, None) is not None:
        raise ImportFailure(f"{len(fields['param_values'])} parameters, more than a network of {resolution} px has")
    lod = (fields.get("toplevel_params") or {}).get("cur_lod", 0.0)
    config = _config(network, layers, options, float(lod), {
        "stddev": None if options.get("mbstat_avg", "all") else "none",
        "tanh": network == "generator" and options.get("tanh_at_end") is not None,
    })  # fmt: skip
    return config, layers


def _config(
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
            "generator_leak": LEAK if options.get("use_leakyrelu", True) else 0.0,
        }
        rest = {name: value for name, value in rest.items() if name in ("variant", "tanh")}
    else:
        hidden = layers["blocks.4x4.dense0"].weight.shape[0]
        found |= width_fields([kernel.shape[0] for kernel in kernels], hidden)
        found |= {"image_channels": kernels[0].shape[1]}
    if not math.isfinite(lod):
        raise ImportFailure(f"lod: {lod}, a number is wanted")
    return ProGANConfig(**found, **rest, lod=min(max(lod, 0.0), len(names) - 1.0))
