"""The measured figures of a model folder: metrics.json, as python -m train.metrics keeps it. No torch."""

import hashlib
import json
from pathlib import Path
from typing import Any

METRICS_NAME = "metrics.json"


def read_figures(folder: Path) -> list[dict[str, Any]]:
    """Return the figures that were measured on the weights that lie in a model folder.

    Args:
        folder: holds metrics.json and model.safetensors; either may be missing.

    Returns:
        One dictionary a metric, in the order of the file: "metric" (swd, msssim, fid ...), "values" (name -> number),
        "num_images", "model_sha256", and whatever else the metric tells: "noise_floor", "reals", "dataset", "command".
        An entry that belongs to other weights (the model was trained on, or replaced) is stale and left out; so is one
        that is no figure at all. Empty where nothing was measured.
    """
    try:
        metrics = json.loads((folder / METRICS_NAME).read_text(encoding="utf-8"))
        with (folder / "model.safetensors").open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return []
    if not isinstance(metrics, dict):
        return []
    return [
        {"metric": metric, **entry}
        for metric, entry in metrics.items()
        if isinstance(entry, dict) and entry.get("model_sha256") == sha256 and isinstance(entry.get("values"), dict)
    ]
