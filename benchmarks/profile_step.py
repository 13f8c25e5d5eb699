"""python benchmarks/profile_step.py: where the CPU time of one training iteration goes, by torch.profiler.

Prints a table a resolution: the operations with the most self time, and what the convolutions (and products of
matrices) take of the whole. A step whose other operations cost nothing would take their share alone.
"""

import argparse
import sys
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from train.benchmark import minibatch_of  # noqa: E402
from train.config import TrainConfig  # noqa: E402
from train.presets import PRESETS  # noqa: E402
from train.setup import architecture_of  # noqa: E402
from train.timing import TimedStep  # noqa: E402

ARITHMETIC = ("conv", "_conv", "mkldnn", "addmm", "mm", "bmm")
"""How the names of operations begin, after aten::, that are convolutions and products."""


def main() -> None:
    """Print a table a resolution."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=PRESETS, default="smoke")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    parser.add_argument("--resolutions", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--iterations", type=int, default=8)
    parser.add_argument("--operations", type=int, default=8, help="how many to list")
    options = parser.parse_args()
    settings = {name: value for name, value in PRESETS[options.preset].items() if name != "resolution"}
    config = TrainConfig(dataset=Path(), preset=options.preset, **{"augment": "none", **settings})
    for resolution in options.resolutions:
        architecture, size = architecture_of(config).at(resolution), minibatch_of(options.preset, resolution)
        step = TimedStep(config, architecture, size, options.precision, False, torch.device("cpu"), fading=False)
        step.seconds(3)
        with profile(activities=[ProfilerActivity.CPU]) as found:
            step.seconds(options.iterations)
        times = {event.key: event.self_cpu_time_total for event in found.key_averages()}
        total = sum(times.values())
        share = sum(time for name, time in times.items() if name.removeprefix("aten::").startswith(ARITHMETIC)) / total
        print(f"{resolution}x{resolution}, minibatch {size}, {options.precision}, {torch.get_num_threads()} threads: "
              f"{total / options.iterations / 1e3:.1f} ms an iteration, convolutions and products {share:.0%}, "
              f"the whole {1 / share:.2f} times them")  # fmt: skip
        for name, time in sorted(times.items(), key=lambda item: -item[1])[: options.operations]:
            print(f"  {time / total:6.1%}  {name}")


if __name__ == "__main__":
    main()
