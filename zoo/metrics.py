"""The metrics of a model folder: metrics.json, as python -m train.metrics keeps it. No torch."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celebahq.files import sha256_of
from zoo.folder import WEIGHTS_NAMES

METRICS_NAME = "metrics.json"


@dataclass(frozen=True)
class MetricText:
    """How a metric is shown, everywhere."""

    name: str
    """In lists and tables."""
    heading: str
    """Of its part of a model's card."""
    reading: str
    """How to read it."""
    decimals: int
    indexed: tuple[str, ...] = ()
    """The values of it that the Hub's index is given; none of what is no score."""
    first: str = ""
    """What the first, or average, of its numbers is, where the name does not say it."""


METRIC_TEXTS = {
    "swd": MetricText(
        "SWD x 1e3", "Sliced Wasserstein distance, × 10³",
        "lower is better; columns are levels of the Laplacian pyramid", 2, ("average",),
    ),
    "swd-iterative": MetricText(
        "iterative SWD x 1e3", "Iterative sliced Wasserstein distance, × 10³", "lower is better", 2, ("average",)
    ),
    "msssim": MetricText(
        "MS-SSIM", "MS-SSIM between pairs of its own images", "nearer to that of the reals is better", 4, ("ms_ssim",)
    ),
    "fid": MetricText("FID", "Fréchet Inception distance (FID)", "lower is better", 2, ("fid",)),
    "kid": MetricText("KID", "Kernel Inception distance (KID)", "lower is better", 5, ("kid",)),
    "is": MetricText("inception score", "Inception score", "higher is better", 2, ("is",)),
    "precision-recall": MetricText(
        "precision and recall", "Precision and recall", "higher is better", 4, ("precision", "recall"), "precision"
    ),
    "neighbours": MetricText(
        "distance to the nearest real", "Distance to the nearest real", "near 0 it would repeat a photo it has seen", 4
    ),
    "modes": MetricText(
        "modes of 1000", "Modes covered, of 1000", "more is better; KL nearer to 0 is better", 4, ("modes", "kl")
    ),
    "restoration": MetricText("PSNR", "PSNR", "higher is better", 2),
}  # fmt: skip
"""Metric of python -m train.metrics, or of train.restoration -> how it is shown."""


def metric_text(metric: str) -> MetricText:
    """Return how a metric is shown: also one that this version does not know, of another one's file."""
    return METRIC_TEXTS.get(metric) or MetricText(metric, metric, "", 4)


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
        text = metric_text(entry["metric"])
        lines.append(f"{text.first or text.name} {which}{_short(values[name])}{of}")
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
