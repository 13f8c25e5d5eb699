"""train(): the loop, top to bottom."""

import time
from collections.abc import Callable
from typing import Any

from train.config import TrainConfig
from train.distributed import joined
from train.memory import OutOfMemoryError
from train.report.messages import headlines, out_of_memory, show_result
from train.report.report import Report, report_of
from train.report.run_page import RunPage, hardware
from train.report.tick_outputs import TickOutputs
from train.schedule import at_resolution, growth_at
from train.start import Run, started
from train.state.result import TrainResult, train_result
from train.state.saving import check_means, means_of, save_run
from train.stepper import Stepper
from train.stop_signals import StopSignals


def train(config: TrainConfig, given: frozenset[str] | None = None) -> TrainResult:
    """Train, or go on training; see TrainConfig.

    Args:
        config: the options, defaults included.
        given: the options that somebody gave; a resumed run keeps the others as it has them. None: all of them.

    Returns:
        The run as it is now: finished where total_kimg is reached, else a signal stopped it after a checkpoint.

    Raises:
        TrainError, CheckpointError, DatasetError: one line for the user.
    """
    with (
        joined() as ranks,
        started(config, given, ranks) as run,
        report_of(ranks, run.facts.config, run.state.nimg, run.plan.total_kimg) as report,
        StopSignals(report.info) as stopped,
    ):
        stepper = Stepper(run.state, run.facts.config, run.data, report.info, ranks)
        for line in headlines(run):
            report.info(line)
        try:
            finished = _loop(run, stepper, report, ranks.agreement(lambda: bool(stopped)))
        except OutOfMemoryError as error:
            raise out_of_memory(error, run, stepper) from None
        if finished:
            show_result(run, report)
        else:
            report.info(f"stopped at {run.state.nimg / 1000:g} kimg; run the same command again to resume")
        return train_result(run, finished)


def _loop(run: Run, stepper: Stepper, report: Report, stopped: Callable[[bool], bool]) -> bool:
    """Train until the run is done (True) or a signal has stopped it (False); what is shown by then is saved."""
    config, plan, state, ranks = run.facts.config, run.plan, run.state, run.facts.ranks
    done, stop = state.nimg >= plan.total_kimg * 1000, False
    if done:
        return True
    outputs = TickOutputs(run, stepper, report)
    page = RunPage(config.run_folder, hardware(run.facts.device, run.facts.precision))
    watch, saved = Stopwatch(state.seconds), time.monotonic()
    watch.start(state.nimg)

    while not (done or stop):
        # Grow.
        growth = growth_at(state.nimg, **plan.growth)

        # Step.
        size, rate = stepper.advance(growth)
        report.update(state.nimg, growth.resolution, growth.alpha)

        # What this moment is, on all ranks alike; a signal is asked for once: it may come any time.
        done = state.nimg >= plan.total_kimg * 1000
        tick_kimg = at_resolution(config.tick_kimg_at, growth.resolution, config.tick_kimg)
        ticked = state.nimg - state.tick_start >= tick_kimg * 1000 or done
        grows = not done and growth_at(state.nimg, **plan.growth).resolution > growth.resolution
        stop = stopped(ticked or grows)
        if not (ticked or stop or grows):
            continue
        means = means_of(ranks.add_up(state.statistics.clone()).tolist())  # waits for the device
        sec_per_kimg = watch.stop(state.nimg)
        state.seconds = watch.seconds

        if ticked:
            # Log.
            ranks.check_equal(state.tensors())
            if growth_at(watch.began_at, **plan.growth).resolution == growth.resolution:
                run.cost.update(growth.resolution, sec_per_kimg)
            row = _row(run, {"minibatch": size, "learning_rate": rate, **means}, sec_per_kimg)
            report.tick(row, run.cost.seconds_left(state.nimg))
            check_means(config, state, means)
            state.statistics.zero_()
            shown, state.tick_start = state.nimg - state.tick_start, state.nimg
            state.tick += 1

            # Images, metrics.
            outputs.images(done)
            outputs.metrics(shown, done)

        # Checkpoint.
        late = ticked and ranks.any(time.monotonic() - saved > config.checkpoint_minutes * 60)
        if stop or done or grows or late or (ticked and state.tick % config.checkpoint_ticks == 0):
            save_run(run.facts, state)
            saved = time.monotonic()
        if ranks.first and (ticked or stop):
            page.update(final=done or stop)
        if ticked or grows:
            watch.start(state.nimg)
    return done


def _row(run: Run, tick: dict[str, Any], sec_per_kimg: float) -> dict[str, Any]:
    """Return a tick's row of the log."""
    state = run.state
    where = {"kimg": state.nimg / 1000, "resolution": state.growth.resolution, "alpha": state.growth.alpha}
    times = {"sec_per_kimg": round(sec_per_kimg, 4), "seconds": round(state.seconds, 3)}
    augment = {} if state.ada is None else {"augment_p": round(float(state.ada[0]), 4)}
    return where | tick | times | augment


class Stopwatch:
    """Seconds of training, over all processes of a run: stopped for images, metrics and checkpoints.

    Args:
        seconds: of the processes before.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.began_at = 0
        """Images shown when it was last started."""

    def start(self, nimg: int) -> None:
        self.began_at, self._since = nimg, time.monotonic()

    def stop(self, nimg: int) -> float:
        """Add what has passed to seconds, and return the seconds a thousand images since the start."""
        elapsed = time.monotonic() - self._since
        self.seconds += elapsed
        return elapsed / max(nimg - self.began_at, 1) * 1000
