"""One iteration after the other: optimizers that start afresh with each stage, one recorded step a shape, memory."""

from collections.abc import Callable

import torch

from train.capture import Iteration
from train.config import TrainConfig
from train.data import RealFaces
from train.memory import OutOfMemoryError, is_out_of_memory, release
from train.power_ema import PowerAverages
from train.randomness import draw_noise
from train.schedule import Growth, at_resolution, learning_rate_at
from train.setup import step_settings
from train.state import RunState, make_adams


class Stepper:
    """Shows minibatches to the networks of a run.

    Args:
        state: where the run stands; moved.
        config: the options of the run.
        data: where minibatches come from.
        say: prints a line.
    """

    def __init__(self, state: RunState, config: TrainConfig, data: RealFaces, say: Callable[[str], None]) -> None:
        self.state, self.config, self.data, self._say = state, config, data, say
        self.device = state.nets.g_flat.vector.device
        self.alpha = torch.ones((), device=self.device)
        self._random = torch.Generator(self.device)
        self._shape: tuple[int, int] | None = None
        self._iteration: Iteration | None = None

    def advance(self, growth: Growth) -> tuple[int, float]:
        """Show the next minibatch; return how many images it had, and the learning rate.

        Raises:
            OutOfMemoryError: even with no level of the file held in the device's memory.
        """
        state, config, resolution = self.state, self.config, growth.resolution
        size = int(at_resolution(config.minibatch_at, resolution, config.minibatch))
        state.growth = growth
        self._enter(growth, size)
        self.alpha.fill_(growth.alpha)
        base = at_resolution(config.learning_rate_at, resolution, config.learning_rate)
        rate = learning_rate_at(state.nimg, base=base, rampup_kimg=config.rampup_kimg)
        g_adam, d_adam = state.optimizers
        alone = state.nimg < (config.discriminator_kimg or 0) * 1000  # a generator's rate of 0 leaves it as it is
        g_adam.learning_rate.fill_(0.0 if alone else rate)
        d_adam.learning_rate.fill_(rate)
        if not self.try_twice(lambda: self._show(resolution, size), f"minibatches of {size}"):
            raise OutOfMemoryError(f"{resolution}x{resolution}: got no memory for minibatches of {size}")
        if state.power is None or len(state.power.current) != len(g_adam.vector):
            state.power = PowerAverages(g_adam.vector, state.nimg)
        state.nimg += size
        state.power.update(state.nimg, size)
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
    def intact(self) -> bool:
        """Whether networks and optimizers stand between two iterations; not where memory ran out within one."""
        return self._iteration is None or self._iteration.intact

    def _enter(self, growth: Growth, size: int) -> None:
        """Growth: at both ends of a fade the optimizers forget; a new resolution gets new ones."""
        state, config = self.state, self.config
        if growth.stage != state.stage:
            if state.adams is None or len(state.adams[0].vector) != len(state.nets.g_flat.prefix(growth.resolution)):
                state.adams = make_adams(state.nets, config, growth.resolution)
            for adam in state.adams:
                adam.reset()
            state.stage = growth.stage
        if self._shape != (growth.resolution, size):
            self._shape, self._iteration = (growth.resolution, size), None  # frees the graph of the shape before
            captured = config.capture and self.device.type == "cuda"
            self._iteration = Iteration(
                state.nets, state.optimizers, self.alpha, state.statistics, step_settings(config), captured, state.ada
            )

    def _show(self, resolution: int, size: int) -> None:
        config, nimg = self.config, self.state.nimg
        batch = self.data.batch(resolution, nimg, size)
        assert self._iteration is not None, "made by _enter"
        self._iteration(batch, draw_noise(self._random, config.seed, nimg, size, config.latent_size, config.augments))
