"""Time whole iterations (both networks, penalty, Adam, moving average) of networks that are made for it and dropped."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from train.capture import GraphedStep
from train.config import TrainConfig
from train.cost import Cost
from train.kernels import use_fused_kernels
from train.lazy_penalty import Turns
from train.memory import is_out_of_memory, release
from train.randomness import Noise, draw_noise
from train.reference_step import ReferenceStep
from train.setup import networks_of, step_settings
from train.state.run_state import make_optimizers
from train.step import STATISTICS
from train.step_inputs import Batch
from zoo.architecture import ProGANConfig

PROBE_SECONDS = 2.0
"""Time spent on the first levels before a run; one whose iteration would take longer is not tried."""


class TimedStep:
    """Iterations at one resolution on random images.

    Args:
        config: options of the step.
        architecture: of the networks, up to this resolution.
        size: images a minibatch.
        precision: fp32, tf32 or bf16.
        captured: as one CUDA graph.
        device: where.
        fading: whether the newest block fades in.
        reference: the step of train.reference_step instead of ours.
    """

    def __init__(
        self,
        config: TrainConfig,
        architecture: ProGANConfig,
        size: int,
        precision: str,
        captured: bool,
        device: torch.device,
        fading: bool = True,
        reference: bool = False,
    ) -> None:
        size *= config.n_critic
        self._device, self._size, self._shown = device, size, 0
        self._latent_size, self._labels = architecture.latent_size, architecture.label_size
        fused = not reference and use_fused_kernels(config.kernels, device)
        nets = networks_of(architecture, seed=0, device=device, precision=precision, fused=fused)
        optimizers = make_optimizers(nets, config, architecture.resolution)
        for adam in optimizers:
            adam.learning_rate.fill_(1e-3)
        self._ada = torch.zeros(2, device=device) if config.augment == "ada" else None
        self._augmented = config.augments
        self._channels = architecture.noise_channels if config.noisy_layers else 0
        d_average = torch.zeros((), device=device) if config.noisy_layers else None
        statistics = torch.zeros(len(STATISTICS), device=device)
        fading = fading and architecture.resolution > 4
        alpha = torch.full((), 0.5, device=device) if fading else 1.0
        self._at: Callable[[int], Callable[[Batch, Noise], Any]]
        if reference:
            step = ReferenceStep(config, nets.generator, nets.discriminator, architecture.resolution)
            self._at = lambda count: lambda batch, noise: step(batch, noise, 0.5 if fading else 1.0)
        else:
            fixed = (self._ada, None, d_average)
            self._at = Turns(
                lambda settings: GraphedStep(nets, optimizers, alpha, statistics, settings, captured, *fixed),
                step_settings(config),
            ).at
        self._random = torch.Generator(device)
        shape = (size, architecture.image_channels, architecture.resolution, architecture.resolution)
        self._reals = torch.randint(0, 256, shape, dtype=torch.uint8, device=device, generator=self._random)
        self._label = torch.zeros(size, self._labels, device=device) if self._labels else None

    def seconds(self, count: int) -> float:
        """Return the mean time of the next `count` iterations."""
        _wait(self._device)
        began = time.perf_counter()
        for _ in range(count):
            sizes = (self._size, self._latent_size, self._augmented, self._channels)
            noise = draw_noise(self._random, 0, self._shown, *sizes)
            self._at(self._shown)(Batch(self._reals, self._label, self._label), noise)
            self._shown += 1
        _wait(self._device)
        return (time.perf_counter() - began) / count

    def sec_per_kimg(self, seconds: float) -> float:
        """Return the median of three measurements, a third of the time each, after a warm-up."""
        self.seconds(3)  # cuDNN's choice of algorithms, the capture
        count = max(1, min(200, round(seconds / 3 / max(self.seconds(2), 1e-5))))
        return statistics.median(self.seconds(count) for _ in range(3)) / self._size * 1000


def time_first_levels(
    cost: Cost, config: TrainConfig, architecture: ProGANConfig, precision: str, device: torch.device, ranks: int = 1
) -> None:
    """Give `cost` one timed iteration of each of the first levels, as many as take a second or two.

    Never captured: what a graph saves shows at the first tick, and nothing that may fail belongs before a run.
    """
    began = time.perf_counter()
    for resolution in cost.resolutions:
        share = -(-cost.minibatch[resolution] // ranks)  # what the ranks say to each other is not in it
        seconds = _time_one(config, architecture.at(resolution), share, precision, device)
        if seconds is None:  # said in earnest when the run itself has no memory
            break
        cost.estimated(resolution, seconds / cost.minibatch[resolution] / config.n_critic * 1000)
        tried = 1 + 2 * config.penalty_interval
        if time.perf_counter() - began + 4 * tried * seconds > PROBE_SECONDS:  # the next takes up to four times as long
            break
    release(device)


def _time_one(
    config: TrainConfig, architecture: ProGANConfig, size: int, precision: str, device: torch.device
) -> float | None:
    """Return the seconds of one iteration after a first that does not count; None where memory runs out."""
    try:
        step = TimedStep(config, architecture, size, precision, False, device)
        step.seconds(1)
        turns = config.penalty_interval
        return min(step.seconds(turns), step.seconds(turns))
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return None


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
