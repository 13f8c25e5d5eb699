"""Kill tests of kill_and_resume.py --ray: a build on two nodes of Ray on this machine loses workers, a node, itself.

Run it in a network namespace with only the loopback up, or Ray takes the machine's outer address:

    unshare --net --pid --fork --kill-child --mount-proc sh -c 'ip link set lo up; exec "$@"' sh \\
        python benchmarks/kill_and_resume.py --ray --input PHOTOS

Each builds the same file anew, and it must equal the one of a local build, dataset by dataset.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 300.0
"""Seconds that Ray gets to notice a death, on a machine that is busy with other things: 2 to 13 were seen."""

START = 300.0
"""Seconds until a build on Ray has rows, on a machine that is busy with other things: 10 to 60 were seen."""

TASKS = "ray::celebahq-build"
"""As processes at work for a build call themselves."""

KILL_AFTER_FILE = """
import os, pathlib, signal
replace = pathlib.Path.replace
def replaced(self, target):
    found = replace(self, target)
    if str(target).endswith(".faces.zip") and os.path.exists({armed!r}):
        os.rename({armed!r}, {armed!r} + ".done")
        os.kill(os.getpid(), signal.SIGKILL)
    return found
pathlib.Path.replace = replaced
"""
"""What Python runs at the start of each process of the cluster: it ends the one that wrote faces, before it says so."""


class Nodes:
    """A cluster of two nodes with one core each."""

    def __init__(self) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        self.address = self._cluster.address
        self.add()

    def add(self) -> None:
        self._node = self._cluster.add_node(num_cpus=1)

    def kill(self) -> None:
        """The node that is not the head, all of its processes at once."""
        self._cluster.remove_node(self._node, allow_graceful=False)

    def shutdown(self) -> None:
        self._cluster.shutdown()


def processes(beginning: str) -> list[int]:
    """Return the processes whose command line begins so; zombies have none."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(beginning.encode()):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def wait_until(happened: Callable[[], bool], seconds: float = PATIENCE) -> float:
    """Return how long it took; TimeoutError when it did not happen."""
    began = time.monotonic()
    while not happened():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"waited {seconds:.0f} s")
        time.sleep(0.05)
    return time.monotonic() - began


def kill_tests(
    command: Callable[[Path, list[str]], list[str]], folder: Path, rows: Callable[[Path], int], seed: int
) -> list:
    """Run every kill test.

    Args:
        command: (output, further options) -> command line of the build.
        folder: for the outputs.
        rows: counts the rows of a manifest.
        seed: of the moments.

    Returns:
        (what was killed, the file that came out, what there is to say) of each.
    """
    armed, site = folder / "armed", folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(KILL_AFTER_FILE.format(armed=str(armed)))
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(site), before)))
    generator, nodes, done = random.Random(seed), Nodes(), []
    os.environ["PYTHONPATH"] = before

    def begin(name: str, options: list[str]) -> tuple[subprocess.Popen, Path, int]:
        """Start a build and wait for a moment in its first half."""
        output = folder / f"{name}.h5"
        manifest = folder / f"{name}.h5.build" / "manifest.jsonl"
        process = subprocess.Popen(command(output, options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        least = generator.randrange(1, 20)
        wait_until(lambda: rows(manifest) >= least or process.poll() is not None, START)
        time.sleep(generator.uniform(0, 0.3))
        if process.poll() is not None:
            raise SystemExit(f"{name}: the build was over before the kill, status {process.returncode}; more photos")
        return process, output, rows(manifest)

    def kill_a_worker(process: subprocess.Popen) -> None:
        """Kill one that is at a task just now; between two tasks there is none for a moment."""
        while process.poll() is None:
            if found := processes(TASKS):
                with contextlib.suppress(ProcessLookupError):  # it has just ended
                    return os.kill(generator.choice(found), signal.SIGKILL)
            time.sleep(0.01)
        raise SystemExit(f"worker: the build was over before the kill, status {process.returncode}; more photos")

    def finish(process: subprocess.Popen) -> str:
        began = time.monotonic()
        status = process.wait(PATIENCE + 300)
        return f"{'ended well' if status == 0 else f'STATUS {status}'} {time.monotonic() - began:.0f} s later"

    try:
        on_cluster = ["--ray", nodes.address]
        process, output, count = begin("worker", on_cluster)
        kill_a_worker(process)
        done.append(("a worker of Ray", output, f"{count} rows, {finish(process)}"))

        process, output, count = begin("file", on_cluster)
        armed.touch()
        wait_until(lambda: not armed.exists() or process.poll() is not None)
        killed = "with its file written" if armed.with_name("armed.done").exists() else "NO WORKER WROTE A FILE"
        done.append(("a worker that had not told", output, f"{count} rows, {killed}, {finish(process)}"))

        process, output, count = begin("node", on_cluster)
        nodes.kill()
        done.append(("a node of two", output, f"{count} rows, {finish(process)}"))

        process, output, count = begin("driver", on_cluster)
        process.kill()
        process.wait()
        took = wait_until(lambda: not processes(TASKS))
        nodes.add()
        in_shards = command(output, [*on_cluster, "--shards", "2"])
        again = subprocess.Popen(in_shards, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        words = f"{count} rows, its tasks ended {took:.1f} s later; with one node more and --shards {finish(again)}"
        done.append(("the build on a cluster", output, words))
    finally:
        nodes.shutdown()

    process, output, count = begin("local", ["--ray", "local", "--workers", "2"])
    process.kill()
    process.wait()
    took = wait_until(lambda: not processes(TASKS) and not _servers())  # two agents of Ray stay for a minute, idle
    again = subprocess.Popen(
        command(output, ["--ray", "local", "--workers", "1"]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    words = f"{count} rows, Ray ended {took:.1f} s later; with one core {finish(again)}"
    done.append(("the build with --ray local", output, words))
    return done


def _servers() -> list[int]:
    """Return the processes of Ray itself."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            program = path.read_bytes().split(b"\0")[0]
        except OSError:
            continue
        if program.endswith((b"/raylet", b"/gcs_server")):
            found.append(int(path.parent.name))
    return found


if __name__ == "__main__":
    sys.exit("python benchmarks/kill_and_resume.py --ray runs this")
