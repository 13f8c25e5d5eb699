"""celebahq-build on Ray whose restorers take no GPU: the actors of --device cuda, simulated on CPUs.

With --ray it ends with how many requests went into each batch, as JSON on stdout.
"""

import json

from celebahq_builder.cluster import ray_pool
from celebahq_builder.cluster.restorer import Restorers


class OnCPUs(ray_pool.RayCluster):
    def __init__(self, address, workers, paths, restorers=None):
        super().__init__(address, workers, paths, Restorers("cpu", 0.0))

    def __exit__(self, *exc):
        import ray

        print(json.dumps(ray.get([restorer.batch_sizes.remote() for restorer in self.restorers])))
        super().__exit__(*exc)


if __name__ == "__main__":
    ray_pool.RayCluster = OnCPUs
    from celebahq_builder.__main__ import main

    main()
