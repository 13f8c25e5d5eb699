"""--penalty-interval: iterations with the gradient penalty and without, each its own CUDA graph; whose turn it is."""

from collections.abc import Callable
from dataclasses import replace

from train.capture import GraphedStep
from train.step_inputs import Settings


class Turns:
    """One iteration for every minibatch, or two: one with the gradient penalty, and one for those in between.

    Which one is a function of how many there were, so that a resumed run goes on with the same.

    Args:
        make: makes an iteration of constants.
        settings: the constants of those that penalize.
    """

    def __init__(self, make: Callable[[Settings], GraphedStep], settings: Settings) -> None:
        self._interval = settings.penalty_interval
        self._penalized = make(settings)
        self._others = make(replace(settings, penalized=False)) if self._interval > 1 else self._penalized

    def penalizes(self, count: int) -> bool:
        """Whether the iteration after `count` others has the penalty."""
        return count % self._interval == 0

    def at(self, count: int) -> GraphedStep:
        """Return the iteration after `count` others."""
        return self._penalized if self.penalizes(count) else self._others

    @property
    def intact(self) -> bool:
        """Whether the networks stand between two iterations; see GraphedStep."""
        return self._penalized.intact and self._others.intact
