"""train(): the loop, top to bottom."""

import shlex
import time
from dataclasses import replace
from typing import Any

import torch

from celebahq_builder.hdf5 import Dataset, open_dataset
from train.config import TrainConfig, TrainError
from train.cost import Cost, duration, levels_text
from train.data import RealFaces
from train.device import use_device
from train.initial import growth_of_checkpoint, read_initial, start_of, told_of
from train.memory import OutOfMemoryError
from train.metrics.in_training import training_metrics
from train.plan import SMALL, Plan, make_plan, with_augmentation
from train.publish import example_label, grid_latents, is_published, save_reals
from train.report import LOG, Report
from train.run_folder import dataset_facts, lock_run_folder, resume, run_of_the_same_faces, write_options
from train.run_page import RunPage, hardware
from train.saving import Position, RunFacts, check_means, means_of, save_run
from train.schedule import Growth, at_resolution, growth_at, published_resolution
from train.setup import check_minibatches, choose_precision, make_networks
from train.stepper import Stepper
from train.stop_signals import StopSignals
from train.stopwatch import Stopwatch
from train.tick_outputs import draw_grid, measure
from train.timing import time_first_levels

FEW_FACES = 500
"""Below this a discriminator learns the faces by heart within minutes."""

TOO_LONG = 3 * 86400
"""Seconds of training, above which a run on a CPU is told of a shorter one."""


def train(config: TrainConfig, given: frozenset[str] | None = None) -> bool:
    """Train, or go on training; see TrainConfig.

    Args:
        config: the options, defaults included.
        given: the options that somebody gave; a resumed run keeps the others as it has them. None: all of them.

    Returns:
        True when total_kimg is reached, False when a signal stopped it after a checkpoint.

    Raises:
        TrainError, CheckpointError, DatasetError: one line for the user.
    """
    with open_dataset(config.dataset) as dataset:
        fingerprint = dataset_facts(dataset)
        if other := run_of_the_same_faces(config, fingerprint):
            LOG.info("%s holds the faces of %s, which goes on; give --name for a new run", config.dataset, other)
            config = replace(config, name=other.name)
        with lock_run_folder(config.run_folder, LOG.info):
            return _train(config, dataset, fingerprint, given)


def _train(config: TrainConfig, dataset: Dataset, fingerprint: dict[str, Any], given: frozenset[str] | None) -> bool:
    # Run folder: a new one, or the place where it stopped. Plan, device, precision.
    resumed = resume(config.run_folder, config, fingerprint, LOG.info, given)
    config, state, initial = resumed.config, resumed.state, None
    folder = config.run_folder
    if config.init and not state:
        initial = read_initial(config.init)
        config = start_of(config, initial, given)
    first = initial.architecture.resolution if initial else 4
    plan = make_plan(config, dataset, first, growth_of_checkpoint(state) if state else None)
    config = with_augmentation(config, len(dataset), plan)
    write_options(folder, config, resumed.history)
    device = use_device(config.device)
    precision = choose_precision(config.precision, device, state["precision"] if state else None, folder)
    facts = RunFacts(
        config, precision, _device_name(device), fingerprint, resumed.history, plan.growth, dataset.label_names
    )

    # Networks and everything that lives on the device.
    nets = make_networks(
        config,
        resolution=plan.resolution,
        image_channels=dataset.read(4, [0]).shape[1],
        label_size=0 if dataset.labels is None else dataset.labels.shape[1],
        device=device,
        precision=precision,
        initial=initial,
        state=state,
    )
    check_minibatches(config, plan.growth["first_resolution"], plan.resolution, nets.generator.config)
    resident_bytes = round(config.resident_gib * 2**30)
    data = RealFaces(dataset, device, config.seed, resident_bytes, config.variant == "paper")
    position = Position.of(state)
    watch = Stopwatch(position.seconds)
    cost = Cost(config, nets.generator.config, plan)
    if position.nimg < plan.total_kimg * 1000:
        time_first_levels(cost, config, nets.generator.config, precision, device)
    with Report(folder, position.nimg, plan.total_kimg) as report, StopSignals(report.say) as stopped:
        stepper = Stepper(nets, config, data, device, report.say, state)
        for line in _headlines(facts, plan, dataset, position, cost):
            report.say(line)
        if initial:
            report.say(told_of(config, initial))
        if position.nimg >= plan.total_kimg * 1000:
            _show_result(report, facts, stepper, position, plan, dataset)
            return True
        latents, labels = grid_latents(config, dataset, plan.resolution, device)
        if not state:
            save_reals(folder, dataset, plan.resolution)
        metrics = training_metrics(config, dataset, device, report.measured) if config.metrics else None
        page = RunPage(folder, hardware(facts.device, facts.precision))
        watch.start(position.nimg)
        saved = time.monotonic()

        while True:
            # One iteration.
            growth = growth_at(position.nimg, **plan.growth)
            try:
                size, rate = stepper.advance(position.nimg, growth)
            except OutOfMemoryError as error:
                raise _out_of_memory(error, facts, stepper, position, growth) from None
            position.nimg += size
            report.moved(position.nimg, growth.resolution, growth.alpha)

            # Tick: log, pictures, metrics.
            done, stop = (
                position.nimg >= plan.total_kimg * 1000,
                bool(stopped),
            )  # asked once: a signal may come any time
            tick_kimg = at_resolution(config.tick_kimg_at, growth.resolution, config.tick_kimg)
            ticked = position.nimg - position.tick_start >= tick_kimg * 1000 or done
            grows = not done and growth_at(position.nimg, **plan.growth).resolution > growth.resolution
            if ticked or stop or grows:
                means = means_of(stepper.statistics.tolist())  # waits for the device
                sec_per_kimg = watch.stop(position.nimg)
                position.seconds = watch.seconds
            if ticked:
                row = {"kimg": position.nimg / 1000, "resolution": growth.resolution, "alpha": growth.alpha,
                       "minibatch": size, "learning_rate": rate, **means, "sec_per_kimg": round(sec_per_kimg, 4),
                       "seconds": round(position.seconds, 3)}  # fmt: skip
                if stepper.ada is not None:
                    row["augment_p"] = round(float(stepper.ada[0]), 4)
                if growth_at(watch.began_at, **plan.growth).resolution == growth.resolution:
                    cost.measured(growth.resolution, sec_per_kimg)
                report.tick(row, cost.seconds_left(position.nimg))
                check_means(config, stepper, means)
                stepper.statistics.zero_()
                shown = position.nimg - position.tick_start
                position.tick, position.tick_start = position.tick + 1, position.nimg
                if config.image_ticks and (position.tick % config.image_ticks == 0 or done):
                    draw_grid(facts, stepper, latents, labels, growth, position.nimg, report)
                if metrics and metrics.due(position.nimg, shown, growth.resolution, growth.alpha, done):
                    try:
                        measure(facts, stepper, metrics, growth, position, report)
                    except OutOfMemoryError as error:
                        raise _out_of_memory(error, facts, stepper, position, growth) from None
            due = (
                position.tick % config.checkpoint_ticks == 0
                or time.monotonic() - saved > config.checkpoint_minutes * 60
            )
            if stop or done or grows or (ticked and due):
                save_run(facts, stepper, position, growth)
                saved = time.monotonic()
            if ticked or stop:
                page.update(final=done or stop)
            if done:
                _show_result(report, facts, stepper, position, plan, dataset)
                return True
            if stop:
                report.say(f"stopped at {position.nimg / 1000:g} kimg; run the same command again to resume")
                return False
            if ticked or grows:
                watch.start(position.nimg)


def _headlines(facts: RunFacts, plan: Plan, dataset: Dataset, position: Position, cost: Cost) -> list[str]:
    """Return what a run says before it starts."""
    size = f"{plan.resolution}x{plan.resolution}"
    lines = [
        f"{facts.config.run_folder}: {'resumes' if position.nimg else 'starts'} at {position.nimg / 1000:g} kimg",
        f"{len(dataset)} faces up to {size}, {plan.total_kimg:g} kimg, {facts.device}, {facts.precision}",
    ]
    if seconds := cost.seconds_left(position.nimg):
        lines.append(f"about {duration(seconds)}{' more' if position.nimg else ''}: {levels_text(cost, position.nimg)}")
        if seconds > TOO_LONG and facts.device.startswith("CPU") and facts.config.preset != "smoke":
            lines.append("that is long for a CPU; --preset smoke shows everything at work, 4x4 to 32x32, in minutes")
    if facts.config.augments:
        lines.append(
            f"augment {facts.config.augment}: what the discriminator sees is transformed, reals and fakes alike"
            + (f" (fewer than {SMALL:,} faces; --augment none turns it off)" if len(dataset) < SMALL else "")
        )
    if len(dataset) < FEW_FACES:
        lines.append(
            f"{len(dataset)} faces are few: below some hundreds a generator learns the faces themselves; "
            "python -m train.metrics --metrics neighbours shows how near its images come to them"
        )
    return lines


def _show_result(
    report: Report, facts: RunFacts, stepper: Stepper, position: Position, plan: Plan, dataset: Dataset
) -> None:
    """Say what the finished run published and what to type next; publish it again if it is no longer there."""
    folder, growth = facts.config.run_folder, growth_at(position.nimg, **plan.growth)
    again = not is_published(folder / "model")
    if again:
        save_run(facts, stepper, position, growth)
    published = published_resolution(growth.resolution, growth.alpha)
    if growth.alpha < 1:
        report.say(
            f"the run ends while {growth.resolution}x{growth.resolution} fades in: what is published is "
            f"{published}x{published}; a longer --total-kimg completes it"
        )
    paint_command = f"python -m export images --model {shlex.quote(str(folder))}{example_label(dataset)}"
    report.say(f"done: {folder / 'model'}{' (written again)' if again else ''}; {paint_command}")


def _out_of_memory(
    error: OutOfMemoryError, facts: RunFacts, stepper: Stepper, position: Position, growth: Growth
) -> TrainError:
    """Save where the networks stand between two iterations, and return the line with what needs less memory."""
    config, r = facts.config, growth.resolution
    saved = ""
    if stepper.intact and stepper.adams is not None:
        save_run(facts, stepper, position, growth)
        saved = f", saved at {position.nimg / 1000:g} kimg"
    if str(error).startswith("--metrics"):
        remedy = f"--metrics-images {max(2, config.metrics_images // 4)}"
    else:
        size = int(at_resolution(config.minibatch_at, r, config.minibatch))
        remedy = config.minibatch_flag(r, max(1, size // 2))
    if config.resident_gib:
        remedy += " --resident-gib 0"
    return TrainError(f"{config.run_folder}: {error}{saved}; the same command with {remedy} resumes")


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"
