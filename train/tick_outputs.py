"""What a tick shows beside its line of the log, pictures and metrics, in as much memory as there is."""

import numpy as np
import torch

from train.memory import OutOfMemoryError
from train.metrics.in_training import TrainingMetrics, keep_row
from train.pictures import grid_shape, paint, save_grid
from train.publish import publish
from train.report import Report
from train.saving import Position, RunFacts
from train.schedule import Growth
from train.stepper import Stepper


def draw_grid(
    facts: RunFacts,
    stepper: Stepper,
    latents: torch.Tensor,
    labels: torch.Tensor | None,
    growth: Growth,
    nimg: int,
    report: Report,
) -> None:
    """Write fakes-<kimg>.png; where memory runs out, fewer images at once, and no picture rather than no run."""
    resolution = stepper.nets.generator.config.resolution
    found: list[np.ndarray] = []
    for batch in (32, 8, 1):
        work = lambda batch=batch: found.append(  # noqa: E731
            paint(stepper.nets.g_ema, latents, labels, growth.resolution, growth.alpha, batch)
        )
        if stepper.try_twice(work, f"the grid of {len(latents)} images"):
            path = facts.config.run_folder / f"fakes-{nimg / 1000:010.3f}.png"
            save_grid(path, found[-1], grid_shape(resolution)[0], resolution)
            report.grid(path, nimg)
            return
    report.say(f"no grid at {nimg / 1000:g} kimg: no memory for one image beside training; --image-ticks 0 draws none")


def measure(
    facts: RunFacts, stepper: Stepper, metrics: TrainingMetrics, growth: Growth, position: Position, report: Report
) -> None:
    """Measure the averaged generator, and keep it where it is the best so far.

    Raises:
        OutOfMemoryError: even with no level of the file held in the device's memory.
    """
    nets, rows = stepper.nets, []
    work = lambda: rows.extend(metrics.measure(nets.g_ema, position.nimg, growth.resolution))  # noqa: E731
    with report.paused():
        done = stepper.try_twice(work, f"{metrics.num_images} images of --metrics")
    if not done:
        raise OutOfMemoryError(f"--metrics: got no memory for {metrics.num_images} images beside training")
    for row in rows:
        report.metric(row)
        if row["best"]:
            where = (growth.resolution, growth.alpha, position.nimg, facts.dataset, facts.machine(position))
            name = f"model-best-{row['metric']}"
            best = publish(facts.config, nets.g_ema, None, *where, name, label_names=facts.label_names)
            keep_row(best, row, facts.config, facts.dataset)
