"""Ray under our tasks: joined or started when there is work for it, left or ended cleanly, its errors in one line."""

import contextlib
import importlib
import logging
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from celebahq.files import lock
from celebahq_builder.cluster.batches import IN_FLIGHT, run_in_batches
from celebahq_builder.cluster.build_metrics import BuildMetrics
from celebahq_builder.cluster.face_delivery import FaceFolder
from celebahq_builder.cluster.node_facts import node_facts
from celebahq_builder.cluster.node_task import TASK_BYTES, Demands
from celebahq_builder.cluster.ray_tasks import ClusterError, RayPool
from celebahq_builder.cluster.restorer import Restorers
from celebahq_builder.state.failure import Limits
from celebahq_builder.state.manifest import Row

_SHIPPED = ("celebahq", "celebahq_builder", "zoo")
_STORE_BYTES = 2_000_000_000
"""Most of the object store of "local": macOS allows no more, and Ray refuses 10 GB where /dev/shm is small."""
_PREFIX, _LOCK = "celebahq-", "build.lock"
_LONGEST_ROOT = 20  # Ray's sockets lie 80 characters below it, and a socket's path may have 103
_SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _SETTINGS
"""What a client of gRPC begins with; a server's answer begins with a frame of settings, too."""
_KNOCK_SECONDS = 10.0
_LAST_WORDS_SECONDS = 10.0

_log = logging.getLogger("celebahq.build")


class RayCluster:
    """Ray for one build. Nothing happens until run() is called for the first time.

    Args:
        address: "local": of this machine's own, for as long as the build lasts; "auto": of the cluster that this
            machine belongs to; or HOST:PORT of its head.
        workers: cores that "local" takes.
        paths: flag -> path that every node must see.
        restorers: how those are placed that restore for the tasks; None: each task restores its own photos, if any.

    Raises:
        ClusterError: Ray is not installed.
    """

    def __init__(
        self, address: str, workers: int, paths: Mapping[str, Path], restorers: Restorers | None = None
    ) -> None:
        if importlib.util.find_spec("ray") is None:
            raise ClusterError("--ray: got no package ray, expected it; pip install 'celebahq[ray]'")
        self._address, self._workers, self._paths = address, workers, paths
        self.is_local = address == "local"
        self._restorers = restorers
        self.restorers: list[Any] = []
        """Those that are placed."""
        self._folder: Path | None = None
        self._joined = False
        self.at_work = ""
        """How many nodes and tasks are, in words."""
        self._metrics: BuildMetrics | None = None
        self.told: set[str] = set()
        """What was said of nodes already."""

    def __enter__(self) -> "RayCluster":
        return self

    def __exit__(self, exc_type, exc, traceback) -> None:
        if self._joined:
            import ray

            ray.shutdown(wait_for_processes=True)
        if self._folder is not None:
            self._lock.close()  # first: on NFS a file that is open keeps its folder
            _remove(self._folder)

    def run(
        self,
        function: Callable[[Any], Any],
        items: Iterable[Any],
        limits: Limits,
        faces: FaceFolder | None = None,
        cutoff: Callable[[], float | None] = lambda: None,
        restores: bool = False,
    ) -> Iterator[tuple[Any, Any]]:
        """Yield (item, function(item) or a Failure) as they are ready, in any order: executors.run on the cluster.

        Args:
            faces: where nodes that see it put the faces of their results.
            cutoff: tells the least score with which a face may still be chosen.
            restores: whether the function restores photos.

        Raises:
            ClusterError: no cluster, or a node that is not fit.
        """
        items = list(items)
        if not items:
            return iter(())
        if not self._joined:
            self._join()
        demands = Demands(node_facts(), self._paths, faces)
        restorers = self._restorers if restores else None
        return run_in_batches(items, RayPool(self, function, limits, demands, restorers, cutoff))

    @property
    def state(self) -> str:
        """What is at work, and what a photo takes in the slowest stages, for the progress line."""
        slowest = self._metrics.slowest() if self._metrics is not None else ""
        return "; ".join(filter(None, (self.at_work, slowest and f"a photo: {slowest}")))

    def count(self, rows: Sequence[Row], seconds: Mapping[str, float], held: int, left: int) -> None:
        """Count one photo that is done, as BuildMetrics.photo does."""
        if self._metrics is not None:
            self._metrics.photo(rows, seconds, held, left)

    def tell_stages(self) -> None:
        """Log how much of the work each stage was."""
        if self._metrics is not None and (stages := self._metrics.stages()):
            _log.info(f"of {sum(self._metrics.seconds.values()):,.0f} s of work in tasks: {stages}")

    def _join(self) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # before the import: no step of ours sends telemetry
        if self._address == "local":
            os.environ.setdefault("RAY_AUTH_MODE", "token")  # it listens on all addresses of this machine
        import ray

        if ray.is_initialized():  # of a caller in Python, whose tasks would end with the build
            raise ClusterError(
                "--ray: got a process that has joined Ray already, expected one that has not; ray.shutdown() before "
                "the build, or run celebahq-build as a process of its own"
            )
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
        import ray.util.metrics

        self._metrics = BuildMetrics(ray.util.metrics)


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


def _remove(folder: Path) -> None:
    """Remove the folder of a Ray that has ended, whose last workers may still write a line into it."""
    until = time.monotonic() + _LAST_WORDS_SECONDS
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
        if time.monotonic() > until:
            return
        time.sleep(0.1)


def _knock(address: str) -> None:
    """Raise ClusterError at once where nobody answers, or somebody else: Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_SECONDS) as connection:
            if os.environ.get("RAY_USE_TLS", "0") in ("0", ""):
                connection.sendall(_HTTP2)
                answer = b""
                while len(answer) < 4 and (more := connection.recv(len(_SETTINGS))):
                    answer += more
                if answer[3:4] != _SETTINGS[3:4]:
                    raise OSError("another program is there")
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
    remedy = (
        "start the build on a node of the cluster"
        if address != "local"
        else ("the same command again, or without --ray")
    )
    return f"--ray: got {type(error).__name__} from Ray for {address} ({words[:300]}), expected to join it; {remedy}"
