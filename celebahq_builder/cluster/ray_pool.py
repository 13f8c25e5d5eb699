"""Ray under our tasks: joined or started when there is work for it, left or ended cleanly, its errors in one line."""

import contextlib
import importlib
import logging
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from celebahq.errors import CelebAHQError
from celebahq.files import lock
from celebahq_builder.cluster.batches import IN_FLIGHT, TaskLostError, run_in_batches
from celebahq_builder.cluster.node_facts import node_facts
from celebahq_builder.cluster.node_task import TASK_BYTES, Demands, Unfit, process_batch
from celebahq_builder.state.failure import Limits

RETRIES = 3
"""Of a task whose process or node ended, by Ray itself."""
_LOOK_SECONDS = 5.0  # between two counts of the nodes
_SHIPPED = ("celebahq", "celebahq_builder", "zoo")
_STORE_BYTES = 2_000_000_000
"""Most of the object store of "local": macOS allows no more, and Ray refuses 10 GB where /dev/shm is small."""
_PREFIX, _LOCK = "celebahq-", "build.lock"
_LONGEST_ROOT = 20  # Ray's sockets lie 80 characters below it, and a socket's path may have 103
_RESUME = "run the same command again to continue"

_log = logging.getLogger("celebahq.build")


class ClusterError(CelebAHQError):
    """Ray is not there, cannot be reached, or a node of it is not fit; the message is one line for the user."""


class RayCluster:
    """Ray for one build. Nothing happens until run() is called for the first time.

    Args:
        address: "local": of this machine's own, for as long as the build lasts; "auto": of the cluster that this
            machine belongs to; or HOST:PORT of its head.
        workers: cores that "local" takes.
        paths: flag -> path that every node must see.
        on_gpu: whether a task takes a part of a GPU.

    Raises:
        ClusterError: Ray is not installed.
    """

    def __init__(self, address: str, workers: int, paths: Mapping[str, Path], on_gpu: bool = False) -> None:
        if importlib.util.find_spec("ray") is None:
            raise ClusterError("--ray: got no package ray, expected it; pip install 'celebahq[ray]'")
        self._address, self._workers, self._on_gpu = address, workers, on_gpu
        self._paths = paths
        self._folder: Path | None = None
        self._joined = False
        self.state = ""
        """How many nodes and tasks are at work, for the progress line."""

    def __enter__(self) -> "RayCluster":
        return self

    def __exit__(self, exc_type, exc, traceback) -> None:
        if self._joined:
            import ray

            ray.shutdown()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._lock.close()

    def run(self, function: Callable[[Any], Any], items: Iterable[Any], limits: Limits) -> Iterator[tuple[Any, Any]]:
        """Yield (item, function(item) or a Failure) as they are ready, in any order: executors.run on the cluster.

        Raises:
            ClusterError: no cluster, or a node that is not fit.
        """
        items = list(items)
        if not items:
            return iter(())
        if not self._joined:
            self._join()
        return run_in_batches(items, _RayPool(self, function, limits, Demands(node_facts(), self._paths), self._on_gpu))

    def _join(self) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # before the import: no step of ours sends telemetry
        if self._address == "local":
            os.environ.setdefault("RAY_AUTH_MODE", "token")  # it listens on all addresses of this machine
        import ray

        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        if self._address == "local":
            self._folder, self._lock = _own_folder()
            options |= {"num_cpus": self._workers, "include_dashboard": False, "_temp_dir": str(self._folder)}
            options["object_store_memory"] = min(_STORE_BYTES, IN_FLIGHT * self._workers * TASK_BYTES)
            options["address"] = "local"
        else:
            if self._address != "auto":
                _knock(self._address)
            modules = [str(Path(str(importlib.import_module(name).__file__)).parent) for name in _SHIPPED]
            options |= {"address": self._address, "runtime_env": {"py_modules": modules, "excludes": ["__pycache__"]}}
        try:
            self._joined = True
            ray.init(**options)
        except Exception as error:  # whatever Ray raises: no cluster, another version, a socket that cannot be made
            raise ClusterError(_why_not_joined(self._address, error)) from None


def gpu_share(gpus: float, cores: int) -> float:
    """Return what part of a GPU each task takes where every core is to have one at work; Ray counts ten thousandths."""
    return min(1.0, int(gpus / max(cores, 1) * 10_000) / 10_000)


def _own_folder() -> tuple[Path, IO]:
    """Make the folder of a Ray of our own, and remove those that killed builds left: nobody holds their lock.

    Returns:
        the folder, and its lock.
    """
    root = Path(tempfile.gettempdir())
    if len(str(root)) > _LONGEST_ROOT:
        root = Path("/tmp")
    for old in root.glob(f"{_PREFIX}*/{_LOCK}"):
        with contextlib.suppress(OSError), old.open("a") as file:
            if old.stat().st_uid == os.getuid() and lock(file):
                shutil.rmtree(old.parent, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
    held = (folder / _LOCK).open("a")
    lock(held)
    return folder, held


def _knock(address: str) -> None:
    """Raise ClusterError at once where nobody answers: Ray itself tries for a minute and more."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except OSError as error:
        why = error.strerror or str(error) or type(error).__name__
        raise ClusterError(
            f"--ray: got {address} ({why}), expected HOST:PORT of a cluster's head; `ray status --address {address}` "
            "shows whether one runs there"
        ) from None


def _why_not_joined(address: str, error: Exception) -> str:
    words = " ".join(str(error).split())
    if "ersion mismatch" in words:
        return f"--ray: got a cluster of another version ({words[:300]}), expected the same Ray and Python on all nodes"
    if isinstance(error, ConnectionError) and address == "auto":
        return (
            "--ray: got auto and no cluster on this machine, expected one; `ray start --head` begins one, "
            "`ray start --address HOST:PORT` joins one, and --ray local needs none"
        )
    remedy = "start the build on a node of the cluster" if address != "local" else "try without --ray"
    return f"--ray: got {type(error).__name__} from Ray for {address} ({words[:300]}), expected to join it; {remedy}"


class _RayPool:
    """Tasks of process_batch on Ray's nodes: a Pool of run_in_batches."""

    def __init__(
        self, cluster: RayCluster, function: Callable[[Any], Any], limits: Limits, demands: Demands, on_gpu: bool
    ) -> None:
        import ray

        self._ray, self._cluster = ray, cluster
        self._given = (function, limits, demands)
        self._on_gpu = on_gpu
        self._cores, self._nodes, self._looked = 0, 0, -_LOOK_SECONDS
        self._task = ray.remote(process_batch)

    def cores(self) -> int:
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._looked = time.monotonic()
            alive = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
            self._nodes = sum(resources.get("CPU", 0) > 0 for resources in alive)
            self._cores = int(sum(resources.get("CPU", 0) for resources in alive))
            share = gpu_share(sum(resources.get("GPU", 0) for resources in alive), self._cores) if self._on_gpu else 0.0
            self._options: dict[str, Any] = {"num_cpus": 1, "name": "celebahq-build"}
            self._options |= {"num_gpus": share} if share else {}
        return self._cores

    def start(self, items: tuple[Any, ...]) -> Any:
        function, limits, demands = self._given
        # One alone was in a task that Ray tried so often already.
        options = self._options | {"max_retries": RETRIES if len(items) > 1 else 1}
        return self._task.options(**options).remote(function, items, limits, demands)

    def wait(self, tasks: list[Any], seconds: float) -> list[Any]:
        at_work = f"{min(len(tasks), self._cores)} tasks" if self._nodes else "waiting for a node"
        self._cluster.state = f"{self._nodes} node{'s' if self._nodes != 1 else ''}, {at_work}"
        # Not fetched before it is asked for: results that wait stay on the nodes that made them.
        return self._ray.wait(tasks, num_returns=1, timeout=seconds, fetch_local=False)[0]

    def results(self, task: Any) -> list[Any]:
        errors = self._ray.exceptions
        lost = (errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError, errors.ObjectLostError)
        try:
            results = self._ray.get(task)
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
        if isinstance(results, Unfit):
            raise ClusterError(results.message)
        return results

    def cancel(self, tasks: list[Any]) -> None:
        for task in tasks:
            with contextlib.suppress(Exception):  # Ray may have gone; it would begin anew
                if self._ray.is_initialized():
                    self._ray.cancel(task, force=True)


def _how_lost(error: Exception) -> str:
    kinds = {"NodeDiedError": "its node went away", "OutOfMemoryError": "its node ran out of memory"}
    return kinds.get(type(error).__name__, "the process of its task ended")
