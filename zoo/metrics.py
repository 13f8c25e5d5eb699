"""THE TABLE OF METRICS: what each is measured on and how it is shown; and those of a model folder. No torch."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from celebahq.files import sha256_of
from zoo.folder import WEIGHTS_NAMES

METRICS_NAME = "metrics.json"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric: what it is measured on, and how it is shown, everywhere."""

    name: str
    """In lists and tables."""
    heading: str
    """Of its part of a model's card."""
    reading: str = ""
    """How to read it."""
    decimals: int = 4
    indexed: tuple[str, ...] = ()
    """The values of it that the Hub's index is given; none of what is no score."""
    first: str = ""
    """What the first, or average, of its numbers is, where the name does not say it."""

    num_images: int = 0
    """Images of the generator that the published values are from; 0: python -m train.metrics does not measure it."""
    at_least: int = 2
    """Fewest images, and reals: the size of KID's subsets, IS's splits, 3 neighbours and itself."""
    at_most: int | None = None
    """Most images: what fits one sheet."""
    reals: Literal["none", "some", "equal"] = "none"
    """Whether it compares with reals: with as many as there are, or with as many as images."""
    inception: bool = False
    """Whether it looks through the Inception network."""
    on_the_first_rank: bool = False
    """Whether one process of torchrun measures it while the others wait; they share the images of the rest."""
    from_resolution: int = 4
    """Smallest images for which it has a meaning: the last level of SWD is 16x16, and MS-SSIM takes five scales."""
    images: tuple[int, int] | None = None
    """The only (channels, resolution) that it is of; None: any."""
    while_training: bool = False
    """Whether python -m train --metrics takes it, see train/metrics/in_training.py."""


METRICS = {
    "swd": Metric(
        name="SWD x 1e3", heading="Sliced Wasserstein distance, × 10³", decimals=2, indexed=("average",),
        reading="lower is better; columns are levels of the Laplacian pyramid",
        num_images=16_384, reals="equal", from_resolution=16, while_training=True,
    ),
    "swd-iterative": Metric(
        name="iterative SWD x 1e3", heading="Iterative sliced Wasserstein distance, × 10³", decimals=2,
        indexed=("average",), reading="lower is better", num_images=16_384, reals="equal", from_resolution=16,
    ),
    "msssim": Metric(
        name="MS-SSIM", heading="MS-SSIM between pairs of its own images", indexed=("ms_ssim",),
        reading="nearer to that of the reals is better", num_images=20_000, from_resolution=16, while_training=True,
    ),
    "fid": Metric(
        name="FID", heading="Fréchet Inception distance (FID)", reading="lower is better", decimals=2,
        indexed=("fid",), num_images=50_000, reals="some", inception=True,
    ),
    "kid": Metric(
        name="KID", heading="Kernel Inception distance (KID)", reading="lower is better", decimals=5,
        indexed=("kid",), num_images=50_000, at_least=1000, reals="some", inception=True,
    ),
    "is": Metric(
        name="inception score", heading="Inception score", reading="higher is better", decimals=2, indexed=("is",),
        num_images=50_000, at_least=10, inception=True,
    ),
    "precision-recall": Metric(
        name="precision and recall", heading="Precision and recall", reading="higher is better", first="precision",
        indexed=("precision", "recall"), num_images=10_000, at_least=4, reals="some", inception=True,
    ),
    "neighbours": Metric(
        name="distance to the nearest real", heading="Distance to the nearest real",
        reading="near 0 it would repeat a photo it has seen", num_images=8, at_least=1, at_most=16, reals="some",
        on_the_first_rank=True,
    ),
    "modes": Metric(
        name="modes of 1000", heading="Modes covered, of 1000", reading="more is better; KL nearer to 0 is better",
        indexed=("modes", "kl"), num_images=25_600, images=(3, 32), on_the_first_rank=True,
    ),
    "restoration": Metric(name="PSNR", heading="PSNR", reading="higher is better", decimals=2),
}  # fmt: skip
"""THE TABLE OF METRICS, which command line, training, metrics.json, card and lists read. The function that measures
one of num_images is compute_<name> in train/metrics/metric_functions.py."""
MEASURED = {name: metric for name, metric in METRICS.items() if metric.num_images}
"""Those of python -m train.metrics."""
UNINDEXED = tuple(name for name, metric in METRICS.items() if not metric.indexed)
"""Those that are no score of a generator, which the Hub's index is not given."""
WHILE_TRAINING = tuple(name for name, metric in METRICS.items() if metric.while_training)
"""Those of python -m train --metrics."""


def metric_of(name: str) -> Metric:
    """Return a metric by its key in metrics.json: also one that this version does not know, of another one's file."""
    return METRICS.get(name) or Metric(name=name, heading=name)


def read_metrics(folder: str | Path) -> list[dict[str, Any]]:
    """Return the metrics that were measured on the weights that lie in a model folder.

    Args:
        folder: holds metrics.json and model.safetensors; either may be missing.

    Returns:
        One dictionary a metric, in the order of the file: "metric" (swd, msssim, fid ...), "values" (name -> number),
        "num_images", "model_sha256", and whatever else the metric tells: "noise_floor", "reals", "dataset", "command".
        An entry that belongs to other weights (the model was trained on, or replaced) is stale and left out; so is one
        that is no metric at all. Empty where nothing was measured.
    """
    try:
        folder = Path(folder)
        metrics = json.loads((folder / METRICS_NAME).read_text(encoding="utf-8"))
        sha256 = sha256_of(folder / WEIGHTS_NAMES["Generator"])
    except (OSError, ValueError, RecursionError):
        return []
    if not isinstance(metrics, dict):
        return []
    return [
        {"metric": metric, **entry}
        for metric, entry in metrics.items()
        if isinstance(entry, dict) and entry.get("model_sha256") == sha256 and isinstance(entry.get("values"), dict)
    ]


def metric_lines(metrics: list[dict[str, Any]]) -> list[str]:
    """Return each metric in a few words, with what is best possible beside it where that was measured.

    Args:
        metrics: as read_metrics gives them.
    """
    lines = []
    for entry in metrics:
        values = entry["values"]
        name = "average" if "average" in values else next(iter(values), None)
        if name is None:
            continue
        beside = [
            f"{title} {_short(entry[key][name])}"
            for key, title in (("noise_floor", "noise floor"), ("reals", "reals"))
            if isinstance(entry.get(key), dict) and name in entry[key]
        ]
        beside += ["below it: not to be told from reals"] * (name in within_noise(entry))
        of = f" ({', '.join(beside)})" if beside else ""
        which = "" if name == "average" or len(values) == 1 else f"{name} "
        metric = metric_of(entry["metric"])
        lines.append(f"{metric.first or metric.name} {which}{_short(values[name])}{of}")
    return lines


def within_noise(entry: dict[str, Any]) -> list[str]:
    """Return the names of an entry's numbers that are at or below their noise floor: what so many images cannot tell.

    Args:
        entry: "values" and, perhaps, "noise_floor", name -> number; lower is better of every metric that has one.
    """
    floor = entry.get("noise_floor")
    if not isinstance(floor, dict):
        return []
    numbers = {name: (value, floor.get(name)) for name, value in entry["values"].items()}
    return [name for name, pair in numbers.items() if all(map(_is_number, pair)) and pair[0] <= pair[1]]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(number: Any) -> str:
    return f"{number:.4g}" if isinstance(number, float) else str(number)
