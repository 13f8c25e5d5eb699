"""train(): the loop, top to bottom."""

import signal
import time

import torch

from celebahq_builder.hdf5 import open_dataset
from train.capture import Iteration
from train.checkpoint import save_checkpoint
from train.config import TrainConfig, TrainError
from train.data import RealFaces
from train.initial import with_initial_sizes
from train.metrics.in_training import keep_row, training_metrics
from train.pictures import grid_shape, paint, save_grid
from train.plan import make_plan
from train.publish import grid_latents, publish, save_reals
from train.randomness import draw_noise
from train.report import Report
from train.run_folder import dataset_facts, enter, resume_point
from train.schedule import at_resolution, growth_at, learning_rate_at
from train.setup import choose_device, choose_precision, make_networks, step_settings
from train.state import gather, make_adams, restore
from train.step import STATISTICS


def train(config: TrainConfig) -> bool:
    """Train, or go on training; see TrainConfig.

    Returns:
        True when total_kimg is reached, False when a signal stopped it after a checkpoint.

    Raises:
        TrainError, CheckpointError, DatasetError: one line for the user.
    """
    # Data, device, precision.
    config = with_initial_sizes(config)
    dataset = open_dataset(config.dataset)
    plan = make_plan(config, dataset)
    resolution, total_kimg = plan.resolution, plan.total_kimg
    device = choose_device(config.device)
    precision = choose_precision(config.precision, device)
    machine = {"device": _device_name(device), "precision": precision}

    # Run folder: a new one, or the place where it stopped.
    lock = enter(config.run_folder)
    facts = dataset_facts(dataset)
    state = resume_point(config.run_folder, config, facts, precision)
    nimg = state["nimg"] if state else 0

    # Networks and everything that lives on the device.
    label_size = 0 if dataset.labels is None else dataset.labels.shape[1]
    nets = make_networks(
        config,
        resolution=resolution,
        image_channels=dataset.read(4, [0]).shape[1],
        label_size=label_size,
        device=device,
        precision=precision,
    )
    alpha = torch.ones((), device=device)
    statistics = torch.zeros(len(STATISTICS), device=device)
    generator = torch.Generator(device)
    data = RealFaces(dataset, device, config.seed, round(config.resident_gib * 2**30))
    stage, adams, iteration, entered = -1, None, None, None
    tick, tick_start, watch = 0, nimg, _Stopwatch()
    if state:
        stage, tick, tick_start, watch.seconds = state["stage"], state["tick"], state["tick_start"], state["seconds"]
        adams = restore(state, nets, config, statistics)

    with Report(config.run_folder, nimg, total_kimg) as report, _Signals() as stopped:
        report.say(f"{config.run_folder}: {'resumes' if state else 'starts'} at {nimg / 1000:g} kimg")
        report.say(
            f"{len(dataset)} faces up to {resolution}x{resolution}, {total_kimg:g} kimg, "
            f"{machine['device']}, {precision}"
        )
        if nimg >= total_kimg * 1000:
            report.say(f"already done: {config.run_folder / 'model'}; raise --total-kimg to go on")
            return True
        latents, labels = grid_latents(config, dataset, resolution, device)
        if not state:
            save_reals(config.run_folder, dataset, resolution)
        metrics = training_metrics(config, dataset, device, report.measured) if config.metrics else None
        watch.start(nimg)
        saved = time.monotonic()

        while True:
            # Growth: at both ends of a fade the optimizers forget; a new resolution gets new ones.
            growth = growth_at(nimg, **plan.growth)
            size = at_resolution(config.minibatch_at, growth.resolution, config.minibatch)
            if growth.stage != stage:
                if adams is None or len(adams[0].vector) != len(nets.g_flat.prefix(growth.resolution)):
                    adams = make_adams(nets, config, growth.resolution)
                for adam in adams:
                    adam.reset()
                stage = growth.stage
            if entered != (growth.resolution, size):
                entered, iteration = (growth.resolution, size), None  # frees the graph of the resolution before
                captured = config.capture and device.type == "cuda"
                iteration = Iteration(nets, adams, alpha, statistics, step_settings(config), captured)

            # One iteration.
            alpha.fill_(growth.alpha)
            rate = learning_rate_at(
                nimg,
                base=at_resolution(config.learning_rate_at, growth.resolution, config.learning_rate),
                rampup_kimg=config.rampup_kimg,
            )
            for adam in adams:
                adam.learning_rate.fill_(rate)
            try:
                iteration(
                    data.batch(growth.resolution, nimg, size),
                    draw_noise(generator, config.seed, nimg, size, config.latent_size),
                )
            except torch.OutOfMemoryError:
                raise TrainError(
                    f"--minibatch-at {growth.resolution} {size}: more than the GPU's memory holds; "
                    f"run the same command with {config.minibatch_flag(growth.resolution, max(1, size // 2))} to resume"
                ) from None
            nimg += size
            report.moved(nimg, growth.resolution, growth.alpha)

            # Tick: log, pictures, checkpoint.
            done, stop = nimg >= total_kimg * 1000, bool(stopped)  # asked once: a signal may come at any line
            tick_kimg = at_resolution(config.tick_kimg_at, growth.resolution, config.tick_kimg)
            ticked = nimg - tick_start >= tick_kimg * 1000 or done
            if ticked or stop:
                values = statistics.tolist()  # waits for the device, once a tick
                sec_per_kimg = watch.stop(nimg)
            if ticked:
                row = {
                    "kimg": nimg / 1000,
                    "resolution": growth.resolution,
                    "alpha": growth.alpha,
                    "minibatch": size,
                    "learning_rate": rate,
                    **_means(values),
                    "sec_per_kimg": round(sec_per_kimg, 4),
                    "seconds": round(watch.seconds, 3),
                }
                report.tick(row)
                statistics.zero_()
                tick, tick_start, shown = tick + 1, nimg, nimg - tick_start
                if max(row["d_overflow"], row["g_overflow"]) == 1 and row["iterations"] > 10:
                    raise TrainError(
                        f"{config.run_folder}: every update of the last {row['iterations']:.0f} was not finite; "
                        "training has diverged, a lower --learning-rate is wanted"
                    )
                if config.image_ticks and (tick % config.image_ticks == 0 or done):
                    fakes = paint(nets.g_ema, latents, labels, growth.resolution, growth.alpha)
                    columns = grid_shape(resolution)[0]
                    save_grid(config.run_folder / f"fakes-{nimg / 1000:010.3f}.png", fakes, columns, resolution)
                if metrics and metrics.due(nimg, shown, growth.resolution, growth.alpha, done):
                    for row in metrics.measure(nets.g_ema, nimg, growth.resolution):
                        report.metric(row)
                        if row["best"]:
                            name = f"model-best-{row['metric']}"
                            where = (growth.resolution, growth.alpha, nimg)
                            best = publish(config, nets.g_ema, *where, facts, machine | watch.spent(), name)
                            keep_row(best, row, config, facts)
            due = tick % config.checkpoint_ticks == 0 or time.monotonic() - saved > config.checkpoint_minutes * 60
            if stop or done or (ticked and due):
                # The model first: once the last checkpoint is there, the run counts as done.
                publish(config, nets.g_ema, growth.resolution, growth.alpha, nimg, facts, machine | watch.spent())
                position = {"stage": stage, "tick": tick, "tick_start": tick_start, "seconds": watch.seconds}
                save_checkpoint(
                    config.run_folder / "checkpoints",
                    nimg,
                    {
                        "config": config.to_dict(),
                        "precision": precision,
                        "dataset": facts,
                        **position,
                        **gather(nets, adams, statistics),
                    },
                    config.keep_checkpoints,
                )
                saved = time.monotonic()
            if stop and not done:
                report.say(f"stopped at {nimg / 1000:g} kimg; run the same command again to resume")
                return False
            if done:
                report.say(f"done: {config.run_folder / 'model'}; python -m export images --model {config.run_folder}")
                break
            if ticked:
                watch.start(nimg)
    dataset.close()
    lock.close()
    return True


def _means(sums: list[float]) -> dict[str, float]:
    """Return the tick's means by name, and how many iterations they are of."""
    named = dict(zip(STATISTICS, sums, strict=True))
    iterations = max(named.pop("iterations"), 1.0)
    return {**{name: value / iterations for name, value in named.items()}, "iterations": iterations}


class _Stopwatch:
    """Seconds of training over all processes of a run; pictures and checkpoints do not count."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def start(self, nimg: int) -> None:
        self._nimg, self._since = nimg, time.monotonic()

    def stop(self, nimg: int) -> float:
        """Add what has passed to seconds, and return the seconds a thousand images since the start."""
        elapsed = time.monotonic() - self._since
        self.seconds += elapsed
        return elapsed / max(nimg - self._nimg, 1) * 1000

    def spent(self) -> dict[str, float]:
        """Return the seconds, to be published."""
        return {"seconds": round(self.seconds, 1)}


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"


class _Signals:
    """True once Ctrl-C or SIGTERM asked to stop; the loop then finishes its iteration and saves."""

    def __enter__(self) -> "_Signals":
        self._asked = False
        self._before = {s: signal.signal(s, self._ask) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exc_info: object) -> None:
        for which, handler in self._before.items():
            signal.signal(which, handler)

    def __bool__(self) -> bool:
        return self._asked

    def _ask(self, signum: int, frame: object) -> None:
        self._asked = True
