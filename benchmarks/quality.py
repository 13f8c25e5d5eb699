"""How well the quality score follows the official order, how much its constants matter, and what it costs.

python benchmarks/quality.py DATA    # the folder that holds celebahq_rank/ and celebahq_rank.csv
"""

import csv
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.stats import spearmanr

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a clone, too

from celebahq_builder.quality import CALIBRATED, Constants, ring_power, score_spectrum

OTHERS = {
    "softness": (1.0, 1.5, 2.0, 2.5, 3.0),
    "noise_threshold": (9.0, 9.5, 10.0, 10.5, 11.0),
    "faint_threshold": (6.0, 6.5, 7.0, 7.5, 8.0),
    "reach_weight": (0.0, 0.15, 0.25, 0.35, 0.5),
    "roundness": (0.3, 0.4, 0.5, 0.6, 0.7),
}


def main(data: Path) -> None:
    with (data / "celebahq_rank.csv").open() as file:
        rows = list(csv.DictReader(file))
    places = np.array([int(row["celebahq_idx"]) for row in rows])
    faces = [np.asarray(Image.open(data / "celebahq_rank" / row["file"]).convert("RGB")) for row in rows]

    ring_power(faces[0])  # the plan of a resolution is made once
    start = time.process_time()
    powers = [ring_power(face) for face in faces]
    print(f"{1e3 * (time.process_time() - start) / len(faces):.1f} CPU-ms a face of 1024x1024")

    scores = rank(powers)
    draws = np.random.default_rng(0).integers(0, len(faces), (10_000, len(faces)))
    low, high = np.quantile([rho(places[draw], scores[draw]) for draw in draws], (0.025, 0.975))
    print(f"rho {rho(places, scores):+.3f} on {len(faces)} images, 95 % bootstrap interval {low:+.3f}..{high:+.3f}")

    print(f"scores from {scores.min():.3f} to {scores.max():.3f}, standard deviation {scores.std():.4f}")

    ours = f"{CALIBRATED.reach_threshold} and {CALIBRATED.detail_threshold}"
    print(f"\nrho by reach_threshold (down) and detail_threshold (across); ours is {ours}")
    details = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0)
    print("       " + "".join(f"{detail:>8}" for detail in details))
    for reach in (8.0, 8.5, 9.0, 9.5, 10.0, 11.0):
        line = (
            rho(places, rank(powers, Constants(reach_threshold=reach, detail_threshold=detail))) for detail in details
        )
        print(f"{reach:>6} " + "".join(f"{value:>8.3f}" for value in line))
    for name, values in OTHERS.items():
        print(f"\nrho by {name}; ours is {getattr(CALIBRATED, name)}")
        for value in values:
            print(f"{value:>6} {rho(places, rank(powers, replace(CALIBRATED, **{name: value}))):>8.3f}")

    print("\nthe same images, shrunk")
    for resolution in (512, 256, 128, 64):
        small = [ring_power(shrunk(face, resolution)) for face in faces]
        print(f"{resolution:>6} {rho(places, rank(small)):>8.3f}")


def rank(powers: list[np.ndarray], constants: Constants = CALIBRATED) -> np.ndarray:
    return np.array([score_spectrum(power, constants).score for power in powers])


def rho(places: np.ndarray, scores: np.ndarray) -> float:
    return float(spearmanr(places, scores).statistic)


def shrunk(face: np.ndarray, resolution: int) -> np.ndarray:
    return np.asarray(Image.fromarray(face).resize((resolution, resolution), Image.Resampling.BOX))


if __name__ == "__main__":
    if len(sys.argv) != 2 or not (Path(sys.argv[1]) / "celebahq_rank.csv").exists():
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
