"""celebahq-data info: what is in a dataset file."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import h5py
import numpy as np
import tyro

from celebahq_builder.hdf5 import level_key, open_dataset
from celebahq_builder.printable_name import printable


@dataclass(frozen=True)
class InfoConfig:
    """Say what is in a dataset file: levels, labels, where the faces came from, how it was made.

    Example: celebahq-data info celebahq.h5
    """

    file: Annotated[Path, tyro.conf.Positional]
    """A dataset of celebahq-build, celebahq-data import or the original programs."""
    json: bool = False
    """Print JSON, for programs."""


def info(config: InfoConfig) -> None:
    """Print the summary of a file; DatasetError when it is no dataset."""
    summary = summarise(config.file)
    print(json.dumps(summary, indent=2) if config.json else _table(summary))


def summarise(path: Path) -> dict:
    """Return what info prints, in plain types."""
    with open_dataset(path) as dataset, h5py.File(path, "r") as file:
        levels = {}
        for r in dataset.resolutions:
            level = file[level_key(r)]
            levels[level_key(r)] = {
                "shape": list(level.shape),
                "chunk_rows": level.chunks[0] if level.chunks else None,
                "compression": level.compression,
                "stored_bytes": level.id.get_storage_size(),
            }
        faces = dataset.faces
        scores = faces.get("score")
        attributes = {name: _plain(value) for name, value in dataset.attributes.items()}
        if isinstance(attributes.get("config"), str):
            attributes["config"] = _parsed(attributes["config"])
        return {
            "file": printable(path),
            "bytes": path.stat().st_size,
            "faces": len(dataset),
            "resolution": dataset.resolution,
            "levels": levels,
            "labels": None if dataset.labels is None else list(dataset.labels.shape),
            "face_columns": sorted(faces),
            "photos": len(set(faces["source"])) if "source" in faces else None,
            "score": None if scores is None else dict(zip(("min", "median", "max"), _quantiles(scores), strict=True)),
            "attributes": attributes,
        }


def _table(summary: dict) -> str:
    lines = [
        f"{summary['file']}: {summary['faces']:,} faces at {summary['resolution']}x{summary['resolution']}, "
        f"{summary['bytes'] / 1e6:,.1f} MB",
        "",
        f"{'level':<15} {'shape':<22} {'rows a chunk':>12} {'filter':>8} {'stored MB':>11}",
    ]
    for key, level in summary["levels"].items():
        shape = "x".join(map(str, level["shape"]))
        lines.append(
            f"{key:<15} {shape:<22} {level['chunk_rows'] or '-':>12} {level['compression'] or 'none':>8} "
            f"{level['stored_bytes'] / 1e6:>11,.2f}"
        )
    labels, score = summary["labels"], summary["score"]
    lines += ["", f"labels      {'x'.join(map(str, labels)) + ' float32' if labels else 'none'}"]
    lines += [f"faces       {', '.join(summary['face_columns']) or 'none: made by one of the original programs'}"]
    if summary["photos"]:
        lines += [f"photos      {summary['photos']:,} different"]
    if score:
        lines += [f"score       {score['max']:.4f} best, {score['median']:.4f} median, {score['min']:.4f} worst"]
    for name, value in sorted(summary["attributes"].items()):
        if isinstance(value, dict):
            lines += [f"{name}", *(f"    {key}: {item}" for key, item in value.items())]
        else:
            lines += [f"{name}: {value}"]
    return "\n".join(lines)


def _quantiles(scores: np.ndarray) -> list[float]:
    return [float(value) for value in np.quantile(scores, (0, 0.5, 1))]


def _plain(value: object) -> object:
    """An attribute in a type that JSON knows; other programs store arrays and bytes."""
    return value if isinstance(value, str | int | float) else str(value)


def _parsed(text: str) -> dict | str:
    try:
        return json.loads(text)
    except ValueError:
        return text
