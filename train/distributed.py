"""The processes of torchrun as one training: which samples are whose, sums over all, and what they agree on."""

import contextlib
import logging
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from celebahq.command import is_one_of_several
from celebahq.progress import is_progress_shown, show_progress
from celebahq.version import version
from train.config import TrainError
from zoo.layers import Across

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")
LONGEST_WAIT = timedelta(hours=2)
"""For another rank that lives: the first one may be measuring. One that has died is found by train.peers."""


@dataclass(frozen=True)
class Ranks:
    """This process among `count`; each has the same networks, and shows them its share of every minibatch."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files and speaks."""
        return self.rank == 0

    def add_up(self, x: Tensor) -> Tensor:
        """Return the sum of a tensor over all ranks, in place: the same bits on each."""
        if self.count > 1:
            dist.all_reduce(x)
        return x

    def gather(self, x: Tensor) -> Tensor:
        """Return every rank's tensor, (count, *shape)."""
        if self.count == 1:
            return x[None]
        parts = [torch.empty_like(x) for _ in range(self.count)]
        dist.all_gather(parts, x)
        return torch.stack(parts)

    def any(self, flag: bool) -> bool:
        """Return whether it is so on any rank; the device is not waited for."""
        return bool(self._largest(int(flag)))

    def from_first(self, make: Callable[[], T]) -> T:
        """Return what the first rank makes."""
        if self.count == 1:
            return make()
        box: list[Any] = [make() if self.first else None]
        dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]

    def number_of_first(self, x: float) -> float:
        """Return the first rank's number: its clock, by which all go."""
        if self.count == 1:
            return x
        box = torch.tensor([x], dtype=torch.float64)  # on the CPU: over gloo
        dist.broadcast(box, src=0)
        return float(box)

    def first_then_others(self, make: Callable[[], T]) -> T:
        """Return what make() returns; the first rank calls it before the others, who find what it has downloaded."""
        made = [make()] if self.first else []
        self.from_first(lambda: None)
        return made[0] if made else make()

    def check_equal(self, tensors: Sequence[Tensor]) -> None:
        """Raise TrainError unless tensors (of 4 or 8 bytes an entry) have the same bits on all ranks."""
        if self.count == 1:
            return
        bits = [x.detach().reshape(-1).view(torch.int32) for x in tensors]
        hashes = torch.stack([part.sum(dtype=torch.int64) for x in bits for part in (x[::2], x[1::2])])
        both = torch.cat([hashes, -hashes])
        dist.all_reduce(both, op=dist.ReduceOp.MAX)
        if not torch.equal(both[: len(hashes)], -both[len(hashes) :]):
            raise TrainError(
                "the ranks hold different networks, which must never be: a device that computes wrongly, or different "
                "versions of PyTorch; the same command goes on from the last checkpoint"
            )

    def agreement(self, asked: Callable[[], bool]) -> Callable[[bool], bool]:
        """Return a function for every iteration: whether any rank is asked to stop, in the same iteration on all.

        They talk about once a second, after a number of iterations that the first rank gives, or at once where the
        caller, on all ranks alike, says so.
        """
        left = gap = 1
        before = time.monotonic()

        def agreed(now: bool) -> bool:
            nonlocal left, gap, before
            if self.count == 1:
                return asked()
            left -= 1
            if left > 0 and not now:
                return False
            seconds = max(time.monotonic() - before, 1e-3) / max(gap - left, 1)
            wanted = max(1, min(2 * gap, round(1 / seconds)))
            message = self._largest(int(asked()) << 32 | (wanted if self.first else 0))
            left = gap = message & 0xFFFFFFFF
            before = time.monotonic()
            return message >> 32 > 0

        return agreed

    def _largest(self, value: int) -> int:
        if self.count == 1:
            return value
        box = torch.tensor([value])  # on the CPU: over gloo
        dist.all_reduce(box, op=dist.ReduceOp.MAX)
        return int(box)


ALONE = Ranks()


@dataclass(frozen=True)
class Split:
    """How a minibatch of `total` images is divided: over ranks, and each rank's share into parts, one after the other.

    By samples n, n + ranks, n + 2 ranks ...: the groups of a strided minibatch stddev then stay whole, and what they
    are does not depend on the number of ranks. With contiguous groups by neighbours instead.
    """

    total: int
    ranks: Ranks = ALONE
    parts: int = 1
    contiguous: bool = False

    @property
    def across(self) -> Across | None:
        """What a minibatch stddev over the whole batch needs; None in one process."""
        return Across(lambda x: _Total.apply(x), self.total) if self.ranks.count > 1 else None

    def mean(self, x: Tensor) -> Tensor:
        """Return what these samples (n,) add to the mean over all; differentiable."""
        return x.mean() if len(x) == self.total else x.sum() / self.total

    def mean_over_all(self, x: Tensor) -> Tensor:
        """Return the mean over the samples of all ranks, given this one's."""
        return self.ranks.add_up(self.mean(x))


def share(x: "Tensor | np.ndarray", index: int, count: int, contiguous: bool = False) -> Any:
    """Return the samples (along the first axis) of one of `count` shares."""
    if count == 1:
        return x
    if contiguous:
        return x[index * len(x) // count : (index + 1) * len(x) // count]
    return x[index::count]


class _Total(torch.autograd.Function):
    """Sum over ranks, of which each then has a copy: what flows back into one is the sum of what flows into all."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.contiguous().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _Total.apply(gradients[0])  # type: ignore[no-any-return]


GOES_ON = "the same command goes on from the last checkpoint, as does torchrun --max-restarts by itself"


@contextlib.contextmanager
def joined(prog: str = "celebahq-train", remedy: str = GOES_ON) -> Iterator[Ranks]:
    """Meet the other processes of torchrun, if there are any, and part from them; all but the first are silent.

    What ends one rank ends all: the first that fails says why. A rank that dies is named by another.

    Args:
        prog, remedy: of the line that names it: who says so, and what can be done.
    """
    if not is_one_of_several():
        yield ALONE
        return
    count = int(os.environ["WORLD_SIZE"])
    from train.peers import Peers

    if not dist.is_available() or dist.is_initialized():
        raise TrainError("torchrun: got a PyTorch without torch.distributed, or a process group of the caller's own")
    store, rank = _meet()
    ranks = Ranks(rank, count, int(os.environ.get("LOCAL_RANK", "0")))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
    logger = logging.getLogger("celebahq")
    level, shown = logger.level, is_progress_shown()
    if not ranks.first:
        logger.setLevel(logging.WARNING)
        show_progress(False)
    try:
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        with Peers(dist.PrefixStore(f"peers/{attempt}", store), rank, count, f"{prog}: {{}}, and all end; {remedy}"):
            group = dist.PrefixStore(f"group/{attempt}", store)
            dist.init_process_group(backend, store=group, rank=rank, world_size=count, timeout=LONGEST_WAIT)
            _check_same_program(ranks)
            yield ranks
            dist.barrier()  # nobody leaves while another still reads from it
            dist.destroy_process_group()
    finally:
        logger.setLevel(level)
        show_progress(shown)


def _meet() -> tuple[dist.Store, int]:
    """Return the store that all ranks share, and this one's rank."""
    try:
        store, rank, _ = next(dist.rendezvous("env://"))
    except (RuntimeError, ValueError, OSError) as error:
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TrainError(
            f"torchrun: got no meeting at {where} ({why}), expected rank 0 to answer there; give it a free port of a "
            "machine that all ranks reach"
        ) from None
    return store, rank


def _check_same_program(ranks: Ranks) -> None:
    """Raise TrainError on a rank whose versions are not those of rank 0: they would not train the same networks."""
    mine = f"celebahq {version()} with PyTorch {torch.__version__}"
    of_first = ranks.from_first(lambda: mine)
    if mine != of_first:
        raise TrainError(
            f"torchrun: got {mine} on rank {ranks.rank} ({platform.node()}), expected {of_first} as on rank 0; install "
            "the same on every machine"
        )
