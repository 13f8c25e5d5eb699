"""What a run shows and gives away: the model folder, and the latents and reals of its images."""

import shlex
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from celebahq_builder.hdf5 import Dataset
from train.config import TrainConfig
from train.options import train_command
from train.report.images import grid_shape, save_grid
from train.schedule import published_resolution
from train.state.run_state import RunFacts, RunState
from zoo import weights
from zoo.folder import CONFIG_NAME, WEIGHTS_NAMES
from zoo.progan import Discriminator, Generator

Network = TypeVar("Network", Generator, Discriminator)


def save_model_folder(facts: RunFacts, state: RunState, name: str = "model", with_discriminator: bool = True) -> Path:
    """Write <run>/model, or another folder of the run: the averaged generator up to the last resolution fully in.

    While a block fades in, what is published ends one resolution below: the half-grown block is no face yet.

    Args:
        facts: what the run is; published with the weights.
        state: where it stands.
        name: of the folder.
        with_discriminator: publish it too, so that others can train on.
    """
    config, nets, folder = facts.config, state.nets, facts.config.run_folder / name
    resolution = published_resolution(state.growth.resolution, state.growth.alpha)
    if with_discriminator:
        weights.save(_up_to(nets.discriminator, resolution), folder)
    training = {"kimg": state.nimg / 1000, "preset": config.preset, "seed": config.seed, "mirror": config.mirror}
    if config.loss != "wgan-gp":
        training["loss"] = config.loss
    training |= {**facts.machine(state.seconds), "command": train_command(config)}
    names = {"label_names": list(facts.label_names)} if facts.label_names else {}
    weights.save(_up_to(nets.g_ema, resolution), folder, training=training, dataset=facts.dataset, **names)
    return folder


def _up_to(network: Network, resolution: int) -> Network:
    """Return a network that ends at a resolution, with the tensors of a larger one."""
    with torch.device("meta"):
        result = type(network)(network.config.at(resolution))
    tensors = network.state_dict()
    result.load_state_dict({key: tensors[key] for key in result.state_dict()}, assign=True)
    return result


def is_published(folder: Path) -> bool:
    """Whether a model folder has what it is published with."""
    return all((folder / name).is_file() for name in (CONFIG_NAME, WEIGHTS_NAMES["Generator"]))


def example_label(dataset: Dataset) -> str:
    """Return the option that a command that generates needs: of a class, or of the first row's attributes; or ""."""
    if dataset.labels is None:
        return ""
    first = np.asarray(dataset.labels[0])
    if np.isin(first, (0, 1)).all() and first.sum() == 1:
        index, names = int(first.argmax()), list(dataset.label_names or ())
        name = names[index] if index < len(names) else ""
        usable = name and not name.startswith("-") and names.count(name) == 1
        return f" --label {shlex.quote(name) if usable else index}"
    return " --label " + ",".join(f"{value:g}" for value in first)


def grid_latents(
    config: TrainConfig, dataset: Dataset, resolution: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return latents (N, latent_size) and labels of the grid: the same at every tick and on every resume.

    Where labels are classes, each row of the grid is of one class.
    """
    columns, rows = grid_shape(resolution)
    latents = np.random.RandomState(config.seed).randn(columns * rows, config.latent_size)
    labels = None
    if dataset.labels is not None:
        classes = classes_of_grid(dataset.labels, rows)
        if classes is None:
            chosen = dataset.labels[np.arange(columns * rows) % len(dataset)]
        else:
            chosen = np.eye(dataset.labels.shape[1], dtype=np.float32)[np.repeat(classes, columns)]
        labels = torch.from_numpy(np.ascontiguousarray(chosen)).to(device)
    return torch.from_numpy(latents.astype(np.float32)).to(device), labels


def classes_of_grid(labels: np.ndarray, rows: int) -> np.ndarray | None:
    """Return the class of each row of a grid, of those that the dataset has: evenly spread, or again where there are
    fewer than rows. None where labels, (N, L), are no classes.
    """
    one_hot = np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all()
    if not one_hot:
        return None
    present = np.unique(labels.argmax(axis=1))
    if len(present) <= rows:
        return present[np.arange(rows) % len(present)]
    return present[np.linspace(0, len(present) - 1, rows).round().astype(int)]


def save_reals(folder: Path, dataset: Dataset, resolution: int) -> None:
    """Write reals.png in the layout of the grids of fakes: rows spread evenly over the file, or over each class."""
    columns, rows = grid_shape(resolution)
    classes = None if dataset.labels is None else classes_of_grid(dataset.labels, rows)
    if dataset.labels is None or classes is None:
        indices = np.linspace(0, len(dataset) - 1, columns * rows).round().astype(int)
    else:
        of_class = [np.flatnonzero(dataset.labels[:, chosen]) for chosen in classes]
        spread = [found[np.linspace(0, len(found) - 1, columns).round().astype(int)] for found in of_class]
        indices = np.concatenate(spread)
    save_grid(folder / "reals.png", dataset.read(resolution, indices), columns, resolution)
