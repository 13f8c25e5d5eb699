"""What --restore auto and --device auto mean here, and which weights a build takes."""

import json
from dataclasses import replace
from typing import Literal

from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.detectors import shipped_networks


def resolve_auto(config: BuildConfig) -> tuple[BuildConfig, str]:
    """Return the options with nothing left to be chosen, and what the file records about the weights.

    The record is JSON, from the name of each network that ships and is used to the SHA-256 of its weights; "" when none
    is.

    Raises:
        DeviceError: --device cuda where there is none.
        BuildError: an installation without the weights, or with damaged ones.
    """
    if config.image_list is not None:
        config = replace(config, dedupe="off")
    weights = _detector_weights(config)
    if config.restore == "off":
        # What is not used is not asked for: PyTorch, which would know about a GPU, takes seconds to load.
        config = config if config.device != "auto" else replace(config, device="cpu")
        return config, json.dumps(weights) if weights else ""
    from celebahq.device import choose_device
    from celebahq_builder.restore import artifacts_name, superres_name
    from zoo.restoration.weights import load_restoration, shipped_folder, weights_sha256
    from zoo.weights import ModelError

    elsewhere = config.device == "cuda" and config.ray not in (None, "local")  # a GPU of the cluster, not one of here
    device: Literal["cpu", "cuda"] = "cuda" if elsewhere or choose_device(config.device).type == "cuda" else "cpu"
    size = config.restore if config.restore != "auto" else "full" if device == "cuda" else "fast"
    try:
        folders = {name: shipped_folder(name) for name in (artifacts_name(size), superres_name(size))}
        weights = {name: weights_sha256(folder) for name, folder in folders.items()} | weights
        for folder in folders.values():
            load_restoration(folder)  # damage is told here, in one line, and not by the first worker that loads it
    except (ModelError, OSError) as error:
        raise BuildError(f"--restore {size}: {error}") from None
    return replace(config, restore=size, device=device), json.dumps(weights)


def restored_here(config: BuildConfig) -> BuildConfig:
    """Return the options with a device that is here, for the few photos that the page shows again."""
    if config.restore == "off" or config.device != "cuda" or config.ray in (None, "local"):
        return config
    from celebahq.device import choose_device

    return replace(config, device="cuda" if choose_device("auto").type == "cuda" else "cpu")


def _detector_weights(config: BuildConfig) -> dict[str, str]:
    networks = shipped_networks(config.detector) if config.landmarks is None else []
    if not networks:
        return {}
    from zoo.detector import checked_sha256, detector_folder
    from zoo.folder import ModelError

    try:
        return {name: checked_sha256(detector_folder(name)) for name in networks}
    except ModelError as error:
        raise BuildError(f"--detector {config.detector}: {error}") from None
