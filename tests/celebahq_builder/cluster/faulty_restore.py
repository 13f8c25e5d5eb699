"""celebahq-build on Ray whose restorers take no GPU: the actors of --device cuda, simulated on CPUs.

With --ray it ends with how many requests went into each batch, as JSON on stdout. With FAULT_KILL in the environment
the restorers' process is killed once, after the first photo.
"""

import contextlib
import json
import os
import signal
from pathlib import Path

from celebahq_builder.cluster import ray_pool
from celebahq_builder.cluster.restorer import Restorers


class OnCPUs(ray_pool.RayCluster):
    def __init__(self, address, workers, paths, restorers=None):
        super().__init__(address, workers, paths, Restorers("cpu", 0.0))
        self.to_kill = "FAULT_KILL" in os.environ

    def count(self, *facts):
        super().count(*facts)
        if self.to_kill:
            self.to_kill = False
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):  # it has ended
                    if path.read_bytes().startswith(b"ray::Restorer"):
                        os.kill(int(path.parent.name), signal.SIGKILL)
                        print("killed")

    def __exit__(self, *exc):
        import ray

        print(json.dumps(ray.get([restorer.batch_sizes.remote() for restorer in self.restorers])))
        super().__exit__(*exc)


if __name__ == "__main__":
    ray_pool.RayCluster = OnCPUs
    from celebahq_builder.__main__ import main

    main()
