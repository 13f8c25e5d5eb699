"""The metrics of a model: the table that is printed, and metrics.json beside the model."""

import json
import shlex
from pathlib import Path
from typing import Any

from celebahq.files import write_atomic
from train.metrics.errors import MetricError
from zoo.metrics import metric_of, within_noise


def table(metric: str, entry: dict[str, Any]) -> list[str]:
    """Return the lines of one metric: what was measured on how much, then a row for the model and what to compare."""
    counted = f"{entry['num_images']} images"
    if "num_reals" in entry:
        counted += f", {entry['num_reals']} reals"
    text = metric_of(metric)
    lines = ["", f"{text.name[0].upper()}{text.name[1:]}: {counted}, {entry['seconds']:g} s"]
    names = list(entry["values"])
    rows = [("model", entry["values"])]
    if "reals" in entry:
        rows.append(("reals", entry["reals"]))
    if "noise_floor" in entry:
        rows.append((f"noise floor ({entry['noise_floor_of']})", entry["noise_floor"]))
    first = max(len(row) for row, _ in rows) + 2
    width = max(9, *(len(name) + 2 for name in names))
    lines.append(" " * first + "".join(f"{name:>{width}}" for name in names))
    for row, values in rows:
        lines.append(
            f"{row:<{first}}" + "".join(f"{_number(values.get(name), text.decimals):>{width}}" for name in names)
        )
    if below := within_noise(entry):
        lines.append(
            f"below the noise floor: {', '.join(below)}; so many images cannot tell the model from reals there"
        )
    return lines


def _number(value: float | None, decimals: int) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.{decimals}f}"


def read_metrics(path: Path) -> dict[str, dict[str, Any]]:
    """Return metrics.json, metric -> metrics; empty where there is none.

    Raises:
        MetricError: the file is damaged or something else, which must not be written over.
    """
    remedy = "give another --output, or move it away"
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise MetricError(f"{path}: got {error.strerror}, expected a file of metrics; {remedy}") from None
    except (ValueError, RecursionError):
        raise MetricError(f"{path}: got a damaged file, expected the metrics of train.metrics; {remedy}") from None
    if not isinstance(metrics, dict) or not all(_is_entry(entry) for entry in metrics.values()):
        raise MetricError(f"{path}: got other JSON, expected the metrics of train.metrics; {remedy}")
    return metrics


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("values"), dict)


def check_replaced(path: Path, planned: dict[str, dict[str, Any]], overwrite: bool = False) -> list[str]:
    """Return a line for each metric in a file that new ones will replace: nothing goes without a word.

    Args:
        path: metrics.json.
        planned: metric -> of what the new entry will be: num_images, dataset, mirror, seed, model_sha256.
        overwrite: replace those too that are of more images or of other data.

    Raises:
        MetricError: a metric there is of more images, or of other data, and overwrite is False.
    """
    notes = []
    for metric, there in read_metrics(path).items():
        new = planned.get(metric, next(iter(planned.values())))
        if there.get("model_sha256") != new["model_sha256"]:
            notes.append(f"{path}: {metric} of other weights ({_of(there)}) goes")
        elif metric in planned:
            fewer = new["num_images"] < there.get("num_images", 0)
            if (fewer or _data(there) != _data(new)) and not overwrite:
                raise MetricError(
                    f"{path}: got {metric} of {_of(new)}, expected more than the {_of(there)} that it holds; "
                    "give another --output, or --overwrite to replace it"
                )
            notes.append(f"{path}: {metric} of {_of(there)} is replaced")
    return notes


def _data(entry: dict[str, Any]) -> tuple[Any, ...]:
    """Return what a metric was measured against."""
    facts = entry.get("dataset") or {}
    return (*(facts.get(key) for key in ("faces", "sha256_4x4", "sha256_labels")), entry.get("mirror"))


def _of(entry: dict[str, Any]) -> str:
    """Return in words what a metric is of."""
    facts = entry.get("dataset") or {}
    reals = f" and {facts.get('file')} ({facts.get('faces')} faces, {str(facts.get('sha256_4x4'))[:8]}" if facts else ""
    mirror = ", mirrored)" if entry.get("mirror") else ")"
    return f"{entry.get('num_images')} images{reals}{mirror if facts else ''}"


def save_metric(path: Path, metric: str, entry: dict[str, Any]) -> None:
    """Add one metric to metrics.json; those of other weights (the model was trained on) are dropped."""
    kept = {
        name: other
        for name, other in read_metrics(path).items()
        if other.get("model_sha256") == entry["model_sha256"] and name != metric
    }
    with write_atomic(path) as file:
        file.write((json.dumps({**kept, metric: entry}, indent=2) + "\n").encode())


def command_of(model: Path, metric: str, num_images: int, seed: int, dataset: Path | None, mirror: str) -> str:
    """Return the command that repeats one metric, with names for paths: it is published with the model.

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
