"""--init MODEL: start from a generator and a discriminator that are already trained, imported ones for instance."""

from dataclasses import replace

import zoo
from train.config import TrainConfig, TrainError
from zoo import weights
from zoo.architecture import ProGANConfig, read_architecture
from zoo.folder import WEIGHTS_NAMES, ModelError
from zoo.progan import Discriminator, Generator


def with_initial_sizes(config: TrainConfig) -> TrainConfig:
    """Return the options with the sizes of --init's networks, and without growth: they are grown already.

    Raises:
        TrainError: --resolution is another than theirs, there is no such model, or it has no discriminator.
    """
    architecture = architecture_of(config)
    if not config.init:
        return config
    if config.resolution not in (None, architecture.resolution):
        raise TrainError(
            f"--resolution {config.resolution}: --init {config.init} is of {architecture.resolution}, none or that is "
            "wanted"
        )
    return replace(
        config,
        grow=False,
        resolution=architecture.resolution,
        latent_size=architecture.latent_size,
        fmap_base=architecture.fmap_base,
        fmap_max=architecture.fmap_max,
        variant=architecture.variant,
    )


def architecture_of(config: TrainConfig) -> ProGANConfig:
    """Return --init's architecture, as fully grown; without --init that of the options, of no particular resolution."""
    if not config.init:
        return ProGANConfig(
            latent_size=config.latent_size,
            fmap_base=config.fmap_base,
            fmap_max=config.fmap_max,
            variant=config.variant,
        )
    try:
        folder = zoo.model_folder(config.init)
        architecture = read_architecture(folder)
    except ModelError as error:
        raise TrainError(f"--init {error}") from None
    if not (folder / WEIGHTS_NAMES["Discriminator"]).is_file():
        raise TrainError(
            f"--init {config.init}: no {WEIGHTS_NAMES['Discriminator']} in {folder}, a generator and its discriminator "
            "are wanted"
        )
    return replace(architecture, lod=0.0)


def load_initial(config: TrainConfig, generator: Generator, discriminator: Discriminator) -> None:
    """Fill two new networks with --init's weights.

    Raises:
        TrainError: the data set's pictures have other channels or labels than the model's.
        ModelError: its files are damaged.
    """
    folder = zoo.model_folder(config.init)
    theirs, ours = architecture_of(config), generator.config
    for name, what in (("image_channels", "channels of the pictures"), ("label_size", "components of the labels")):
        if getattr(theirs, name) != getattr(ours, name):
            raise TrainError(
                f"--init {config.init}: {getattr(theirs, name)} {what}, {config.dataset} has {getattr(ours, name)}"
            )
    for network, name in ((generator, "generator"), (discriminator, "discriminator")):
        network.load_state_dict(weights.load(folder, name).state_dict(), strict=True)
