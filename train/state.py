"""Everything that a run carries from iteration to iteration, gathered into a checkpoint and put back."""

from pathlib import Path
from typing import Any

import torch

from train.checkpoint import CheckpointError, DamagedCheckpointError
from train.config import TrainConfig
from train.optimizer import Adam
from train.step import STATISTICS, Networks
from zoo.architecture import ProGANConfig
from zoo.progan import Discriminator, Generator

NETWORKS = ("generator", "discriminator", "g_ema")


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


def make_adams(nets: Networks, config: TrainConfig, resolution: int) -> tuple[Adam, Adam]:
    """Return fresh optimizers of (generator, discriminator) for the parameters up to a resolution."""
    betas = {"beta1": config.beta1, "beta2": config.beta2, "epsilon": config.epsilon}
    return (
        Adam(nets.g_flat.prefix(resolution), **betas),
        Adam(nets.d_flat.prefix(resolution), **betas),
    )


def gather(nets: Networks, adams: tuple[Adam, Adam], statistics: torch.Tensor) -> dict[str, Any]:
    """Return networks, optimizers and the sums of the unfinished tick, as tensors on the CPU."""
    state: dict[str, Any] = {
        "statistics": statistics.cpu().clone(),
        "g_adam": adams[0].state_dict(),
        "d_adam": adams[1].state_dict(),
    }
    for name in NETWORKS:
        tensors = getattr(nets, name).state_dict()
        # Contiguous copies: the networks' own tensors are views that would each save the whole vector.
        state[name] = {key: value.cpu().contiguous().clone() for key, value in tensors.items()}
    return state


def restore(state: dict[str, Any], nets: Networks, config: TrainConfig, statistics: torch.Tensor) -> tuple[Adam, Adam]:
    """Put a checkpoint back, in place, and return the optimizers with their history.

    Raises:
        CheckpointError: it is of other networks.
    """
    try:
        for name in NETWORKS:
            getattr(nets, name).load_state_dict(state[name], strict=True)
        statistics.copy_(_with_squared_scores(state["statistics"]))
        count = len(state["g_adam"]["mean"])
        resolution = next(r for r in nets.g_flat.resolutions if len(nets.g_flat.prefix(r)) == count)
        adams = make_adams(nets, config, resolution)
        adams[0].load_state_dict(state["g_adam"])
        adams[1].load_state_dict(state["d_adam"])
    except (KeyError, TypeError, AttributeError, RuntimeError, StopIteration) as error:
        reason = " ".join(str(error).split())[:160] or "optimizer of another resolution"
        raise CheckpointError(
            f"checkpoints/checkpoint-{state['nimg'] / 1000:010.3f}.pt: does not fit this run's networks ({reason}); "
            "delete it to resume from the one before"
        ) from None
    return adams


def _with_squared_scores(sums: torch.Tensor) -> torch.Tensor:
    """Return a tick's sums so far as STATISTICS has them; checkpoints of before 2026-11-28 have no squared scores.

    Their square is then that of the mean score: exact where the tick had just begun, else the least that it can be.
    """
    if len(sums) != len(STATISTICS) - 1:
        return sums
    iterations = sums[STATISTICS.index("iterations")].clamp(min=1)
    return torch.cat([sums, (sums[STATISTICS.index("real_score")].square() / iterations)[None]])
