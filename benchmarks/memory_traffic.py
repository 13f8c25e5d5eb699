"""python benchmarks/memory_traffic.py: bytes and launches of one training iteration at each resolution; no GPU needed.

The whole step runs on meta tensors, which have shapes and dtypes only, and every kernel's inputs and outputs are added
up (train/traffic.py). The ceiling is what a memory of --terabytes a second allows; the arithmetic has one of its own.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from train.benchmark import minibatch_of  # noqa: E402
from train.config import TrainConfig  # noqa: E402
from train.presets import PRESETS  # noqa: E402
from train.setup import architecture_of  # noqa: E402
from train.traffic import Traffic, step_traffic  # noqa: E402

ARITHMETIC = ("convolution", "convolution_backward", "mm", "addmm", "bmm")


def main() -> None:
    """Print a row a resolution and phase; with --operations, what makes up each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=PRESETS, default="paper")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    parser.add_argument("--kernels", choices=("plain", "fused"), default="fused", help="see python -m train --help")
    parser.add_argument("--resolutions", type=int, nargs="+", default=[4 << i for i in range(9)])
    parser.add_argument("--terabytes", type=float, default=3.0, help="a second, of the device's memory (3.0: H100)")
    parser.add_argument("--operations", type=int, default=0, help="how many of the largest operations to list a row")
    options = parser.parse_args()
    settings = {name: value for name, value in PRESETS[options.preset].items() if name != "resolution"}
    config = TrainConfig(
        dataset=Path(), preset=options.preset, **{"augment": "none", **settings}, kernels=options.kernels
    )
    print("| R | minibatch | phase | launches | MB an image | convolutions, products | ceiling, images/s |")
    print("|---|---|---|---|---|---|---|")
    for resolution in options.resolutions:
        size = minibatch_of(options.preset, resolution)
        for fading in (True, False) if resolution > 4 else (False,):
            architecture = architecture_of(config).at(resolution)
            counted = step_traffic(config, architecture, resolution, size, options.precision, fading)
            print(row(counted, resolution, size, "fade" if fading else "stable", options.terabytes), flush=True)
            for name, number in counted.bytes.most_common(options.operations):
                print(f"  {number / sum(counted.bytes.values()):6.1%}  {counted.launches[name]:4}  {name}")


def row(counted: Traffic, resolution: int, size: int, phase: str, terabytes: float) -> str:
    """Return a line of the table."""
    total = sum(counted.bytes.values())
    share = sum(counted.bytes[name] for name in ARITHMETIC) / total
    launches, ceiling = sum(counted.launches.values()), terabytes * 1e12 * size / total
    return f"| {resolution} | {size} | {phase} | {launches} | {total / size / 1e6:.0f} | {share:.0%} | {ceiling:.0f} |"


if __name__ == "__main__":
    main()
