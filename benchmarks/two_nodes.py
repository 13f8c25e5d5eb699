"""A build on two nodes of Ray on this machine against a local one: seconds of each, and whether the files are equal.

In a network namespace with only the loopback up, or Ray takes the machine's outer address:

    unshare --net --pid --fork --kill-child --mount-proc sh -c 'ip link set lo up; exec "$@"' sh \\
        python benchmarks/two_nodes.py --input PHOTOS

The nodes have one core each, and so has each worker of the local build, which has two. Exit code 1 where they differ.
"""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import tyro
from kill_and_resume import differences
from kill_on_ray import Nodes


@dataclass(frozen=True, kw_only=True)
class Options:
    """Build twice, on two nodes and locally, and compare."""

    input: str
    """Folder of photographs, or a URL of them."""
    resolution: int = 128
    restore: str = "off"
    """As of celebahq-build."""
    shards: int | None = None
    """Of the build on two nodes."""


def main() -> None:
    options = tyro.cli(Options, config=(tyro.conf.FlagCreatePairsOff,))
    with tempfile.TemporaryDirectory(prefix="two-nodes-") as folder:
        nodes = Nodes()
        try:
            shards = [] if options.shards is None else ["--shards", str(options.shards)]
            on_ray = timed(options, Path(folder) / "ray.h5", ["--ray", nodes.address, *shards])
        finally:
            nodes.shutdown()
        local = timed(options, Path(folder) / "local.h5", ["--workers", "2"])
        unequal = differences(Path(folder) / "ray.h5", Path(folder) / "local.h5")
        report = {"on two nodes, s": on_ray, "local, s": local, "datasets that differ": unequal}
        print(json.dumps(report | {"files": sorted(path.name for path in Path(folder).glob("*.h5"))}))
    sys.exit(1 if unequal else 0)


def timed(options: Options, output: Path, more: list[str]) -> float:
    words = ["--input", options.input, "--output", output, "--resolution", options.resolution]
    command = [sys.executable, "-m", "celebahq_builder", *words, "--restore", options.restore, *more]
    began = time.monotonic()
    subprocess.run(list(map(str, command)), check=True)
    return round(time.monotonic() - began, 1)


if __name__ == "__main__":
    main()
