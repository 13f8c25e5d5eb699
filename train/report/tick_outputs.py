"""What a tick shows beside its line of the log, images and metrics, in as much memory as there is."""

from typing import Any

import numpy as np

from train.memory import OutOfMemoryError
from train.metrics.in_training import keep_row, training_metrics
from train.report.images import generate, grid_shape, save_grid
from train.report.report import Report
from train.start import Run
from train.state.publish import grid_latents, save_model_folder, save_reals
from train.stepper import Stepper


class TickOutputs:
    """Draw grids (the first rank) and measure (all of them), of a run's averaged generator.

    Args:
        run: the run; a new one's reals.png is written.
        stepper: what knows how to free memory.
        report: where results are told.
    """

    def __init__(self, run: Run, stepper: Stepper, report: Report) -> None:
        self.run, self.stepper, self.report = run, stepper, report
        config, dataset, resolution = run.facts.config, run.dataset, run.plan.resolution
        self._latents, self._labels = grid_latents(config, dataset, resolution, stepper.device)
        if not run.resumed and run.facts.ranks.first:
            save_reals(config.run_folder, dataset, resolution)
            report.grid(config.run_folder / "reals.png", 0, "reals")
        measured = report.measured
        self._metrics = (
            training_metrics(config, dataset, stepper.device, measured, run.facts.ranks) if config.metrics else None
        )

    def images(self, done: bool) -> None:
        """Write fakes-<kimg>.png where this tick has one.

        Where memory runs out: fewer images at once, and no image rather than no run.
        """
        config, state = self.run.facts.config, self.run.state
        wanted = config.image_ticks and (state.tick % config.image_ticks == 0 or done)
        if not wanted or not self.run.facts.ranks.first:
            return
        growth, resolution = state.growth, self.run.plan.resolution
        found: list[np.ndarray] = []
        for batch in (32, 8, 1):
            work = lambda batch=batch: found.append(  # noqa: E731
                generate(state.nets.g_ema, self._latents, self._labels, growth.resolution, growth.alpha, batch)
            )
            if self.stepper.try_twice(work, f"the grid of {len(self._latents)} images"):
                path = config.run_folder / f"fakes-{state.nimg / 1000:010.3f}.png"
                save_grid(path, found[-1], grid_shape(resolution)[0], resolution)
                self.report.grid(path, state.nimg)
                return
        self.report.info(
            f"no grid at {state.nimg / 1000:g} kimg: no memory for one image beside training; "
            "--image-ticks 0 draws none"
        )

    def metrics(self, shown: int, done: bool) -> None:
        """Measure the averaged generator where --metrics-kimg says so, and keep it where it is the best so far; called
        by all ranks.

        Args:
            shown: images since the last tick.
            done: whether the run ends here.

        Raises:
            OutOfMemoryError: even with no level of the file held in the device's memory.
        """
        facts, state, metrics = self.run.facts, self.run.state, self._metrics
        growth = state.growth
        if not metrics or not metrics.due(state.nimg, shown, growth.resolution, growth.alpha, done):
            return
        rows: list[dict[str, Any]] = []
        work = lambda: rows.extend(metrics.measure(state.nets.g_ema, state.nimg, growth.resolution))  # noqa: E731
        with self.report.paused():
            measured = self.stepper.try_twice(work, f"{metrics.num_images} images of --metrics", facts.ranks.count == 1)
        if not measured:
            raise OutOfMemoryError(f"--metrics: got no memory for {metrics.num_images} images beside training")
        for row in rows if facts.ranks.first else ():
            self.report.metric(row)
            if row["best"]:
                best = save_model_folder(facts, state, f"model-best-{row['metric']}", with_discriminator=False)
                keep_row(best, row, facts.config, facts.dataset)
