"""Our own checkpoint-*.pt: the averaged generator and the discriminator of a run, as it would publish them."""

import math
from typing import Any

from torch import Tensor

from zoo.architecture import ProGANConfig
from zoo.importers.content import CheckpointImportError
from zoo.importers.conversion import Conversion, Layer, he_scale, width_fields
from zoo.importers.state import State, named_tensors

NAME = "celebahq"

_SQRT2 = math.sqrt(2)


def recognises(content: Any) -> bool:
    """Tell whether the content is a checkpoint of python -m train: whatever it is, without raising."""
    return bool(networks(content))


def networks(content: Any) -> list[str]:
    """Return ["generator", "discriminator"], or [] for anything else: a checkpoint has both."""
    if not isinstance(content, dict) or not isinstance(content.get("config"), dict) or "nimg" not in content:
        return []
    marks = {"g_ema": "blocks.4x4.dense.weight", "discriminator": "blocks.4x4.dense1.weight"}
    found = all(mark in named_tensors(content.get(name)) for name, mark in marks.items())
    return ["generator", "discriminator"] if found else []


def convert(content: Any, network: str) -> Conversion:
    """Return the moving average g_ema or the discriminator, up to the last resolution that is fully in.

    That is what the run itself publishes: a block that is fading in, and those that training has not reached yet, are
    left out.

    Raises:
        CheckpointImportError: tensors are missing, left over, or fit no such network; a field says what cannot be.
    """
    config = content["config"]
    if config.get("init"):
        raise CheckpointImportError(
            f"of a run that began with --init {config['init']}, whose architecture is not in the file; "
            "use the model folder of the run instead"
        )
    critic = named_tensors(content["discriminator"])
    last = critic["blocks.4x4.dense1.weight"]
    if last.ndim != 2 or last.shape[0] < 1:
        raise CheckpointImportError(
            f"blocks.4x4.dense1.weight: got {tuple(last.shape)}, expected (1 + labels, features)"
        )
    labels = last.shape[0] - 1
    rgb = "to_rgb" if network == "generator" else "from_rgb"
    state = State(named_tensors(content["g_ema"]) if network == "generator" else critic)
    blocks = sum(f"{rgb}.{4 << b}x{4 << b}.bias" in state for b in range(12))
    if not blocks:
        raise CheckpointImportError(f"{rgb}.4x4.bias is missing")
    reached = _reached(content, blocks)
    layers: dict[str, Layer] = {}
    for b in range(blocks):
        side = f"{4 << b}x{4 << b}"
        names: tuple[str, ...] = ("conv0", "conv1")
        if b == 0:
            names = ("dense", "conv") if network == "generator" else ("conv", "dense0", "dense1")
        gain = {"dense": _SQRT2 / 4, "dense1": 1.0}
        found = {
            f"blocks.{side}.{name}": _layer(state, f"blocks.{side}.{name}", gain.get(name, _SQRT2)) for name in names
        }
        found[f"{rgb}.{side}"] = _layer(state, f"{rgb}.{side}", 1.0 if network == "generator" else _SQRT2)
        if b < reached:
            layers |= found
    state.finish()
    kernels = [layers[f"{rgb}.{4 << b}x{4 << b}"].weight for b in range(reached)]
    axis = 1 if network == "generator" else 0  # of the feature maps
    hidden = critic["blocks.4x4.dense0.weight"].shape[0]
    fields = {
        **width_fields([kernel.shape[axis] for kernel in kernels], hidden),
        "variant": config.get("variant", "paper"),
    }
    fields |= {"label_size": labels, "image_channels": kernels[0].shape[1 - axis]}
    if network == "generator":
        fields["latent_size"] = layers["blocks.4x4.dense"].weight.shape[1] - labels
    kimg = content["nimg"] / 1000 if isinstance(content["nimg"], int) else math.nan
    half = f", a run up to {4 << (blocks - 1)}" if reached < blocks else ""
    note = f"{network}: of a run at {kimg:g} kimg, grown to {4 << (reached - 1)}x{4 << (reached - 1)}{half}"
    return Conversion(ProGANConfig(**fields), layers, (note,))


def _reached(content: dict[str, Any], blocks: int) -> int:
    """Return how many blocks are fully in: the run's stage counts its phases, stable and fading in turn, from 0."""
    if content["config"].get("grow") is False:
        return blocks
    stage = content.get("stage")
    if not isinstance(stage, int) or not 0 <= stage // 2 < blocks:
        raise CheckpointImportError(f"stage: got {stage!r}, expected a number from 0 to {2 * blocks - 2}")
    return stage // 2 + 1


def _layer(state: State, name: str, gain: float) -> Layer:
    weight: Tensor = state.take(f"{name}.weight")
    return Layer(weight, state.take(f"{name}.bias", 1), he_scale(weight, gain))
