"""SWD against time: of the averaged generator in every checkpoint that a run kept, or of any model folders.

python benchmarks/swd_curve.py F.h5 --run runs/faces [--models runs/faces/model-ema-0.1 faces-32] [--images 2048]

All rows have the same reals and as many fakes, of the latents of --seed. The floor is what other reals score. Models of
another resolution than the first are left out: their distances are of other levels.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import zoo
from celebahq_builder.hdf5 import open_dataset
from train.metrics.fakes import Fakes
from train.metrics.reals import Reals
from train.metrics.swd import collect, descriptor_swd
from train.state.checkpoint import checkpoints, load_checkpoint
from train.state.initial import architecture_of_checkpoint
from zoo.progan import Generator


def generators(options: argparse.Namespace) -> Iterator[tuple[str, Generator]]:
    """Yield (what it is, a generator) of each checkpoint whose last resolution is fully in, then of each model."""
    for path in checkpoints(options.run / "checkpoints") if options.run else ():
        state = load_checkpoint(path)
        stages = 2 * (len(architecture_of_checkpoint(state).resolutions) - 1)
        if state["stage"] < stages:
            continue
        generator = Generator(architecture_of_checkpoint(state))
        generator.load_state_dict(state["g_ema"])
        yield f"{state['nimg'] / 1000:.1f} kimg, {state['seconds'] / 60:.0f} minutes", generator.eval()
    for name in options.models:
        yield name, zoo.load(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--run", type=Path, help="run folder; --keep-checkpoints says how many it has")
    parser.add_argument("--models", nargs="*", default=[], help="model folders or names")
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--seed", type=int, default=1000)
    options = parser.parse_args()
    of_reals, side = None, None
    with open_dataset(options.dataset) as dataset:
        for name, generator in generators(options):
            if of_reals is None:
                side = generator.config.resolution
                reals = Reals(dataset, side, mirror=True)
                reals.require(2 * options.images)
                of_reals = collect(reals.batches(options.images))
                print("| generator | " + " | ".join(map(str, of_reals.resolutions)) + " | average |")
                print("|---" * (len(of_reals.resolutions) + 2) + "|")
                others = collect(reals.batches(options.images, start=options.images), stream=1)
                row("other reals (the noise floor)", descriptor_swd(of_reals, others))
            if generator.config.resolution == side:
                fakes = Fakes(generator, seed=options.seed).batches(options.images)
                row(name, descriptor_swd(of_reals, collect(fakes, stream=1)))


def row(name: str, distances: dict[int | str, float]) -> None:
    """Print one line of the table."""
    print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in distances.values()) + " |", flush=True)


if __name__ == "__main__":
    main()
