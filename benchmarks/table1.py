"""python benchmarks/table1.py faces.h5: the paper's Table 1 at small scale, every row with the same small budget.

Trains the presets table1-a to table1-h and table1-e-star at 32x32 with fewer feature maps and a shorter schedule, and
measures each with SWD and MS-SSIM. The schedule and the generator's moving average are scaled to the budget; everything
else (rates, minibatches, normalization, n_critic ...) is the preset's: nothing is tuned. The same command goes on where
it was stopped, and prints the table of what is there.

    python benchmarks/table1.py celeba32.h5                                   # all nine rows, two seeds: hours
    python benchmarks/table1.py celeba32.h5 --rows c d f g --seeds 0 --kimg 24

Row h is converged in the paper, after twice the images and with four times the feature maps; so it is here.
"""

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ROWS = ("a", "b", "c", "d", "e-star", "e", "f", "g", "h")
PAPER = {"a": (8.73, 9.28, 0.2854), "b": (6.06, 4.28, 0.2838), "c": (26.57, 46.23, 0.4065), "d": (11.84, 8.07, 0.3027),
         "e-star": (16.29, 9.84, 0.3057), "e": (5.71, 7.04, 0.2950), "f": (7.52, 4.39, 0.2902),
         "g": (5.13, 3.56, 0.2845), "h": (4.99, 2.96, 0.2828)}  # fmt: skip
"""Row -> SWD at 16x16, its average over 128x128 to 16x16, MS-SSIM: CelebA at 128x128 after 10,000 kimg."""


def main() -> None:
    """Train what is missing, measure it, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="faces, 32x32 or larger")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--kimg", type=float, default=60.0, help="thousands of images a row; row h twice as many")
    parser.add_argument("--fmap-base", type=int, default=256, help="feature maps: min(2 * base / R, max)")
    parser.add_argument("--fmap-max", type=int, default=32)
    parser.add_argument("--images", type=int, default=4096, help="of a measurement")
    parser.add_argument("--outdir", type=Path, default=Path("table1"))
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for seed in options.seeds:
        for row in options.rows:
            if not train_row(options, row, seed):
                sys.exit(f"stopped in row {row}, seed {seed}; the same command goes on")
    print("\n".join(as_table(options)))


def run_of(options: argparse.Namespace, row: str, seed: int) -> Path:
    """Return the run folder of a row: one a budget, width and seed."""
    name = f"{row}-{options.kimg:g}kimg-{options.fmap_base}-{options.fmap_max}-seed{seed}"
    return Path(options.outdir / name)


def train_row(options: argparse.Namespace, row: str, seed: int) -> bool:
    """Train and measure one row, as far as that was not done; False where a signal stopped it."""
    from train.loop import train
    from train.metrics.config import MetricsConfig
    from train.metrics.evaluate import evaluate
    from train.presets import preset_config

    folder, longer, wider = run_of(options, row, seed), *((2, 4) if row == "h" else (1, 1))
    if (folder / "model" / "metrics.json").is_file():
        return True
    kimg = options.kimg * longer
    config = preset_config(
        f"table1-{row}",
        dataset=options.dataset,
        outdir=options.outdir,
        name=folder.name,
        seed=seed,
        device="cpu",
        precision="fp32",  # as the rows measured so far
        resolution=32,
        stable_kimg=kimg / 10,  # 4x4 to 32x32 in three growths of 600 + 600 kimg, and four tenths at the end
        fade_kimg=kimg / 10,
        total_kimg=kimg,
        ema_kimg=11.1 * options.kimg / 10000,  # as long a part of the run as in the paper's 10,000 kimg
        fmap_base=options.fmap_base * wider,
        fmap_max=options.fmap_max * wider,
        tick_kimg=kimg / 20,
        image_ticks=10,
        augment="none",
    )
    if not train(config):
        return False
    evaluate(MetricsConfig(model=folder, dataset=options.dataset, num_images=options.images, device="cpu"))
    return True


def measured(options: argparse.Namespace, row: str, seed: int) -> dict[str, Any] | None:
    """Return what was measured of a row: its metrics and its hours; None where it was not trained yet."""
    folder = run_of(options, row, seed)
    try:
        metrics = json.loads((folder / "model" / "metrics.json").read_text())
        last = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])
    except OSError:
        return None
    swd, (similarity, *_) = metrics["swd"], metrics["msssim"]["values"].values()
    return {"swd": swd["values"], "floor": swd["noise_floor"], "msssim": similarity, "minutes": last["seconds"] / 60}


def as_table(options: argparse.Namespace) -> list[str]:
    """Return the rows that there are beside the paper's, as Markdown."""
    lines = [
        "| row | seed | SWD 32 | SWD 16 | average | MS-SSIM | minutes | paper: SWD 16 | average | MS-SSIM |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    floor: dict[str, float] = {}
    for row in ROWS:
        for seed in options.seeds:
            if found := measured(options, row, seed):
                floor, swd = found["floor"], found["swd"]
                ours = " | ".join(f"{swd[key]:.2f}" for key in ("32", "16", "average")) + f" | {found['msssim']:.4f}"
                paper = " | ".join(f"{x:g}" for x in PAPER[row])
                lines.append(f"| {row} | {seed} | {ours} | {found['minutes']:.1f} | {paper} |")
    if floor:
        lines.append(f"| reals | | {floor['32']:.2f} | {floor['16']:.2f} | {floor['average']:.2f} | | | | | |")
    return lines


if __name__ == "__main__":
    main()
