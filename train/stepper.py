"""One iteration after the other: optimizers that start afresh with each stage, one recorded step a shape, memory."""

from collections.abc import Callable
from typing import Any

import torch

from train.capture import Iteration
from train.config import TrainConfig
from train.data import RealFaces
from train.memory import OutOfMemoryError, is_out_of_memory, release
from train.optimizer import Adam
from train.power_ema import PowerAverages
from train.randomness import draw_noise
from train.schedule import Growth, at_resolution, learning_rate_at
from train.setup import step_settings
from train.state import make_adams, restore
from train.step import STATISTICS, Networks


class Stepper:
    """Shows minibatches to the networks.

    Args:
        nets: the networks, on their device.
        config: the options of the run.
        data: where minibatches come from.
        device: of the networks.
        say: prints a line.
        state: the checkpoint to go on from, if any: fills networks and optimizers.
    """

    def __init__(
        self,
        nets: Networks,
        config: TrainConfig,
        data: RealFaces,
        device: torch.device,
        say: Callable[[str], None],
        state: dict[str, Any] | None = None,
    ) -> None:
        self.nets, self.config, self.data, self.device, self._say = nets, config, data, device, say
        self.alpha = torch.ones((), device=device)
        self.statistics = torch.zeros(len(STATISTICS), device=device)
        self.ada = torch.zeros(2, device=device) if config.augment == "ada" else None
        """Of the adaptive augmentation: its probability, and the running mean of its heuristic."""
        if self.ada is not None and state and "ada" in state:
            self.ada.copy_(state["ada"])
        self.stage = state["stage"] if state else -1
        self.adams = restore(state, nets, config, self.statistics) if state else None
        self.power: PowerAverages | None = None
        """Power-law averages since the resolution came in; see train.ema."""
        if state and self.adams and "power_ema" in state:
            self.power = PowerAverages.restored(state["power_ema"], nets.g_flat.vector)
        self._random = torch.Generator(device)
        self._shape: tuple[int, int] | None = None
        self._iteration: Iteration | None = None

    def advance(self, nimg: int, growth: Growth) -> tuple[int, float]:
        """Show the minibatch of images nimg, nimg + 1, ...; return how many they were, and the learning rate.

        Raises:
            OutOfMemoryError: even with no level of the file held in the device's memory.
        """
        config, resolution = self.config, growth.resolution
        size = int(at_resolution(config.minibatch_at, resolution, config.minibatch))
        self._enter(growth, size)
        self.alpha.fill_(growth.alpha)
        base = at_resolution(config.learning_rate_at, resolution, config.learning_rate)
        rate = learning_rate_at(nimg, base=base, rampup_kimg=config.rampup_kimg)
        assert self.adams is not None, "made by _enter"
        g_adam, d_adam = self.adams
        alone = nimg < (config.discriminator_kimg or 0) * 1000  # a generator's rate of 0 leaves it as it is
        g_adam.learning_rate.fill_(0.0 if alone else rate)
        d_adam.learning_rate.fill_(rate)
        if not self.try_twice(lambda: self._show(nimg, resolution, size), f"minibatches of {size}"):
            raise OutOfMemoryError(f"{resolution}x{resolution}: got no memory for minibatches of {size}")
        if self.power is None or len(self.power.current) != len(self.adams[0].vector):
            self.power = PowerAverages(self.adams[0].vector, nimg)
        self.power.update(nimg + size, size)
        return size, rate

    def try_twice(self, work: Callable[[], None], what: str) -> bool:
        """Do something; where memory runs out, once more without the level that is held in it. Whether it was done."""
        for _ in range(2):
            failed = False
            try:
                work()
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                failed = True
            if not failed:
                return True
            release(self.device)
            if not self.intact or not self.data.release_resident():
                return False
            self._say(f"memory ran out at {what}: the faces are read from the file from here on, not held in memory")
            release(self.device)
        return False

    @property
    def optimizers(self) -> tuple[Adam, Adam]:
        """Those of G and D; there are none before the first iteration."""
        assert self.adams is not None, "of a run that has begun"
        return self.adams

    @property
    def resolution(self) -> int | None:
        """The resolution of the last iteration; None before the first."""
        return self._shape[0] if self._shape else None

    @property
    def intact(self) -> bool:
        """Whether networks and optimizers stand between two iterations; not where memory ran out within one."""
        return self._iteration is None or self._iteration.intact

    def _enter(self, growth: Growth, size: int) -> None:
        """Growth: at both ends of a fade the optimizers forget; a new resolution gets new ones."""
        if growth.stage != self.stage:
            if self.adams is None or len(self.adams[0].vector) != len(self.nets.g_flat.prefix(growth.resolution)):
                self.adams = make_adams(self.nets, self.config, growth.resolution)
            for adam in self.adams:
                adam.reset()
            self.stage = growth.stage
        if self._shape != (growth.resolution, size):
            self._shape, self._iteration = (growth.resolution, size), None  # frees the graph of the shape before
            captured = self.config.capture and self.device.type == "cuda"
            assert self.adams is not None, "made at the first stage"
            settings = step_settings(self.config)
            self._iteration = Iteration(
                self.nets, self.adams, self.alpha, self.statistics, settings, captured, self.ada
            )

    def _show(self, nimg: int, resolution: int, size: int) -> None:
        batch = self.data.batch(resolution, nimg, size)
        config = self.config
        assert self._iteration is not None, "made by _enter"
        self._iteration(batch, draw_noise(self._random, config.seed, nimg, size, config.latent_size, config.augments))
