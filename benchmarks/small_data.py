"""python benchmarks/small_data.py faces.h5: --augment with few faces, against faces that training never saw.

Trains at 32x32 on the first 500 and the first 2,000 faces with --augment none, diffaug and ada, and measures SWD (with
--inception also KID) against the last faces of the file. Everything else is one preset: nothing is tuned. The same
command goes on where it was stopped, and prints the table of what is there.

    python benchmarks/small_data.py celeba32.h5                                   # 3 x 2 x 2 runs: hours
    python benchmarks/small_data.py celeba32.h5 --faces 500 --seeds 0 --kimg 12
"""

import argparse
import json
import logging
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
AUGMENT = ("none", "diffaug", "ada")


def main() -> None:
    """Train what is missing, measure it, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="faces in no particular order, 32x32 or larger")
    parser.add_argument("--faces", nargs="+", type=int, default=[500, 2000])
    parser.add_argument("--augment", nargs="+", choices=AUGMENT, default=list(AUGMENT))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--kimg", type=float, default=100.0, help="thousands of images a run")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"], help="of the runs")
    parser.add_argument("--held-out", type=int, default=8192, help="faces at the end of the file")
    parser.add_argument("--inception", type=Path, help="weights of the 2015 Inception network, for KID")
    parser.add_argument("--outdir", type=Path, default=Path("small-data"))
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    held_out = subset(options.dataset, options.outdir / "held-out.h5", -options.held_out)
    for seed in options.seeds:
        for count in options.faces:
            faces = subset(options.dataset, options.outdir / f"faces-{count}.h5", count)
            for augment in options.augment:
                if not train_one(options, faces, held_out, augment, seed):
                    sys.exit(f"stopped at {count} faces, {augment}, seed {seed}; the same command goes on")
    print("\n".join(as_table(options)))


def subset(dataset: Path, output: Path, count: int) -> Path:
    """Write a file of the first faces at 32x32 and below, or with a negative count of the last, unless it is there."""
    from celebahq_builder.hdf5 import DatasetWriter, open_dataset

    if output.is_file():
        return output
    output.parent.mkdir(parents=True, exist_ok=True)
    with open_dataset(dataset) as faces:
        rows = np.arange(len(faces))[:count] if count > 0 else np.arange(len(faces))[count:]
        levels = [r for r in faces.resolutions if r <= 32]
        images = {r: faces.read(r, rows) for r in levels}
    with DatasetWriter(output, 32, len(rows)) as writer:
        for i in range(len(rows)):
            writer.write({r: images[r][i] for r in levels})
    return output


def run_of(options: argparse.Namespace, count: int, augment: str, seed: int) -> Path:
    """Return the folder of a run."""
    return Path(options.outdir / f"{count}-{augment}-{options.kimg:g}kimg-seed{seed}")


def train_one(options: argparse.Namespace, faces: Path, held_out: Path, augment: str, seed: int) -> bool:
    """Train and measure one, as far as that was not done; False where a signal stopped it."""
    from train.loop import train
    from train.metrics.config import MetricsConfig
    from train.metrics.evaluate import evaluate
    from train.presets import preset_config

    folder = run_of(options, int(faces.stem.removeprefix("faces-")), augment, seed)
    if (folder / "model" / "metrics.json").is_file():
        return True
    kimg = options.kimg
    budget = {"stable_kimg": kimg / 10, "fade_kimg": kimg / 10, "total_kimg": kimg, "tick_kimg": kimg / 20}
    config = preset_config(
        "smoke",
        dataset=faces,
        outdir=options.outdir,
        name=folder.name,
        seed=seed,
        device="cpu",
        precision=options.precision,
        augment=augment,
        learning_rate=0.0015,
        minibatch=16,
        image_ticks=10,
        **budget,
    )
    if not train(config):
        return False
    metrics = ("swd", "kid") if options.inception else ("swd",)
    measured = {"num_images": options.held_out, "inception": options.inception, "device": "cpu"}
    evaluate(MetricsConfig(model=folder, dataset=held_out, metrics=metrics, **measured))
    return True


def as_table(options: argparse.Namespace) -> list[str]:
    """Return what there is as Markdown: SWD's average, its noise floor, KID, the last probability of ada."""
    lines = ["| faces | --augment | seed | SWD | reals | KID | p | minutes |", "|---|---|---|---|---|---|---|---|"]
    for count in options.faces:
        for augment in options.augment:
            for seed in options.seeds:
                folder = run_of(options, count, augment, seed)
                if not (folder / "model" / "metrics.json").is_file():
                    continue
                metrics = json.loads((folder / "model" / "metrics.json").read_text())
                last = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])
                swd, floor = (metrics["swd"][key]["average"] for key in ("values", "noise_floor"))
                kid = next(iter(metrics["kid"]["values"].values())) if "kid" in metrics else None
                cells = [count, augment, seed, f"{swd:.2f}", f"{floor:.2f}", "" if kid is None else f"{kid:.3f}"]
                cells += [f"{last['augment_p']:.2f}" if "augment_p" in last else "", f"{last['seconds'] / 60:.1f}"]
                lines.append("| " + " | ".join(map(str, cells)) + " |")
    return lines


if __name__ == "__main__":
    main()
