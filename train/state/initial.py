"""--init MODEL: start from networks that are already trained, one's own or imported; grow, relabel or retrain them."""

import contextlib
import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import zoo
from train.config import TrainConfig, TrainError
from train.options import flag
from train.presets import PRESETS
from train.schedule import growth_at, published_resolution
from train.state.checkpoint import DamagedCheckpointError, checkpoints, load_checkpoint
from zoo import weights
from zoo.architecture import ProGANConfig, read_architecture
from zoo.folder import CONFIG_NAME, WEIGHTS_NAMES, ModelError
from zoo.progan import Discriminator, Generator

SIZES = ("latent_size", "fmap_base", "fmap_max", "variant", "latent_norm", "pixelnorm", "generator_norm",
         "generator_slope", "tanh", "discriminator_norm", "stddev", "minibatch_discrimination", "equalized",
         "discriminator_divisor")  # fmt: skip
"""Options that say how the networks are built: with --init they are the model's."""
ALONE_KIMG = 10.0
"""Thousands of images for which a fresh discriminator is trained before its generator, at most."""


@dataclass(frozen=True)
class Initial:
    """Trained networks that a run starts from.

    architecture: of both, fully grown at the resolution that they were trained to. generator, g_ema, discriminator:
    weights by name; discriminator is None where only a generator is known. loss: that they were trained with; models of
    other programs do not say it.
    """

    architecture: ProGANConfig
    generator: dict[str, Tensor]
    g_ema: dict[str, Tensor]
    discriminator: dict[str, Tensor] | None
    loss: str = "wgan-gp"

    def turned(self, loss: str) -> bool:
        """Whether the discriminator scores the other way round than this loss asks: only lsgan's scores reals low."""
        return self.discriminator is not None and (self.loss == "lsgan") != (loss == "lsgan")


def read_initial(init: str) -> Initial:
    """Return the networks of --init.

    Args:
        init: a run folder (its newest checkpoint), a model folder, a checkpoint, a catalogue name or a Hub id.

    Raises:
        TrainError: there is no such model, or it is damaged.
    """
    path = Path(init)
    try:
        if path.suffix == ".pt" and path.is_file():
            return _of_checkpoint(path)
        if path.is_dir() and (found := checkpoints(path / "checkpoints")):
            for newest in reversed(found[1:]):
                with contextlib.suppress(DamagedCheckpointError):  # the one before, then
                    return _of_checkpoint(newest)
            return _of_checkpoint(found[0])
        return _of_model(zoo.model_folder(init))
    except (ModelError, ValueError) as error:
        raise TrainError(f"--init {error}") from None


def start_of(config: TrainConfig, initial: Initial, given: frozenset[str] | None) -> TrainConfig:
    """Return the options with the sizes of --init's networks, and where growth goes from there.

    Args:
        config: the options, defaults included.
        initial: the networks of config.init.
        given: the options that were given; None: all that are not the preset's.

    Raises:
        TrainError: an option that was given says something else than the model.
    """
    theirs = initial.architecture
    preset = TrainConfig(dataset=config.dataset, preset=config.preset, **PRESETS.get(config.preset, {}))
    for name in SIZES:
        explicit = name in given if given is not None else getattr(config, name) != getattr(preset, name)
        if explicit and getattr(config, name) != getattr(theirs, name):
            raise TrainError(
                f"{flag(name)}: got {getattr(config, name)}, expected {getattr(theirs, name)} or nothing, "
                f"as --init {config.init} was trained"
            )
    explicit = "resolution" in given if given is not None else config.resolution != preset.resolution
    resolution = config.resolution or theirs.resolution
    if resolution < theirs.resolution and explicit:
        raise TrainError(
            f"--resolution: got {resolution}, expected {theirs.resolution} or more, as --init {config.init} has grown"
        )
    resolution = max(resolution, theirs.resolution)
    if resolution > theirs.resolution and theirs.single_resolution:
        raise TrainError(
            f"--resolution: got {resolution}, expected {theirs.resolution}: --init {config.init} has an output layer "
            "for its full resolution alone, so nothing can fade in"
        )
    if 0 < theirs.direct_input < resolution:
        raise TrainError(
            f"--resolution: got {resolution}, expected {theirs.direct_input}: the discriminator of --init "
            f"{config.init} takes images of its full resolution without a layer of their own, so nothing can fade in"
        )
    alone = config.discriminator_kimg
    if alone is None:
        alone = min(ALONE_KIMG, config.stable_kimg / 4) if initial.discriminator is None else 0.0
    sizes: dict[str, Any] = {name: getattr(theirs, name) for name in SIZES}
    return replace(config, resolution=resolution, discriminator_kimg=alone, **sizes)


def told_of(config: TrainConfig, initial: Initial) -> str:
    """Return the line that says what a run starts from."""
    theirs, top = initial.architecture.resolution, config.resolution
    line = f"starts from {config.init}, {theirs}x{theirs}"
    if config.grow and top and top > theirs:
        line += f", and grows to {top}x{top}"
    if initial.discriminator is None:
        line += (
            f"; it has no discriminator: a new one is trained alone for the first {config.discriminator_kimg:g} kimg"
        )
    if initial.turned(config.loss):
        height = "low" if initial.loss == "lsgan" else "high"
        line += f"; trained with {initial.loss}, it scored reals {height}: the score is turned round"
    return line


def grown(architecture: ProGANConfig, resolution: int) -> ProGANConfig:
    """Return an architecture that goes on to a higher resolution, each new level half as wide where its widths are
    listed."""
    widths = architecture.widths
    if widths is not None:
        missing = resolution.bit_length() - architecture.resolution.bit_length()
        widths = widths + tuple(max(1, widths[-1] >> i) for i in range(1, missing + 1))
    return replace(architecture, resolution=resolution, widths=widths, lod=0.0)


def fill(
    config: TrainConfig, initial: Initial, generator: Generator, g_ema: Generator, discriminator: Discriminator
) -> None:
    """Put the weights of --init into new networks, which may be larger and have other labels; the rest stays new.

    Raises:
        TrainError: the dataset's images have other channels than the model's.
    """
    theirs, ours = initial.architecture, generator.config
    if theirs.image_channels != ours.image_channels:
        raise TrainError(
            f"{config.dataset}: got {ours.image_channels}-channel images, expected "
            f"{theirs.image_channels}-channel ones, as --init {config.init} was trained"
        )
    for network, tensors in ((generator, initial.generator), (g_ema, initial.g_ema)):
        _put(network, _with_label_columns(tensors, theirs, network))
    if initial.discriminator is not None:
        tensors = _with_label_rows(initial.discriminator, discriminator)
        _put(discriminator, _with_turned_score(tensors) if initial.turned(config.loss) else tensors)


def _put(network: Generator | Discriminator, tensors: dict[str, Tensor]) -> None:
    """Fill the layers that the tensors have; a name or shape that the network has not is a fault of this program."""
    network.load_state_dict({**network.state_dict(), **tensors}, strict=True)


def _with_label_columns(tensors: dict[str, Tensor], theirs: ProGANConfig, network: Generator) -> dict[str, Tensor]:
    """Return G's tensors for the labels of `network`: what it does with z stays, a new label does nothing at first.

    The equalized scale of the first layer depends on the size of its input, so its weights are rescaled.
    """
    ours = network.config
    if theirs.label_size == ours.label_size:
        return tensors
    name, latent = "blocks.4x4.dense.weight", theirs.latent_size
    inputs = (latent + theirs.label_size, latent + ours.label_size)
    weight = tensors[name][:, :latent] * ((inputs[1] / inputs[0]) ** 0.5 if ours.equalized else 1)
    return {**tensors, name: torch.cat([weight, torch.zeros(len(weight), ours.label_size)], dim=1)}


def _with_label_rows(tensors: dict[str, Tensor], network: Discriminator) -> dict[str, Tensor]:
    """Return D's tensors for the labels of `network`: its score stays, new label outputs are as they were made."""
    tensors, fresh = dict(tensors), network.state_dict()
    for name in ("blocks.4x4.dense1.weight", "blocks.4x4.dense1.bias"):
        if tensors[name].shape != fresh[name].shape:
            tensors[name] = torch.cat([tensors[name][:1], fresh[name][1:].cpu()])
    return tensors


def _with_turned_score(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return D's tensors with the score negated, and the labels' outputs as they are."""
    tensors = dict(tensors)
    for name in ("blocks.4x4.dense1.weight", "blocks.4x4.dense1.bias"):
        tensors[name] = torch.cat([-tensors[name][:1], tensors[name][1:]])
    return tensors


def _of_model(folder: Path) -> Initial:
    architecture = replace(read_architecture(folder), lod=0.0)
    generator = weights.load(folder).state_dict()
    discriminator = None
    if (folder / WEIGHTS_NAMES["Discriminator"]).is_file():
        discriminator = weights.load(folder, "discriminator").state_dict()
    try:
        loss = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))["training"]["loss"]
    except (KeyError, TypeError):
        loss = "wgan-gp"
    return Initial(architecture, generator, generator, discriminator, loss)


def _of_checkpoint(path: Path) -> Initial:
    """Return the networks of one of our checkpoints up to the last resolution that is fully in."""
    state = load_checkpoint(path)
    try:
        architecture = architecture_of_checkpoint(state)
        growth = growth_at(state["nimg"], **growth_of_checkpoint(state))
        resolution = published_resolution(growth.resolution, growth.alpha)
        architecture = architecture.at(resolution)
        with torch.device("meta"):
            names = {
                "generator": set(Generator(architecture).state_dict()),
                "g_ema": set(Generator(architecture).state_dict()),
                "discriminator": set(Discriminator(architecture).state_dict()),
            }
        found = {name: {key: state[name][key] for key in keys} for name, keys in names.items()}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise TrainError(f"--init {path}: got an incomplete checkpoint ({error})") from None
    loss = state["config"].get("loss", "wgan-gp")
    return Initial(architecture, found["generator"], found["g_ema"], found["discriminator"], loss)


def architecture_of_checkpoint(state: dict[str, Any]) -> ProGANConfig:
    """Return the architecture of a checkpoint's networks; of older ones by their options and the shapes."""
    if "architecture" in state:
        return ProGANConfig.from_dict(state["architecture"])
    saved, generator = state["config"], state["generator"]
    top = max(int(key.split(".")[1].split("x")[0]) for key in generator if key.startswith("blocks."))
    latent = saved["latent_size"]
    return ProGANConfig(
        resolution=top,
        latent_size=latent,
        label_size=generator["blocks.4x4.dense.weight"].shape[1] - latent,
        image_channels=len(generator[f"to_rgb.{top}x{top}.bias"]),
        fmap_base=saved["fmap_base"],
        fmap_max=saved["fmap_max"],
        variant=saved["variant"],
    )


def growth_of_checkpoint(state: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of growth_at for the run that wrote a checkpoint."""
    if "growth" in state:
        return state["growth"]
    saved, top = state["config"], architecture_of_checkpoint(state).resolution
    return {
        "stable_kimg": saved["stable_kimg"],
        "fade_kimg": saved["fade_kimg"],
        "max_resolution": top,
        "first_resolution": 4 if saved["grow"] else top,
    }


def keep_sizes(config: TrainConfig, saved: dict[str, Any]) -> TrainConfig:
    """Return the options of a resumed run that began with --init, whose sizes are the model's and not the preset's."""
    if not saved.get("init") or saved["init"] != config.init:
        return config
    known = {field.name for field in fields(TrainConfig)}
    names = [name for name in (*SIZES, "resolution", "grow", "discriminator_kimg") if name in saved and name in known]
    return replace(config, **{name: saved[name] for name in names})
