"""What a run says before it starts, when it has ended, and where memory runs out."""

import shlex

from train.config import TrainError
from train.cost import duration, levels_text
from train.memory import OutOfMemoryError
from train.minibatch import minibatch_size
from train.plan import SMALL
from train.report.report import Report
from train.schedule import published_resolution
from train.start import Run
from train.state.initial import told_of
from train.state.publish import example_label, is_published
from train.state.saving import save_run
from train.stepper import Stepper

FEW_FACES = 500
"""Below this a discriminator learns the faces by heart within minutes."""

TOO_LONG = 3 * 86400
"""Seconds of training, above which a run on a CPU is told of a shorter one."""


def headlines(run: Run) -> list[str]:
    """Return what a run says before it starts."""
    facts, plan, nimg, faces = run.facts, run.plan, run.state.nimg, len(run.dataset)
    size = f"{plan.resolution}x{plan.resolution}"
    lines = [
        f"{facts.config.run_folder}: {'resumes' if nimg else 'starts'} at {nimg / 1000:g} kimg",
        f"{faces} faces up to {size}, {plan.total_kimg:g} kimg, {facts.device}, {_precision(run)}",
    ]
    if seconds := run.cost.seconds_left(nimg):
        lines.append(f"about {duration(seconds)}{' more' if nimg else ''}: {levels_text(run.cost, nimg)}")
        if seconds > TOO_LONG and facts.device.startswith("CPU") and facts.config.preset != "smoke":
            lines.append("that is long for a CPU; --preset smoke shows everything at work, 4x4 to 32x32, in minutes")
    if facts.config.augments:
        lines.append(
            f"augment {facts.config.augment}: what the discriminator sees is transformed, reals and fakes alike"
            + (f" (fewer than {SMALL:,} faces; --augment none turns it off)" if faces < SMALL else "")
        )
    if faces < FEW_FACES:
        lines.append(
            f"{faces} faces are few: below some hundreds a generator learns the faces themselves; "
            "python -m train.metrics --metrics neighbours shows how near its images come to them"
        )
    if run.initial:
        lines.append(told_of(facts.config, run.initial))
    return lines


def _precision(run: Run) -> str:
    """Return what a run computes in and, where that was left to the program, why."""
    facts = run.facts
    if facts.config.precision != "auto":
        return facts.precision
    if run.resumed:
        return f"{facts.precision} as it began"
    machine = "processor" if facts.device.startswith("CPU") else "GPU"
    if facts.precision == "bf16":
        return f"bf16, which this {machine} multiplies (--precision fp32 for float32)"
    return f"{facts.precision}, for this {machine} does not multiply bf16"


def show_result(run: Run, report: Report) -> None:
    """Say what the finished run published and what to type next; publish it again if it is no longer there."""
    folder, growth = run.facts.config.run_folder, run.state.growth
    ranks = run.facts.ranks
    again = ranks.any(ranks.first and not is_published(folder / "model"))
    if again:
        save_run(run.facts, run.state)
    published = published_resolution(growth.resolution, growth.alpha)
    if growth.alpha < 1:
        report.info(
            f"the run ends while {growth.resolution}x{growth.resolution} fades in: what is published is "
            f"{published}x{published}; a longer --total-kimg completes it"
        )
    generate_command = f"python -m export images --model {shlex.quote(str(folder))}{example_label(run.dataset)}"
    report.info(f"done: {folder / 'model'}{' (written again)' if again else ''}; {generate_command}")


def out_of_memory(error: OutOfMemoryError, run: Run, stepper: Stepper) -> TrainError:
    """Save where the networks stand between two iterations, and return the line with what needs less memory."""
    config, state, ranks = run.facts.config, run.state, run.facts.ranks
    r, saved = state.growth.resolution, ""
    # Alone only: other ranks are in the middle of an iteration.
    if ranks.count == 1 and stepper.intact and state.optimizers is not None:
        save_run(run.facts, state)
        saved = f", saved at {state.nimg / 1000:g} kimg"
    if str(error).startswith("--metrics"):
        remedy = f"--metrics-images {max(2, config.metrics_images // 4)}"
    else:
        size = minibatch_size(config, r)
        remedy = config.minibatch_flag(r, max(1, size // 2))
        group, share = run.state.nets.generator.config.stddev_group_size, -(-size // ranks.count)
        if ranks.count > 1 and group and share % (2 * group) == 0:
            remedy = f"--max-batch-per-gpu {share // 2}"
    if config.resident_gib:
        remedy += " --resident-gib 0"
    return TrainError(f"{config.run_folder}: {error}{saved}; the same command with {remedy} resumes")
