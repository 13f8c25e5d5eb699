"""What a run saves as it goes: the published model and the checkpoint, never of networks that have diverged."""

import math

import torch

from train.config import TrainConfig, TrainError
from train.state.checkpoint import checkpoints, save_checkpoint
from train.state.publish import save_model_folder
from train.state.run_state import RunFacts, RunState
from train.step import STATISTICS


def save_run(facts: RunFacts, state: RunState) -> None:
    """Write model/ and a checkpoint: called by all ranks, done by the first.

    The model comes first: once the last checkpoint is there, the run counts as done.

    Raises:
        TrainError: the networks are not finite; what was saved before is left as it is.
        CheckpointError, ModelError: no room on the disk.
    """
    statistics = facts.ranks.gather(state.statistics)
    refuse_divergence(facts.config, state, statistics)
    if not facts.ranks.first:
        return
    save_model_folder(facts, state)
    folder = facts.config.run_folder / "checkpoints"
    save_checkpoint(folder, state.nimg, state.checkpoint(facts, statistics), facts.config.keep_checkpoints)


def refuse_divergence(config: TrainConfig, state: RunState, statistics: torch.Tensor) -> None:
    """Raise TrainError where a weight or a sum of the current tick (of any rank) is not finite."""
    nets = state.nets
    vectors = (nets.g_flat.vector, nets.d_flat.vector, nets.ema_flat.vector, statistics)
    if not all(bool(torch.isfinite(vector).all()) for vector in vectors):
        raise TrainError(diverged(config, state))


def check_means(config: TrainConfig, state: RunState, means: dict[str, float]) -> None:
    """Raise TrainError where a tick's means are not finite, or none of its updates was."""
    skipped_all = max(means["d_overflow"], means["g_overflow"]) == 1 and means["iterations"] > 10
    if skipped_all or not all(map(math.isfinite, means.values())):
        raise TrainError(diverged(config, state))


def diverged(config: TrainConfig, state: RunState) -> str:
    """Return the line that says so, with the option that helps."""
    table = dict(config.learning_rate_at)
    resolution = state.growth.resolution
    if resolution in table:
        pairs = sorted({**table, resolution: table[resolution] / 2}.items())
        lower = "--learning-rate-at " + " ".join(f"{r} {value:g}" for r, value in pairs)
    else:
        lower = f"--learning-rate {config.learning_rate / 2:g}"
    saved = checkpoints(config.run_folder / "checkpoints")
    on = f"{saved[-1].name} is kept, the same command with {lower} goes on from it" if saved else (
        f"the same command with {lower} begins again"
    )  # fmt: skip
    return f"{config.run_folder}: training has diverged (its losses or weights are no longer finite); {on}"


def means_of(sums: list[float]) -> dict[str, float]:
    """Return a tick's means by name, and how many iterations they are of."""
    named = dict(zip(STATISTICS, sums, strict=True))
    iterations = max(named.pop("iterations"), 1.0)
    return {**{name: value / iterations for name, value in named.items()}, "iterations": iterations}
