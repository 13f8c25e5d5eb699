"""The released program's own pickles (tkarras/progressive_growing_of_gans), of its Theano version."""

from collections.abc import Iterator
from typing import Any

import torch

from zoo.architecture import ProGANConfig
from zoo.importers.content import CheckpointImportError, Record
from zoo.importers.conversion import Conversion, Layer
from zoo.importers.network_pickle import TheanoNetwork
from zoo.importers.tkarras import config_of, note, saved_networks

NAME = "tkarras_theano"

_FUNCTIONS = {
    "G_paper": "generator", "G_progressive_8": "generator", "D_paper": "discriminator",
    "D_progressive_8": "discriminator",
}  # fmt: skip
_REFUSED = {"use_batchnorm": False, "use_layernorm": False, "mbdisc_kernels": None, "mbstat_func": "Tstdeps"}
"""Options of the Theano program for networks that ours cannot be, and the values at which they do nothing."""


def recognises(content: Any) -> bool:
    """A network.Network, or the (G, D, Gs) that the program saves."""
    return bool(networks(content))


def networks(content: Any) -> list[str]:
    """Return which of "generator" and "discriminator" are there."""
    return [name for name in ("generator", "discriminator") if saved_networks(content, TheanoNetwork, _kind)[name]]


def convert(content: Any, network: str) -> Conversion:
    """Return the layers of the last such network: Gs, the moving average, of (G, D, Gs)."""
    records = saved_networks(content, TheanoNetwork, _kind)[network]
    config, layers = _network(records[-1].fields, network)
    return Conversion(config, layers, (note(network, "Theano", len(records), config.lod),))


def _kind(record: Record) -> str | None:
    """Return which network a record is, by the function that built it; None for any other."""
    spec = record.fields.get("build_func_spec")
    return _FUNCTIONS.get(str(spec.get("func"))) if isinstance(spec, dict) else None


def _network(fields: dict[str, Any], network: str) -> tuple[ProGANConfig, dict[str, Layer]]:
    """Return config and layers of a network.Network: a list of values, in the order in which Lasagne meets them.

    Kernels are (out, in, height, width) of true convolutions, so flipped; each is followed by its run-time scale.
    """
    options = dict(fields["build_func_spec"])
    for name, wanted in _REFUSED.items():
        if options.get(name, wanted) != wanted:
            raise CheckpointImportError(f"{name}: got {options[name]!r}, expected {wanted!r}")
    if options.get("tanh_at_end") not in (None, 1, True) or options.get("mbstat_avg", "all") not in ("all", None):
        raise CheckpointImportError(
            f"tanh_at_end: {options.get('tanh_at_end')!r}, mbstat_avg: {options.get('mbstat_avg')!r}; "
            "expected None or 1, and 'all' or None"
        )
    resolution = int(options.get("resolution", 32))
    names = [f"{4 << i}x{4 << i}" for i in range(resolution.bit_length() - 2)]
    values: Iterator[Any] = iter(fields["param_values"])

    def parameter() -> Any:
        for value in values:
            return value
        raise CheckpointImportError(
            f"param_values: got {len(fields['param_values'])}, expected more for a network of {resolution} px"
        )

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
        raise CheckpointImportError(
            f"param_values: got {len(fields['param_values'])}, expected fewer for a network of {resolution} px"
        )
    lod = (fields.get("toplevel_params") or {}).get("cur_lod", 0.0)
    config = config_of(network, layers, options, float(lod), {
        "stddev": None if options.get("mbstat_avg", "all") else "none",
        "tanh": network == "generator" and options.get("tanh_at_end") is not None,
    })  # fmt: skip
    return config, layers
