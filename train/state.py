"""Everything that a run carries from iteration to iteration, gathered into a checkpoint and put back."""

from typing import Any

import torch

from train.config import TrainConfig
from train.optimizer import Adam
from train.step import STATISTICS, Networks

NETWORKS = ("generator", "discriminator", "g_ema")


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
        ValueError: the optimizers' state fits no resolution of the networks.
    """
    for name in NETWORKS:
        getattr(nets, name).load_state_dict(state[name], strict=True)
    if len(state["statistics"]) != len(STATISTICS):
        raise ValueError(f"statistics: {len(state['statistics'])} entries, {len(STATISTICS)} are wanted")
    statistics.copy_(state["statistics"])
    for resolution in nets.g_flat.resolutions:
        if len(nets.g_flat.prefix(resolution)) == len(state["g_adam"]["mean"]):
            adams = make_adams(nets, config, resolution)
            break
    else:
        raise ValueError(f"g_adam: {len(state['g_adam']['mean'])} entries fit no resolution")
    adams[0].load_state_dict(state["g_adam"])
    adams[1].load_state_dict(state["d_adam"])
    return adams
