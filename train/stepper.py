"""One iteration after the other: optimizers that start afresh with each stage, one recorded step a shape, memory."""

from collections.abc import Callable

import torch

from train.capture import GraphedStep
from train.compiled import forget_shapes
from train.config import TrainConfig, TrainError
from train.data import RealFaces
from train.distributed import ALONE, Ranks, Split
from train.lazy_penalty import Turns
from train.memory import OutOfMemoryError, is_out_of_memory, release, room_beside_step
from train.minibatch import split_of
from train.power_ema import PowerAverages
from train.randomness import draw_noise
from train.schedule import Growth, at_resolution, learning_rate_at
from train.setup import step_settings
from train.state.run_state import RunState, make_optimizers


class Stepper:
    """Shows minibatches to the networks of a run.

    Args:
        state: where the run stands; updated.
        config: the options of the run.
        data: where minibatches come from.
        info: prints a line.
        ranks: of the run.
    """

    def __init__(
        self,
        state: RunState,
        config: TrainConfig,
        data: RealFaces,
        info: Callable[[str], None],
        ranks: Ranks = ALONE,
    ) -> None:
        self.state, self.config, self.data, self._info, self._ranks = state, config, data, info, ranks
        self.device = state.nets.g_flat.vector.device
        self.alpha = torch.ones((), device=self.device)
        self._random = torch.Generator(self.device)
        self._shape: tuple[int, Split, bool] | None = None
        self._held: tuple[int, Split, bool] | None = None
        """The shape after whose first step there was room for the data, or not."""
        self._too_few_parts: dict[int, int] = {}
        """By resolution, the parts of a minibatch for which memory was too small."""
        self._turns: Turns | None = None

    def advance(self, growth: Growth) -> tuple[int, float]:
        """Show the next minibatch; return how many images it had, and the learning rate.

        Raises:
            OutOfMemoryError: even with no level of the file held in the device's memory.
        """
        state, config, resolution = self.state, self.config, growth.resolution
        state.growth = growth
        size = self._enter(growth).total
        self.alpha.fill_(growth.alpha)
        base = at_resolution(config.learning_rate_at, resolution, config.learning_rate)
        rate = learning_rate_at(state.nimg, base=base, rampup_kimg=config.rampup_kimg)
        g_opt, d_opt = state.active_optimizers
        alone = state.nimg < (config.discriminator_kimg or 0) * 1000  # a generator's rate of 0 leaves it as it is
        g_opt.learning_rate.fill_(0.0 if alone else rate)
        d_opt.learning_rate.fill_(rate)
        while not self.try_twice(lambda: self._show(resolution), f"minibatches of {size}", self._ranks.count == 1):
            self._divide(growth)
        if state.power is None or len(state.power.current) != len(g_opt.vector):
            state.power = PowerAverages(g_opt.vector, state.nimg)
        state.nimg += size * config.n_critic
        state.power.update(state.nimg, size * config.n_critic)
        return size, rate

    def try_twice(self, work: Callable[[], None], what: str, again: bool = True) -> bool:
        """Do something; where memory runs out, once more without the level that is held in it. Whether it was done.

        Args:
            work: what to do.
            what: is short of memory, for the line that says so.
            again: whether to try again: not what the other ranks are in the middle of.
        """
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
            if not again or not self.intact or not self.data.release_resident():
                return False
            self._info(f"memory ran out at {what}: the faces are read from the file from here on, not held in memory")
            release(self.device)
        return False

    @property
    def intact(self) -> bool:
        """Whether networks and optimizers stand between two iterations; not where memory ran out within one."""
        return self._turns is None or self._turns.intact

    def _divide(self, growth: Growth) -> None:
        """Show minibatches of this resolution in more parts from here on.

        Raises:
            OutOfMemoryError: they cannot be, or other ranks wait in the middle of one.
        """
        assert self._shape is not None, "of an iteration that was tried"
        resolution, split, _ = self._shape
        short = OutOfMemoryError(f"{resolution}x{resolution}: got no memory for minibatches of {split.total}")
        if not self.intact or self._ranks.count > 1:
            raise short
        self._too_few_parts[resolution] = split.parts
        try:
            parts = self._enter(growth).parts
        except TrainError:
            raise short from None
        self._info(
            f"memory ran out at minibatches of {split.total}: at {resolution}x{resolution} they are shown in {parts} "
            f"parts from here on, as --max-batch-per-gpu {-(-split.total // parts)} does from the start"
        )

    def _enter(self, growth: Growth) -> Split:
        """Growth: at both ends of a fade the optimizers forget; a new resolution gets new ones. Return the minibatch.

        Raises:
            TrainError: it cannot be divided as asked.
        """
        state, config, architecture = self.state, self.config, self.state.nets.generator.config
        too_few = self._too_few_parts.get(growth.resolution, 0)
        split = split_of(config, architecture, growth.resolution, self._ranks, too_few)
        if growth.stage != state.stage:
            active = len(state.nets.g_flat.prefix(growth.resolution))
            if state.optimizers is None or len(state.optimizers[0].vector) != active:
                state.optimizers = make_optimizers(state.nets, config, growth.resolution)
            for adam in state.optimizers if config.optimizer_reset else ():
                adam.reset()
            state.stage = growth.stage
        fading = growth.alpha < 1
        if self._shape != (growth.resolution, split, fading):
            self._shape, self._turns = (growth.resolution, split, fading), None  # frees the graphs of the one before
            if config.compile:
                forget_shapes()
            captured = config.capture and self.device.type == "cuda"
            of_state = (state.ada, split, state.d_average)
            alpha = self.alpha if fading else 1.0
            if self.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(self.device)
            first = (state.nets, state.active_optimizers, alpha, state.statistics)
            self._turns = Turns(
                lambda settings: GraphedStep(*first, settings, captured, *of_state), step_settings(config)
            )
        return split

    def _show(self, resolution: int) -> None:
        assert self._turns is not None and self._shape is not None, "made by _enter"
        config, nimg, split = self.config, self.state.nimg, self._shape[1]
        images = split.total * config.n_critic
        batch = self.data.batch(resolution, nimg, images)
        channels = self.state.nets.discriminator.config.noise_channels if config.noisy_layers else 0
        sizes = (images, config.latent_size, config.augments, channels)
        noise = draw_noise(self._random, config.seed, nimg, *sizes)
        count = nimg // images
        self._turns.at(count)(batch, noise.share(self._ranks.rank, self._ranks.count, split.contiguous))
        if self._held != self._shape and self._turns.penalizes(count):  # once a shape: now the step's peak is known
            self._held = self._shape
            self.data.hold(lambda: room_beside_step(self.device, config.capture))
