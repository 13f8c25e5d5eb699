"""From the options to a run that stands where it begins or goes on: its folder, plan, device, networks and data."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from celebahq_builder.hdf5 import Dataset, open_dataset
from train.config import TrainConfig, TrainError
from train.cost import Cost
from train.data import RealFaces
from train.device import use_device
from train.distributed import Ranks, share
from train.minibatch import check_minibatches
from train.plan import Plan, make_plan, with_augmentation
from train.report.report import LOG
from train.report.wandb_run import wandb_project
from train.setup import architecture_of, choose_precision, make_networks
from train.state.initial import Initial, growth_of_checkpoint, read_initial, start_of
from train.state.run_folder import dataset_fingerprint, resume, run_of_the_same_faces, write_options
from train.state.run_lock import lock_run_folder
from train.state.run_state import RunFacts, RunState
from train.timing import time_first_levels
from train.unused_options import check_given, check_given_for


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
def started(config: TrainConfig, given: frozenset[str] | None, ranks: Ranks) -> Iterator[Run]:
    """Open the data, lock the run folder, and give the run that stands in it; see train.loop.train.

    Of several ranks the first alone touches the folder, and tells the others what it found.
    """
    with open_dataset(config.dataset) as dataset:
        fingerprint = dataset_fingerprint(dataset)
        if ranks.from_first(lambda: fingerprint) != fingerprint:
            raise TrainError(f"{config.dataset}: got other data on rank {ranks.rank} than on rank 0, expected the same")
        if other := ranks.from_first(lambda: run_of_the_same_faces(config, fingerprint)):
            LOG.info("%s holds the faces of %s, which goes on; give --name for a new run", config.dataset, other)
            config = replace(config, name=other.name)
        with lock_run_folder(config.run_folder, LOG.info) if ranks.first else contextlib.nullcontext():
            yield _start(config, dataset, fingerprint, given, ranks)


def _start(
    config: TrainConfig, dataset: Dataset, fingerprint: dict[str, Any], given: frozenset[str] | None, ranks: Ranks
) -> Run:
    # Run folder: a new one, or the place where it stopped. Plan, device, precision.
    asked = config
    resumed = ranks.from_first(lambda: resume(asked.run_folder, asked, fingerprint, LOG.info, given))
    config, saved, initial = resumed.config, resumed.state, None
    if init := config.init if not saved else None:
        initial = ranks.from_first(lambda: read_initial(init))
        config = start_of(config, initial, given)
    first = initial.architecture.resolution if initial else 4
    plan = make_plan(config, dataset, first, growth_of_checkpoint(saved) if saved else None)
    config = with_augmentation(config, len(dataset), plan)
    check_given(config, plan, given)
    if not saved and not initial:
        architecture_of(config, plan.resolution)  # refuses what cannot be built
    if ranks.first:
        wandb_project(config.wandb)  # refuses where it cannot be shown
    device = use_device(asked.device, ranks)
    check_given_for(device, config, given)
    of_run = saved["precision"] if saved else None
    precision = choose_precision(config.precision, device, of_run, config.run_folder)
    if ranks.from_first(lambda: precision) != precision:
        found = f"--precision: got {precision} on rank {ranks.rank} and another on rank 0, expected the same"
        raise TrainError(f"{found}; where processors or GPUs differ, give --precision fp32")
    named, labels = _device_name(device, ranks), dataset.label_names
    facts = RunFacts(config, precision, named, fingerprint, resumed.history, plan.growth, labels, ranks)

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
    grown_to = [r for r in architecture.resolutions if r >= plan.growth["first_resolution"]]
    check_minibatches(config, grown_to, architecture, ranks)
    gib = config.resident_gib if config.resident_gib != "auto" or device.type == "cuda" else 16.0
    resident_bytes = None if gib == "auto" else round(gib * 2**30)
    contiguous = architecture.stddev_kind == "contiguous"
    mine = partial(share, index=ranks.rank, count=ranks.count, contiguous=contiguous)
    data = RealFaces(dataset, device, config.seed, resident_bytes, config.variant != "released", mine)
    state = RunState.of(nets, config, plan.growth, saved, ranks)
    ranks.check_equal(state.tensors())
    cost = Cost(config, architecture, plan)
    if state.nimg < plan.total_kimg * 1000:
        time_first_levels(cost, config, architecture, precision, device, ranks.count)
    if ranks.first:  # the last of all: what is refused leaves a run as it was
        write_options(config.run_folder, config, resumed.history)
    return Run(facts, plan, state, dataset, data, cost, initial, saved is not None)


def _device_name(device: torch.device, ranks: Ranks) -> str:
    if device.type == "cuda":
        return (f"{ranks.count} x " if ranks.count > 1 else "") + torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    processes = f"{ranks.count} processes of " if ranks.count > 1 else ""
    return f"CPU, {processes}{threads} thread{'s' if threads > 1 else ''}"
