"""--compile: the networks that train and the penalty's gradient through torch.compile."""

import functools
import weakref
from collections.abc import Callable

import torch

from train.config import TrainError
from zoo.progan import Discriminator, Generator

_COMPILED: "weakref.WeakSet[Discriminator]" = weakref.WeakSet()


def compile_networks(generator: Generator, discriminator: Discriminator) -> None:
    """Let two networks be compiled at their next call, in place; what `compiled` decorates is, for this D.

    Raises:
        TrainError: the penalty takes double backward, which does not pass through what is compiled.
    """
    if not discriminator.config.has_adjoint:
        raise TrainError(
            "--compile: got a discriminator with normalization or minibatch discrimination, expected one without; "
            "leave out --compile"
        )
    generator.compile(dynamic=False)
    discriminator.compile(dynamic=False)
    _COMPILED.add(discriminator)


def forget_shapes() -> None:
    """Forget what was compiled for a resolution that is over: after eight shapes of a function PyTorch gives up."""
    torch._dynamo.reset()


def compiled(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Decorate a function of a discriminator, its first argument: compiled where that one is."""
    in_one_graph = functools.cache(lambda: torch.compile(function, dynamic=False, fullgraph=True))

    @functools.wraps(function)
    def either(discriminator: Discriminator, *args: object) -> torch.Tensor:
        return (in_one_graph() if discriminator in _COMPILED else function)(discriminator, *args)

    return either
