"""python benchmarks/mnist1k.py MNIST: Appendix E in small: modes of 1000 and KL, with and without each of its parts.

Trains the four rows of the paper's Table 4 (WGAN-GP with batch normalization; "our normalization"; minibatch stddev;
growing) at a budget of one's own, on the presets mnist1k-k4 and mnist1k-k2, and counts modes as `--metrics modes` of
train.metrics does. Growth, ramp and the half-life of the average are scaled to the budget, all else is the preset's:
nothing is tuned. The same command goes on where it was stopped, and prints the table of what is there.

    python benchmarks/mnist1k.py mnist/                                   # eight runs a seed: hours
    python benchmarks/mnist1k.py mnist/ --k 4 --seeds 0 --kimg 200

As in the released program the row that grows is given half as many images again.
"""

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ROWS = ("wgan-gp", "norm", "stddev", "grown")
PAPER = {
    (4, "wgan-gp"): ("640.1", "1.97"), (4, "norm"): ("856.7", "1.10"), (4, "stddev"): ("881.3", ""),
    (4, "grown"): ("859.5", "1.05"), (2, "wgan-gp"): ("772.4", "1.35"), (2, "norm"): ("886.6", "0.98"),
    (2, "stddev"): ("918 or 919.8", "0.89"), (2, "grown"): ("918 or 919.8", "0.82"),
}  # fmt: skip
"""(K, row) -> modes, KL of the paper's Table 4, from 25,600 images; our copy of it has lost two cells."""
KIMG, GROWN = 10000.0, 1.5
"""What the program trains without growing, and how many times that with it."""


def main() -> None:
    """Train what is missing, count, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mnist", type=Path, help="folder of the four MNIST files")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--k", nargs="+", type=int, choices=[4, 2], default=[4, 2])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--kimg", type=float, default=1000.0, help="thousands of images a row; grown 1.5 times as many")
    parser.add_argument("--triples", type=int, default=50_000, help="images of the dataset")
    parser.add_argument("--images", type=int, default=25_600, help="of a count")
    parser.add_argument("--outdir", type=Path, default=Path("mnist1k"))
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    dataset = options.outdir / f"triples-{options.triples}.h5"
    if not dataset.is_file():
        from train.metrics.mnist1k import Mnist1kConfig, write_mnist1k

        options.outdir.mkdir(parents=True, exist_ok=True)
        write_mnist1k(Mnist1kConfig(mnist=options.mnist, output=dataset, num_images=options.triples))
    for seed in options.seeds:
        for k in options.k:
            for row in options.rows:
                if not train_row(options, dataset, k, row, seed):
                    sys.exit(f"stopped in K/{k}, {row}, seed {seed}; the same command goes on")
    print("\n".join(as_table(options)))


def run_of(options: argparse.Namespace, k: int, row: str, seed: int) -> Path:
    """Return the run folder of a row: one a budget and seed."""
    return Path(options.outdir / f"k{k}-{row}-{options.kimg:g}kimg-seed{seed}")


def train_row(options: argparse.Namespace, dataset: Path, k: int, row: str, seed: int) -> bool:
    """Train one row and count its modes, as far as that was not done; False where a signal stopped it."""
    from train.loop import train
    from train.metrics.config import MetricsConfig
    from train.metrics.evaluate import evaluate
    from train.presets import PRESETS, preset_config

    folder = run_of(options, k, row, seed)
    if (folder / "model" / "metrics.json").is_file():
        return True
    name = f"mnist1k-k{k}" + ("" if row == "grown" else f"-{row}")
    preset, share = PRESETS[name], options.kimg / KIMG
    config = preset_config(
        name,
        dataset=dataset,
        outdir=options.outdir,
        name=folder.name,
        seed=seed,
        device="cpu",
        precision="fp32",
        stable_kimg=preset["stable_kimg"] * share,
        fade_kimg=preset["fade_kimg"] * share,
        rampup_kimg=preset["rampup_kimg"] * share,
        total_kimg=options.kimg * (GROWN if row == "grown" else 1.0),
        ema_kimg=11.1 * share,
        tick_kimg=options.kimg / 20,
        image_ticks=10,
        checkpoint_minutes=2,
        augment="none",
    )
    if not train(config):
        return False
    evaluate(
        MetricsConfig(
            model=folder, metrics=("modes",), mnist=options.mnist, num_images=options.images, seed=0, device="cpu"
        )
    )
    return True


def measured(options: argparse.Namespace, k: int, row: str, seed: int) -> dict[str, Any] | None:
    """Return what was counted of a row, and its minutes; None where it was not trained yet."""
    folder = run_of(options, k, row, seed)
    try:
        modes = json.loads((folder / "model" / "metrics.json").read_text())["modes"]
        last = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])
    except OSError:
        return None
    found = {"modes": modes["values"]["modes"], "kl": modes["values"]["kl"], "reals": modes["reals"]}
    return found | {"minutes": last["seconds"] / 60, "kimg": last["kimg"]}


def as_table(options: argparse.Namespace) -> list[str]:
    """Return the rows that there are beside the paper's, as Markdown."""
    lines = ["| D | row | seed | kimg | modes | KL | minutes | paper: modes | KL |", "|---" * 9 + "|"]
    reals: dict[str, float] = {}
    for k in options.k:
        for row in ROWS:
            for seed in options.seeds:
                if found := measured(options, k, row, seed):
                    reals = found["reals"]
                    ours = f"{found['kimg']:.0f} | {found['modes']} | {found['kl']:.2f} | {found['minutes']:.1f}"
                    paper = " | ".join(PAPER[k, row])
                    lines.append(f"| K/{k} | {row} | {seed} | {ours} | {paper} |")
    if reals:
        lines.append(f"| | reals | | | {reals['modes']} | {reals['kl']:.2f} | | | |")
    return lines


if __name__ == "__main__":
    main()
