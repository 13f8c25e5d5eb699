"""What a run is, and everything that it carries from iteration to iteration: its checkpoint, and back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from train.config import TrainConfig
from train.distributed import ALONE, Ranks
from train.optimizer import FusedAdam
from train.parameters import FlatParameters
from train.power_ema import PowerAverages
from train.schedule import Growth, growth_at
from train.state.checkpoint import CheckpointError, DamagedCheckpointError
from train.step import STATISTICS
from train.step_inputs import Networks
from zoo.architecture import ProGANConfig
from zoo.progan import Discriminator, Generator

NETWORKS = ("generator", "discriminator", "g_ema")


@dataclass(frozen=True)
class RunFacts:
    """What a run is, and stays: options, precision, device, dataset, history of the options, and the arguments of
    growth_at."""

    config: TrainConfig
    precision: str
    device: str
    dataset: dict[str, Any]
    history: list[dict[str, Any]]
    growth: dict[str, Any]
    label_names: tuple[str, ...] | None = None
    """Of the classes or attributes, where the dataset names them."""
    ranks: Ranks = ALONE
    """This process among those of torchrun."""

    def machine(self, seconds: float) -> dict[str, Any]:
        """Return what is published of how it was trained."""
        told = {"device": self.device, "precision": self.precision, "seconds": round(seconds, 1)}
        return told | ({"history": self.history} if self.history else {})


@dataclass
class RunState:
    """All that changes while a run trains; a checkpoint holds these fields under their names, and RunFacts.

    nimg: images shown. tick, tick_start: ticks done, and nimg at the last one's end. seconds: of training. stage: of
    growth, for which the optimizers were reset. growth: of the last iteration. statistics: (len(STATISTICS),) sums of
    the unfinished tick. optimizers: of (generator, discriminator); None before the first iteration. ada: (2,) of the
    adaptive augmentation. d_average: () of the noise in D's layers. power: averages since the resolution came in, see
    train.ema.
    """

    nets: Networks
    growth: Growth
    statistics: torch.Tensor
    ada: torch.Tensor | None = None
    d_average: torch.Tensor | None = None
    optimizers: tuple[FusedAdam, FusedAdam] | None = None
    power: PowerAverages | None = None
    nimg: int = 0
    tick: int = 0
    tick_start: int = 0
    seconds: float = 0.0
    stage: int = -1

    @classmethod
    def of(
        cls,
        nets: Networks,
        config: TrainConfig,
        growth: dict[str, Any],
        saved: dict[str, Any] | None = None,
        ranks: Ranks = ALONE,
    ) -> "RunState":
        """Return the state of a run that begins, or put a checkpoint back into its networks.

        Args:
            nets: the networks, on their device.
            config: the options of the run.
            growth: the arguments of growth_at.
            saved: the checkpoint.
            ranks: of the run; the sums of an unfinished tick are each rank's own where there are as many as before.
        """
        device = nets.g_flat.vector.device
        state = cls(nets, growth_at(0, **growth), torch.zeros(len(STATISTICS), device=device))
        if config.augment == "ada":
            state.ada = torch.zeros(2, device=device)
        if config.noisy_layers:
            state.d_average = torch.zeros((), device=device)
        if saved is None:
            return state
        state.optimizers = load_training_state(saved, nets, config, state.statistics)
        own = saved.get("statistics_of_ranks")
        if own is not None and len(own) == ranks.count:
            state.statistics.copy_(own[ranks.rank])
        elif not ranks.first:  # the first goes on from the sum
            state.statistics.zero_()
        state.nimg, state.tick, state.tick_start = saved["nimg"], saved["tick"], saved["tick_start"]
        state.seconds, state.stage = saved["seconds"], saved["stage"]
        state.growth = growth_at(state.nimg, **growth)
        if state.ada is not None and "ada" in saved:
            state.ada.copy_(saved["ada"])
        if state.d_average is not None and "d_average" in saved:
            state.d_average.copy_(saved["d_average"])
        if "power_ema" in saved:
            state.power = PowerAverages.restored(_spread(saved["power_ema"], nets.g_flat), nets.g_flat.vector)
        return state

    def tensors(self) -> list[torch.Tensor]:
        """Return those that all ranks must hold alike."""
        flat = [self.nets.g_flat.vector, self.nets.d_flat.vector, self.nets.ema_flat.vector]
        moments = [x for adam in self.optimizers or () for x in (adam.mean, adam.mean_square)]
        return flat + moments + [x for x in (self.ada, self.d_average) if x is not None]

    def checkpoint(self, facts: RunFacts, statistics: torch.Tensor) -> dict[str, Any]:
        """Return what a checkpoint holds: tensors on the CPU and plain types.

        Args:
            facts: what the run is.
            statistics: (ranks, len(STATISTICS)), the sums of the unfinished tick on each.
        """
        return {
            "config": facts.config.to_dict(),
            "architecture": self.nets.generator.config.to_dict(),
            "precision": facts.precision,
            "dataset": facts.dataset,
            "history": facts.history,
            "growth": facts.growth,
            "nimg": self.nimg,
            "stage": self.stage,
            "tick": self.tick,
            "tick_start": self.tick_start,
            "seconds": self.seconds,
            **({} if self.ada is None else {"ada": self.ada.cpu().clone()}),
            **({} if self.d_average is None else {"d_average": self.d_average.cpu().clone()}),
            **({} if self.power is None else {"power_ema": _dense(self.power.state_dict(), self.nets.g_flat)}),
            **({} if len(statistics) == 1 else {"statistics_of_ranks": statistics.cpu()}),
            **training_state(self.nets, self.active_optimizers, statistics.sum(0)),
        }

    @property
    def active_optimizers(self) -> tuple[FusedAdam, FusedAdam]:
        """Those of G and D; there are none before the first iteration."""
        assert self.optimizers is not None, "of a run that has begun"
        return self.optimizers


def check_networks(path: Path, state: dict[str, Any]) -> None:
    """Raise DamagedCheckpointError unless the networks of a checkpoint are those of its own architecture.

    One that says nothing of its architecture is compared when it is restored.
    """
    if "architecture" not in state:
        return
    try:
        architecture = ProGANConfig.from_dict(state["architecture"])
        for name in NETWORKS:
            with torch.device("meta"):
                network = (Discriminator if name == "discriminator" else Generator)(architecture)
            network.load_state_dict(state[name], strict=True, assign=True)
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise DamagedCheckpointError(f"{path}: does not fit its own networks ({reason})") from None


def make_optimizers(nets: Networks, config: TrainConfig, resolution: int) -> tuple[FusedAdam, FusedAdam]:
    """Return fresh optimizers of (generator, discriminator) for the parameters up to a resolution."""
    betas = {"beta1": config.beta1, "beta2": config.beta2, "epsilon": config.epsilon}
    return (
        FusedAdam(nets.g_flat.prefix(resolution), **betas),
        FusedAdam(nets.d_flat.prefix(resolution), **betas),
    )


def training_state(nets: Networks, optimizers: tuple[FusedAdam, FusedAdam], statistics: torch.Tensor) -> dict[str, Any]:
    """Return networks, optimizers and the sums of the unfinished tick, as tensors on the CPU."""
    state: dict[str, Any] = {
        "statistics": statistics.cpu().clone(),
        "g_adam": _dense(optimizers[0].state_dict(), nets.g_flat),
        "d_adam": _dense(optimizers[1].state_dict(), nets.d_flat),
    }
    for name in NETWORKS:
        tensors = getattr(nets, name).state_dict()
        # Contiguous copies: the networks' own tensors are views that would each save the whole vector.
        state[name] = {key: value.cpu().contiguous().clone() for key, value in tensors.items()}
    return state


def load_training_state(
    state: dict[str, Any], nets: Networks, config: TrainConfig, statistics: torch.Tensor
) -> tuple[FusedAdam, FusedAdam]:
    """Put a checkpoint back, in place, and return the optimizers with their history.

    Raises:
        CheckpointError: it is of other networks.
    """
    try:
        for name in NETWORKS:
            getattr(nets, name).load_state_dict(state[name], strict=True)
        statistics.copy_(_with_squared_scores(state["statistics"]))
        optimizers = make_optimizers(nets, config, nets.g_flat.resolution_of(state["g_adam"]["mean"]))
        optimizers[0].load_state_dict(_spread(state["g_adam"], nets.g_flat))
        optimizers[1].load_state_dict(_spread(state["d_adam"], nets.d_flat))
    except (KeyError, TypeError, AttributeError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:160] or "optimizer of another resolution"
        raise CheckpointError(
            f"checkpoints/checkpoint-{state['nimg'] / 1000:010.3f}.pt: does not fit this run's networks ({reason}); "
            "delete it to resume from the one before"
        ) from None
    return optimizers


def _with_squared_scores(sums: torch.Tensor) -> torch.Tensor:
    """Return a tick's sums so far as STATISTICS has them; checkpoints of before 2026-11-28 have no squared scores.

    Their square is then that of the mean score: exact where the tick had just begun, else the least that it can be.
    """
    if len(sums) != len(STATISTICS) - 1:
        return sums
    iterations = sums[STATISTICS.index("iterations")].clamp(min=1)
    return torch.cat([sums, (sums[STATISTICS.index("real_score")].square() / iterations)[None]])


def _dense(state: dict[str, Any], flat: FlatParameters) -> dict[str, Any]:
    """Return a state whose vectors are laid out like a network's parameters as files hold it."""
    return {name: flat.dense(x) if isinstance(x, torch.Tensor) and x.ndim else x for name, x in state.items()}


def _spread(state: dict[str, Any], flat: FlatParameters) -> dict[str, Any]:
    """Return the inverse of _dense."""
    return {name: flat.spread(x) if isinstance(x, torch.Tensor) and x.ndim else x for name, x in state.items()}
