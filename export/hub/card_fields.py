"""What a card takes of config.json and metrics.json, which may be anybody's: what is of the kind that we write."""

import math
from typing import Any

from celebahq.markdown import plain

_TEXT = {
    "training": ("preset", "device", "precision", "command"),
    "dataset": ("file", "name", "sha256_4x4"),
    "imported": ("file", "layout", "file_sha256"),
}
_NUMBERS = {"training": ("kimg", "seconds", "seed"), "dataset": ("faces",)}


def known_fields(config: dict[str, Any]) -> dict[str, Any]:
    """Return a config.json in which what the card uses is of the kind that we write; what is not is left out."""
    kept = dict(config)
    for group in ("training", "imported"):
        kept[group] = _known_group(group, config.get(group))
    data = config.get("dataset")
    kept["dataset"] = {"name": data} if isinstance(data, str) else _known_group("dataset", data)
    notes = config["imported"].get("notes") if isinstance(config.get("imported"), dict) else None
    if isinstance(notes, list) and kept["imported"]:
        kept["imported"]["notes"] = [note for note in notes if isinstance(note, str)]
    if history := _known_history(config.get("training")):
        kept["training"]["history"] = history
    for name in ("source", "citation"):
        if not isinstance(config.get(name), str):
            kept.pop(name, None)
    return {name: value for name, value in kept.items() if value != {} or name == "architecture"}


def known_metrics(metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return metrics with numbers for values, as many as are numbers; one without any, or without a count, is none."""
    kept = []
    for entry in metrics:
        entry = {
            name: {str(key): number for key, number in value.items() if _is_number(number)}
            if name in ("values", "noise_floor", "reals") and isinstance(value, dict)
            else value
            for name, value in entry.items()
        }
        for name in ("noise_floor", "reals"):
            if not isinstance(entry.get(name, {}), dict):
                del entry[name]
        for name in ("num_reals", "pairs"):
            if not _is_number(entry.get(name, 0)):
                del entry[name]
        if not isinstance(entry.get("command", ""), str):
            del entry["command"]
        data = entry.get("dataset")
        if "dataset" in entry:
            entry["dataset"] = _known_group("dataset", data if isinstance(data, dict) else {"file": data})
        entry["metric"] = plain(entry["metric"])
        if entry["values"] and _is_number(entry.get("num_images")):
            kept.append(entry)
    return kept


def _known_group(group: str, values: object) -> dict[str, Any]:
    if not isinstance(values, dict):
        return {}
    texts = {name: values[name] for name in _TEXT[group] if isinstance(values.get(name), str)}
    texts = {name: text if name == "command" else plain(text) for name, text in texts.items()}
    numbers = {name: values[name] for name in _NUMBERS.get(group, ()) if _is_number(values.get(name))}
    mirror = {"mirror": values["mirror"]} if isinstance(values.get("mirror"), bool) else {}
    return {**texts, **numbers, **mirror}


def _known_history(training: object) -> list[dict[str, Any]]:
    """Return the changes of options: {"kimg": moment, "changed": {option: [before, now]}} each."""
    history = training.get("history") if isinstance(training, dict) else None
    kept = []
    for entry in history if isinstance(history, list) else ():
        if isinstance(entry, dict) and _is_number(entry.get("kimg")) and isinstance(entry.get("changed"), dict):
            changed = {k: v for k, v in entry["changed"].items() if isinstance(v, list) and len(v) == 2}
            kept += [{"kimg": entry["kimg"], "changed": changed}] if changed else []
    return kept


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e18 and math.isfinite(value)
