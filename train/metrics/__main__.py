"""python -m train.metrics --model DIR --dataset F.h5 --metrics swd,fid; python -m train.metrics mnist1k --mnist DIR"""

import sys
from typing import TYPE_CHECKING, Any

from celebahq.command import parsed_on_every_rank, run_command

if TYPE_CHECKING:
    from train.metrics.config import MetricsConfig


def main() -> None:
    """Parse, measure."""
    has_ranks = sys.argv[1:2] != ["mnist1k"]
    run_command(_main, "train.metrics", interrupted="stopped; what was measured before is kept", has_ranks=has_ranks)


def _main() -> None:
    """Import behind run_command, which has an answer to Ctrl-C."""
    import inspect

    import tyro

    from train.metrics.config import MetricsConfig

    if sys.argv[1:2] == ["mnist1k"]:
        from train.metrics.mnist1k import Mnist1kConfig, write_mnist1k

        write_mnist1k(tyro.cli(Mnist1kConfig, args=sys.argv[2:], prog="python -m train.metrics mnist1k"))
        return
    described: dict[str, Any] = {"prog": "python -m train.metrics", "description": inspect.getdoc(MetricsConfig)}
    _evaluate(parsed_on_every_rank(lambda: tyro.cli(MetricsConfig, **described)))


def _evaluate(config: "MetricsConfig") -> None:
    import os

    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that spin at barriers crawl
    from celebahq_builder.hdf5 import DatasetError
    from train.distributed import joined
    from train.metrics.errors import MetricError
    from train.metrics.evaluate import evaluate  # torch is imported only once there is work: --help stays instant
    from zoo.weights import ModelError

    remedy = "what was measured before is kept; run the same command again with the metrics that are missing"
    try:
        with joined("train.metrics", remedy) as ranks:
            evaluate(config, ranks)
    except (DatasetError, ModelError) as error:
        raise MetricError(str(error)) from None


if __name__ == "__main__":
    main()
