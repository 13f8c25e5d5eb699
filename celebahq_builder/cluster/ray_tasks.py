"""Tasks and actors on the nodes of Ray: how many, with which share of a node; what Ray says of them in our words."""

import logging
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from celebahq.errors import CelebAHQError
from celebahq_builder.cluster.batches import TaskLostError
from celebahq_builder.cluster.node_facts import node_facts
from celebahq_builder.cluster.node_task import Demands, Unfit, process_batch
from celebahq_builder.cluster.restorer import Restorer, Restorers
from celebahq_builder.state.failure import Limits

if TYPE_CHECKING:
    from celebahq_builder.cluster.ray_pool import RayCluster

RETRIES = 3
"""Of a task whose process or node ended, by Ray itself."""
_LOOK_SECONDS = 5.0  # between two counts of the nodes
_TASKS_A_CORE = 2
"""Where restoration is elsewhere: one waits for it while the other decodes."""
_REQUESTS = 64  # that a restorer takes at a time
_RESUME = "run the same command again to continue"
_NO_GPU = "--device cpu restores without one, --restore off not at all"
_SHARED = "--output, or with a URL --work, on storage that all nodes see spares that"

_log = logging.getLogger("celebahq.build")


class ClusterError(CelebAHQError):
    """Ray is not there, cannot be reached, or a node of it is not fit; the message is one line for the user."""


class RayPool:
    """Tasks of process_batch on Ray's nodes: a Pool of run_in_batches."""

    def __init__(
        self,
        cluster: "RayCluster",
        function: Callable[[Any], Any],
        limits: Limits,
        demands: Demands,
        restorers: Restorers | None,
        cutoff: Callable[[], float | None],
    ) -> None:
        import ray

        self._ray, self._cluster = ray, cluster
        self._given = (function, limits, demands)
        self._restorers, self._cutoff = restorers, cutoff
        self._cores, self._nodes, self._looked = 0, 0, -_LOOK_SECONDS
        self._waits_for_gpu = False
        self._task = ray.remote(process_batch)

    def cores(self) -> int:
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._looked = time.monotonic()
            alive = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
            self._nodes = sum(resources.get("CPU", 0) > 0 for resources in alive)
            self._cores = int(sum(resources.get("CPU", 0) for resources in alive))
            if self._restorers is not None:
                self._cores *= _TASKS_A_CORE
                self._place_restorers(self._restorers, sum(resources.get("GPU", 0) for resources in alive))
        return self._cores

    def _place_restorers(self, how: Restorers, gpus: float) -> None:
        """Have as many as fit; one at least, which waits for a GPU where a cluster has none yet: nodes may join.

        Raises:
            ClusterError: a Ray of this machine's own has no GPU, and nobody can add one.
        """
        self._waits_for_gpu = bool(how.gpu_share) and gpus < how.gpu_share
        if self._waits_for_gpu and self._cluster.is_local:
            raise ClusterError(f"--device cuda: got no GPU that Ray finds on this machine, expected one; {_NO_GPU}")
        if self._waits_for_gpu and _NO_GPU not in self._cluster.told:
            self._cluster.told.add(_NO_GPU)
            _log.warning(f"--device cuda: no node of --ray has a GPU, the build waits until one joins; {_NO_GPU}")
        actor = self._ray.remote(Restorer)
        placed = self._cluster.restorers
        for _ in range(len(placed), max(1, int(gpus / how.gpu_share) if how.gpu_share else 1)):
            options = {"num_cpus": 0, "num_gpus": how.gpu_share, "max_concurrency": _REQUESTS, "max_restarts": -1}
            placed.append(actor.options(max_task_retries=RETRIES, **options).remote(how.device, node_facts()["torch"]))

    def start(self, items: tuple[Any, ...]) -> Any:
        function, limits, demands = self._given
        # One alone was in a task that Ray tried so often already.
        options: dict[str, Any] = {"name": "celebahq-build", "max_retries": RETRIES if len(items) > 1 else 1}
        options["num_cpus"] = 1 if self._restorers is None else 1 / _TASKS_A_CORE
        networks = () if self._restorers is None else tuple(self._cluster.restorers)
        return self._task.options(**options).remote(function, items, limits, demands, self._cutoff(), networks)

    def wait(self, tasks: list[Any], seconds: float) -> list[Any]:
        at_work = f"{min(len(tasks), self._cores)} tasks" if self._nodes else "waiting for a node"
        at_work += ", waiting for a GPU" if self._waits_for_gpu else ""
        self._cluster.at_work = f"{self._nodes} node{'s' if self._nodes != 1 else ''}, {at_work}"
        # Not fetched before it is asked for: results that wait stay on the nodes that made them.
        return self._ray.wait(tasks, num_returns=1, timeout=seconds, fetch_local=False)[0]

    def results(self, task: Any) -> list[Any]:
        errors = self._ray.exceptions
        lost = (errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError, errors.ObjectLostError)
        try:
            done = self._ray.get(task)
        except lost as error:
            raise TaskLostError(_how_lost(error)) from None
        except errors.RuntimeEnvSetupError as error:
            words = " ".join(str(error).split())[:300]
            raise ClusterError(f"--ray: got a node that cannot take this package ({words}); {_RESUME}") from None
        except errors.LocalRayletDiedError:
            raise ClusterError(f"--ray: got the end of Ray on this machine, expected it to run on; {_RESUME}") from None
        except errors.RayTaskError as error:
            if (missing := re.search(r"No module named '[^']+'", str(error))) is None:
                raise
            raise ClusterError(
                f"--ray: got a node without a package ({missing[0]}), expected those of the machine where the build "
                "was started; pip install -c constraints.txt 'celebahq[ray]' there"
            ) from None
        if isinstance(done, Unfit):
            raise ClusterError(done.message)
        if done.unseen and done.unseen not in self._cluster.told:
            self._cluster.told.add(done.unseen)
            _log.warning(f"--output: {done.unseen}, so its faces come over the network; {_SHARED}")
        return done.results


def _how_lost(error: Exception) -> str:
    kinds = {"NodeDiedError": "its node went away", "OutOfMemoryError": "its node ran out of memory"}
    return kinds.get(type(error).__name__, "the process of its task ended")
