"""The metrics of a model folder: metrics.json, as python -m train.metrics keeps it. No torch."""

import json
from pathlib import Path
from typing import Any

from celebahq.files import sha256_of
from zoo.folder import WEIGHTS_NAMES

METRICS_NAME = "metrics.json"
TITLES = {
    "swd": "SWD x 1e3",
    "swd-iterative": "iterative SWD x 1e3",
    "msssim": "MS-SSIM",
    "fid": "FID",
    "kid": "KID",
    "is": "inception score",
    "precision-recall": "precision",
    "neighbours": "distance to the nearest real",
    "modes": "modes of 1000",
    "restoration": "PSNR",
}
"""Metric of python -m train.metrics -> what the first, or average, of its numbers is."""


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
        lines.append(f"{TITLES.get(entry['metric'], entry['metric'])} {which}{_short(values[name])}{of}")
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
