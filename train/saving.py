"""What a run saves as it goes: the published model and the checkpoint, never of networks that have diverged."""

import math
from dataclasses import dataclass
from typing import Any

import torch

from train.checkpoint import checkpoints, save_checkpoint
from train.config import TrainConfig, TrainError
from train.publish import publish
from train.schedule import Growth
from train.state import gather
from train.step import STATISTICS
from train.stepper import Stepper


@dataclass
class Position:
    """Where a run stands between two iterations: images shown, ticks, seconds of training."""

    nimg: int = 0
    tick: int = 0
    tick_start: int = 0
    seconds: float = 0.0

    @classmethod
    def of(cls, state: dict[str, Any] | None) -> "Position":
        """Return that of a checkpoint; None is the start."""
        return cls(*(state[name] for name in ("nimg", "tick", "tick_start", "seconds"))) if state else cls()


@dataclass(frozen=True)
class RunFacts:
    """What is saved beside the weights: options, precision, device, data set, history of the options, and the arguments
    of growth_at."""

    config: TrainConfig
    precision: str
    device: str
    dataset: dict[str, Any]
    history: list[dict[str, Any]]
    growth: dict[str, Any]
    label_names: tuple[str, ...] | None = None
    """Of the classes or attributes, where the data set names them."""

    def machine(self, position: Position) -> dict[str, Any]:
        """Return what is published of how it was trained."""
        told = {"device": self.device, "precision": self.precision, "seconds": round(position.seconds, 1)}
        return told | ({"history": self.history} if self.history else {})


def save_run(facts: RunFacts, stepper: Stepper, position: Position, growth: Growth) -> None:
    """Write model/ and a checkpoint. The model first: once the last checkpoint is there, the run counts as done.

    Raises:
        TrainError: the networks are not finite; what was saved before is left as it is.
        CheckpointError, ModelError: no room on the disk.
    """
    refuse_divergence(facts.config, stepper)
    machine, nets = facts.machine(position), stepper.nets
    where = (growth.resolution, growth.alpha, position.nimg, facts.dataset, machine)
    publish(facts.config, nets.g_ema, nets.discriminator, *where, label_names=facts.label_names)
    state = {
        "config": facts.config.to_dict(),
        "architecture": nets.generator.config.to_dict(),
        "precision": facts.precision,
        "dataset": facts.dataset,
        "history": facts.history,
        "growth": facts.growth,
        "stage": stepper.stage,
        "tick": position.tick,
        "tick_start": position.tick_start,
        "seconds": position.seconds,
        **({} if stepper.ada is None else {"ada": stepper.ada.cpu().clone()}),
        **({} if stepper.power is None else {"power_ema": stepper.power.state_dict()}),
        **gather(nets, stepper.optimizers, stepper.statistics),
    }
    save_checkpoint(facts.config.run_folder / "checkpoints", position.nimg, state, facts.config.keep_checkpoints)


def refuse_divergence(config: TrainConfig, stepper: Stepper) -> None:
    """Raise TrainError where a weight or a sum of the current tick is not finite."""
    nets = stepper.nets
    vectors = (nets.g_flat.vector, nets.d_flat.vector, nets.ema_flat.vector, stepper.statistics)
    if not all(bool(torch.isfinite(vector).all()) for vector in vectors):
        raise TrainError(diverged(config, stepper))


def check_means(config: TrainConfig, stepper: Stepper, means: dict[str, float]) -> None:
    """Raise TrainError where a tick's means are not finite, or none of its updates was."""
    skipped_all = max(means["d_overflow"], means["g_overflow"]) == 1 and means["iterations"] > 10
    if skipped_all or not all(map(math.isfinite, means.values())):
        raise TrainError(diverged(config, stepper))


def diverged(config: TrainConfig, stepper: Stepper) -> str:
    """Return the line that says so, with the option that helps."""
    table = dict(config.learning_rate_at)
    resolution = stepper.resolution
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
