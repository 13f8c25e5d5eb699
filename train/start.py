"""From the options to a run that stands where it begins or goes on: its folder, plan, device, networks and data."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from celebahq_builder.hdf5 import Dataset, open_dataset
from train.config import TrainConfig
from train.cost import Cost
from train.data import RealFaces
from train.device import use_device
from train.initial import Initial, growth_of_checkpoint, read_initial, start_of
from train.plan import Plan, make_plan, with_augmentation
from train.report import LOG
from train.run_folder import dataset_facts, lock_run_folder, resume, run_of_the_same_faces, write_options
from train.setup import check_minibatches, choose_precision, make_networks
from train.state import RunFacts, RunState
from train.timing import time_first_levels


@dataclass(frozen=True)
class Run:
    """What a run is, where it stands, and what it trains on."""

    facts: RunFacts
    plan: Plan
    state: RunState
    dataset: Dataset
    data: RealFaces
    cost: Cost
    initial: Initial | None
    """The networks that a new run starts from, if any."""
    resumed: bool


@contextlib.contextmanager
def started(config: TrainConfig, given: frozenset[str] | None) -> Iterator[Run]:
    """Open the data, lock the run folder, and give the run that stands in it; see train.loop.train."""
    with open_dataset(config.dataset) as dataset:
        fingerprint = dataset_facts(dataset)
        if other := run_of_the_same_faces(config, fingerprint):
            LOG.info("%s holds the faces of %s, which goes on; give --name for a new run", config.dataset, other)
            config = replace(config, name=other.name)
        with lock_run_folder(config.run_folder, LOG.info):
            yield _start(config, dataset, fingerprint, given)


def _start(config: TrainConfig, dataset: Dataset, fingerprint: dict[str, Any], given: frozenset[str] | None) -> Run:
    # Run folder: a new one, or the place where it stopped. Plan, device, precision.
    resumed = resume(config.run_folder, config, fingerprint, LOG.info, given)
    config, saved, initial = resumed.config, resumed.state, None
    if config.init and not saved:
        initial = read_initial(config.init)
        config = start_of(config, initial, given)
    first = initial.architecture.resolution if initial else 4
    plan = make_plan(config, dataset, first, growth_of_checkpoint(saved) if saved else None)
    config = with_augmentation(config, len(dataset), plan)
    write_options(config.run_folder, config, resumed.history)
    device = use_device(config.device)
    precision = choose_precision(config.precision, device, saved["precision"] if saved else None, config.run_folder)
    named = _device_name(device)
    facts = RunFacts(config, precision, named, fingerprint, resumed.history, plan.growth, dataset.label_names)

    # Networks and everything that lives on the device.
    nets = make_networks(
        config,
        resolution=plan.resolution,
        image_channels=dataset.read(4, [0]).shape[1],
        label_size=0 if dataset.labels is None else dataset.labels.shape[1],
        device=device,
        precision=precision,
        initial=initial,
        state=saved,
    )
    architecture = nets.generator.config
    check_minibatches(config, plan.growth["first_resolution"], plan.resolution, architecture)
    resident_bytes = round(config.resident_gib * 2**30)
    data = RealFaces(dataset, device, config.seed, resident_bytes, config.variant == "paper")
    state = RunState.of(nets, config, plan.growth, saved)
    cost = Cost(config, architecture, plan)
    if state.nimg < plan.total_kimg * 1000:
        time_first_levels(cost, config, architecture, precision, device)
    return Run(facts, plan, state, dataset, data, cost, initial, saved is not None)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"
