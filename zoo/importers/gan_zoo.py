"""pytorch_GAN_zoo's checkpoints (facebookresearch): {config, netG, netD, avgG}, biases scaled with the weights."""

import re
from typing import Any

from torch import Tensor

from zoo.architecture import ProGANConfig
from zoo.importers.content import CheckpointImportError, Record, as_state_dict, describe
from zoo.importers.conversion import Conversion, Layer, he_scale, width_fields

NAME = "gan_zoo"

_TANH = {"DCGAN": True, "MSE": True, "WGANGP": False, "WGANGP2": False, "Logistic": False}
"""The losses, and whether images go through tanh when one was trained with (base_loss_criterions.py)."""


def recognises(content: Any) -> bool:
    """The names of its three networks, and of the layers in them."""
    return bool(networks(content))


def networks(content: Any) -> list[str]:
    """Return which of "generator" and "discriminator" are there."""
    if not isinstance(content, dict):
        return []
    marks = {"generator": ("avgG", "netG", "formatLayer"), "discriminator": ("netD", "netD", "decisionLayer")}
    return [
        network
        for network, (first, second, mark) in marks.items()
        if any(f"{mark}.weight" in _state(content.get(name)) for name in (first, second))
    ]


def convert(content: Any, network: str) -> Conversion:
    """Return the layers of the moving average avgG (of netG where there is none), or of netD."""
    options = content.get("config")
    options = options.fields if isinstance(options, Record) else options if isinstance(options, dict) else {}
    key = "netD" if network == "discriminator" else "avgG" if _state(content.get("avgG")) else "netG"
    state = _state(content[key])
    equalized = options.get("equalizedlR", True)
    used: set[str] = set()

    def layer(name: str) -> Layer:
        used.update((f"{name}.weight", f"{name}.bias"))
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        scale = he_scale(weight) if equalized else 1.0
        return Layer(weight, bias.float() * scale, scale)  # its program adds the bias, then scales

    count = sum(bool(re.fullmatch(r"(to|from)RGBLayers\.\d+\.weight", name)) for name in state)
    layers: dict[str, Layer] = {}
    for i in range(count):
        size = f"{4 << i}x{4 << i}"
        rgb = "to" if network == "generator" else "from"
        layers[f"{rgb}_rgb.{size}"] = layer(f"{rgb}RGBLayers.{i}")
        if i:
            layers |= {f"blocks.{size}.conv{j}": layer(f"scaleLayers.{i - 1}.{j}") for j in (0, 1)}
        elif network == "generator":
            layers |= {"blocks.4x4.dense": layer("formatLayer"), "blocks.4x4.conv": layer("groupScale0.0")}
        else:
            layers |= {"blocks.4x4.conv": layer("groupScaleZero.0"), "blocks.4x4.dense0": layer("groupScaleZero.1")}
            layers["blocks.4x4.dense1"] = layer("decisionLayer")
    unused = sorted(set(state) - used)
    if unused:
        raise CheckpointImportError(f"tensors without a place, {describe({name: state[name] for name in unused})}")
    alpha = float(options.get("alpha") or 0.0)
    if not 0 <= alpha <= 1:
        raise CheckpointImportError(f"alpha: got {alpha}, expected 0 to 1")
    config = _config(network, layers, options, alpha if count > 1 else 0.0)
    fade = f"alpha {alpha:g} (its 1 is the lower resolution alone): half grown, it works as it stands"
    note = f"{network}: {key}, {fade if config.lod else 'fully grown'}"
    return Conversion(config, layers, (note,))


def _state(value: Any) -> dict[str, Tensor]:
    """Return a network's tensors under their older, shorter names: newer files say .module before weight and bias."""
    return {re.sub(r"^module\.", "", name).replace(".module.", "."): x for name, x in as_state_dict(value).items()}


def _config(network: str, layers: dict[str, Layer], options: dict[str, Any], alpha: float) -> ProGANConfig:
    """Return the config that its options mean; sizes are those of the layers."""
    slope = float(options.get("leakyReluLeak", 0.2))
    label_size = int(options.get("categoryVectorDim") or 0)
    names = [name for name in layers if "_rgb" in name]  # 4x4 first
    if network == "generator":
        if not options.get("perChannelNormalization", True):
            raise CheckpointImportError(
                "perChannelNormalization: got False, expected True; its own program needs it to generate"
            )
        loss = options.get("lossCriterion", "WGANGP")
        if loss not in _TANH:
            raise CheckpointImportError(f"lossCriterion: got {loss!r}, expected one of {', '.join(_TANH)}")
        return ProGANConfig(
            **width_fields([layers[name].weight.shape[1] for name in names]),
            latent_size=layers["blocks.4x4.dense"].weight.shape[1] - label_size,
            label_size=label_size,
            latent_norm="joined" if label_size else None,
            image_channels=layers[names[0]].weight.shape[0],
            per_pixel_bias=True,
            generator_slope=slope,
            tanh=_TANH[loss],
            lod=alpha,
        )
    hidden = layers["blocks.4x4.dense0"].weight.shape[0]
    inputs, channels = layers["blocks.4x4.conv"].weight.shape[1], layers["from_rgb.4x4"].weight.shape[0]
    return ProGANConfig(
        **width_fields([layers[name].weight.shape[0] for name in names], hidden),
        label_size=layers["blocks.4x4.dense1"].weight.shape[0] - 1,
        image_channels=layers[names[0]].weight.shape[1],
        discriminator_slope=slope,
        discriminator_fades_from=16,  # its program leaves the first growth, to 8x8, unfaded
        stddev="contiguous" if inputs == channels + 1 else "none",
        stddev_unbiased=True,
        stddev_remainder="batch",
        lod=alpha,
    )
