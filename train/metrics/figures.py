"""Figures on paper: the table that is printed, and metrics.json beside the model."""

import hashlib
import json
import shlex
from pathlib import Path
from typing import Any

TITLES = {
    "swd": ("SWD x 1e3", 2),
    "swd-iterative": ("Iterative SWD x 1e3", 2),
    "msssim": ("MS-SSIM", 4),
    "fid": ("FID", 2),
    "kid": ("KID", 5),
    "is": ("Inception score", 2),
    "precision-recall": ("Precision and recall", 4),
    "neighbours": ("Distance to the nearest real", 4),
    "modes": ("Modes of 1000", 4),
}
"""Metric -> name and decimals of the table."""


def table(metric: str, figures: dict[str, Any]) -> list[str]:
    """Return the lines of one metric: what was measured on how much, then a row for the model and what to compare."""
    counted = f"{figures['num_images']} pictures"
    if "num_reals" in figures:
        counted += f", {figures['num_reals']} reals"
    title, decimals = TITLES[metric]
    lines = ["", f"{title}: {counted}, {figures['seconds']:g} s"]
    names = list(figures["values"])
    rows = [("model", figures["values"])]
    if "reals" in figures:
        rows.append(("reals", figures["reals"]))
    if "noise_floor" in figures:
        rows.append((f"noise floor ({figures['noise_floor_of']})", figures["noise_floor"]))
    first = max(len(row) for row, _ in rows) + 2
    width = max(9, *(len(name) + 2 for name in names))
    lines.append(" " * first + "".join(f"{name:>{width}}" for name in names))
    for row, values in rows:
        lines.append(f"{row:<{first}}" + "".join(f"{_number(values.get(name), decimals):>{width}}" for name in names))
    return lines


def _number(value: float | None, decimals: int) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.{decimals}f}"


def read_figures(path: Path) -> dict[str, dict[str, Any]]:
    """Return metrics.json, metric -> figures; empty where there is none or it is damaged."""
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return {}
    return figures if isinstance(figures, dict) else {}


def keep_figures(path: Path, metric: str, figures: dict[str, Any]) -> None:
    """Add one metric to metrics.json; those of other weights (the model was trained on) are dropped."""
    kept = {
        name: other
        for name, other in read_figures(path).items()
        if other.get("model_sha256") == figures["model_sha256"] and name != metric
    }
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps({**kept, metric: figures}, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


def sha256_of(path: Path) -> str:
    """Return the hash of a file: which weights figures belong to."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def command_of(model: Path, metric: str, num_images: int, seed: int, dataset: Path | None, mirror: str) -> str:
    """Return the command that repeats one figure, with names for paths: it is published with the model.

    Args:
        mirror: as --mirror, "auto" is left out.
    """
    words = ["python", "-m", "train.metrics", "--model", model.resolve().name, "--metrics", metric]
    if dataset:
        words += ["--dataset", dataset.name]
    words += ["--num-images", str(num_images), "--seed", str(seed)]
    if mirror != "auto":
        words += ["--mirror", mirror]
    return shlex.join(words)
