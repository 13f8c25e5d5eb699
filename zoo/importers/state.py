"""The named tensors of one foreign network: every one is used once, and what is missing or left over is an error."""

import itertools
from typing import Any

from torch import Tensor

from zoo.importers.content import CheckpointImportError, as_state_dict


def named_tensors(value: Any) -> dict[str, Tensor]:
    """Return a dict of names to tensors without the `module.` that a network under DataParallel puts before them, and
    without the count that torch.optim.swa_utils.AveragedModel adds to those.

    {} for anything else.
    """
    tensors = as_state_dict(value)
    if "n_averaged" in tensors and all(name == "n_averaged" or name.startswith("module.") for name in tensors):
        del tensors["n_averaged"]
    while tensors and all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    return tensors


def below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


class State:
    """Named tensors that a conversion takes out one by one.

    Args:
        tensors: name -> tensor.
    """

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self._left = dict(tensors)

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def take(self, name: str, ndim: int | None = None) -> Tensor:
        """Return a tensor and count it as used.

        Args:
            name: its name.
            ndim: how many dimensions it has; 4 for a convolution.

        Raises:
            CheckpointImportError: it is not there, was taken before, or has other dimensions.
        """
        if name not in self._left:
            raise CheckpointImportError(f"{name} is missing, among what is there: {self._names()}")
        tensor = self._left.pop(name)
        if ndim is not None and tensor.ndim != ndim:
            raise CheckpointImportError(f"{name} is {tuple(tensor.shape)}, expected {ndim} dimensions")
        return tensor

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor without using it; it must be there, as of take."""
        if name not in self._left:
            raise CheckpointImportError(f"{name} is missing, among what is there: {self._names()}")
        return tuple(self._left[name].shape)

    def count(self, pattern: str) -> int:
        """Return how many of pattern.format(0), pattern.format(1), ... are there, up to the first that is not."""
        return next(n for n in itertools.count() if pattern.format(n) not in self._left)

    def finish(self) -> None:
        """Raise CheckpointImportError if anything was not used: a network with more in it is another network."""
        if self._left:
            raise CheckpointImportError(f"{len(self._left)} tensors that no layer takes: {self._names()}")

    def _names(self) -> str:
        """Return the first names that are left."""
        more = [f"{len(self._left) - 5} more"] if len(self._left) > 5 else []
        return ", ".join([name[:60] for name in list(self._left)[:5]] + more) or "nothing"
