"""What runs on a node: a batch of photos through one local worker process, watched as in a build without a cluster.

Ray's own process computes nothing. It watches a WorkerProcess as run_in_processes does, so that limits, deaths and
faults of a photo mean the same everywhere, and one that kills its process never reaches the process of Ray.
"""

import atexit
import contextlib
import itertools
import platform
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from celebahq_builder.cluster.face_delivery import FaceFolder, deliver, drop_hopeless, in_transit
from celebahq_builder.cluster.node_facts import node_facts, why_unfit
from celebahq_builder.executors import run_in_processes
from celebahq_builder.state.face_files import FILE_BYTES
from celebahq_builder.state.failure import Failure, Limits
from celebahq_builder.worker_process import WorkerNotStartedError, WorkerProcess

TASK_SECONDS = 30.0
TASK_BYTES = FILE_BYTES
"""A task returns when it has worked so long, or made faces of so many bytes: what is left is handed out again."""

_kept: dict[tuple[Callable[[Any], Any], bool], list[WorkerProcess]] = {}
"""The worker of this process for each function, from task to task: loading the libraries takes seconds.

By whether it asks for restoration, too.
"""


@dataclass(frozen=True)
class Demands:
    """What a node must have before it may work."""

    facts: Mapping[str, str]
    """node_facts() of the driver."""
    paths: Mapping[str, Path] = field(default_factory=dict)
    """Flag -> what it names and every node must see under the same path."""
    faces: FaceFolder | None = None
    """Where the faces go; None: back with the rows."""


@dataclass(frozen=True)
class Unfit:
    """Comes back in place of results from a node that cannot do the work; the build ends with its line."""

    message: str


@dataclass(frozen=True)
class Done:
    """What a task returns."""

    results: list[Any]
    unseen: str = ""
    """Why the faces come along with their rows, where they were to be written on the node."""


def process_batch(
    function: Callable[[Any], Any],
    items: tuple[Any, ...],
    limits: Limits,
    demands: Demands,
    cutoff: float | None = None,
    restorers: Sequence[Any] = (),
) -> Done | Unfit:
    """Return function(item), or a Failure, of the first items: at least one, all where time and room are enough.

    Args:
        cutoff: the least score with which a face may still be chosen; None: all may.
        restorers: actors that restore for the photos of this task, in turns.
    """
    if why := _why_unfit(demands):
        return Unfit(why)
    results: list[Any] = []
    began, num_bytes = time.monotonic(), 0
    try:
        kept = _kept.setdefault((function, bool(restorers)), [])
        refusals: list[str] = []
        answer = _ask_in_turns(restorers, refusals) if restorers else None
        with contextlib.closing(run_in_processes(function, items, 1, limits, kept=kept, answer=answer)) as done:
            for item, result in done:
                if refusals:
                    return Unfit(refusals[0])
                results.append(result)
                if cutoff is not None and not isinstance(result, Failure):
                    drop_hopeless(item, result, cutoff)
                num_bytes += in_transit(result)
                if time.monotonic() - began > TASK_SECONDS or num_bytes > TASK_BYTES:
                    break
    except WorkerNotStartedError as error:
        last = str(error).strip().splitlines()[-1]
        remedy = "install there what the driver has, pip install -c constraints.txt 'celebahq[ray]'"
        return Unfit(f"--ray: got a worker that could not start on node {platform.node()} ({last}); {remedy}")
    if demands.faces is None:
        return Done(results)
    unseen = deliver([item.name for item in items[: len(results)]], results, demands.faces)
    return Done(results, unseen and f"node {platform.node()} cannot write into {demands.faces.path} ({unseen})")


def _ask_in_turns(restorers: Sequence[Any], refusals: list[str]) -> Callable[[Any], Any]:
    """Return what asks restorers; what one says that is on the wrong kind of node goes into the list, too."""
    import ray
    from ray.exceptions import RayTaskError

    from celebahq_builder.cluster.restorer import WrongNodeError

    turns = itertools.cycle(random.sample(restorers, len(restorers)))

    def restore(asked: Any) -> Any:
        try:
            return ray.get(next(turns).restore.remote(*asked))
        except RayTaskError as error:
            if isinstance(error.cause, WrongNodeError):
                refusals.append(str(error.cause))
            raise error.cause from None

    return restore


def _why_unfit(demands: Demands) -> str:
    node = platform.node()
    if why := why_unfit(demands.facts, node_facts(), node):
        return why
    for flag, path in demands.paths.items():
        if not path.exists():
            remedy = "put it on storage that all nodes see under one path, or give a URL"
            return f"{flag}: got {path}, which does not exist on node {node}, expected it on every node; {remedy}"
    return ""


@atexit.register
def _stop_workers() -> None:
    for worker in itertools.chain.from_iterable(_kept.values()):
        worker.stop()
