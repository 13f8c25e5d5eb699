"""celebahq-data info: what is in a dataset file."""

import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from celebahq.files import printable
from celebahq.options import check_options
from celebahq_builder.hdf5 import Dataset, level_key, open_dataset
from celebahq_builder.hdf5_format.levels import DatasetError, mask_key

_log = logging.getLogger("celebahq.data")

_SHOWN = 300  # characters of an attribute in the table; --json has them all
_SHOWN_NAMES = 12


@dataclass(frozen=True)
class InfoConfig:
    """Say what is in a dataset file: levels, labels, where the faces came from, how it was made.

    Example: celebahq-data info celebahq.h5
    """

    file: Annotated[Path, tyro.conf.Positional]
    """A dataset of celebahq-build, celebahq-data import or the original programs."""
    json: bool = False
    """Print JSON, for programs."""

    def __post_init__(self) -> None:
        check_options(self)


def info(config: InfoConfig) -> dict:
    """Tell and return the summary of a file, in plain types; DatasetError when it is no dataset."""
    summary = summarise(config.file)
    _log.info(json.dumps(summary, indent=2) if config.json else "\n".join(map(printable, _table(summary))))
    return summary


def summarise(path: Path) -> dict:
    """Return what info prints, in plain types."""
    with open_dataset(path) as dataset:
        levels = {}
        for r in dataset.resolutions:
            stored = dataset.stored().storage(level_key(r))
            levels[level_key(r)] = {
                "shape": [len(dataset), dataset.channels, r, r],
                "chunk_rows": stored.chunk_rows,
                "compression": stored.compression,
                "stored_bytes": stored.stored_bytes,
            }
        shards = [path.resolve().parent / span.name for span in dataset.stored().spans]
        faces = dataset.faces
        scores = faces.get("score")
        attributes = {printable(name): _plain(value) for name, value in dataset.attributes.items()}
        if isinstance(options := attributes.get("config"), str):
            attributes["config"] = _parsed(options)
        return {
            "file": printable(path),
            "bytes": sum(file.stat().st_size for file in (path, *shards)),
            "shards": [printable(shard.name) for shard in shards],
            "faces": len(dataset),
            "resolution": dataset.resolution,
            "levels": levels,
            "channels": dataset.channels,
            "labels": None if dataset.labels is None else list(dataset.labels.shape),
            "label_names": None if dataset.label_names is None else list(map(printable, dataset.label_names)),
            "masks": _masks(dataset),
            "face_columns": sorted(map(printable, faces)),
            "photos": len(set(faces["source"])) if "source" in faces else None,
            "score": None if scores is None else dict(zip(("min", "median", "max"), _quantiles(scores), strict=True)),
            "attributes": attributes,
        }


def _table(summary: dict) -> list[str]:
    lines = [
        f"{summary['file']}: {summary['faces']:,} faces at {summary['resolution']}x{summary['resolution']}"
        f"{', gray' if summary['channels'] == 1 else ''}, {summary['bytes'] / 1e6:,.1f} MB",
        "",
        f"{'level':<15} {'shape':<22} {'rows a chunk':>12} {'filter':>8} {'stored MB':>11}",
    ]
    for key, level in summary["levels"].items():
        shape = "x".join(map(str, level["shape"]))
        lines.append(
            f"{key:<15} {shape:<22} {level['chunk_rows'] or '-':>12} {level['compression'] or 'none':>8} "
            f"{level['stored_bytes'] / 1e6:>11,.2f}"
        )
    if shards := summary["shards"]:
        lines += ["", f"shards      {len(shards):,}, the first is {shards[0]}"]
    labels, score = summary["labels"], summary["score"]
    lines += ["", f"labels      {'x'.join(map(str, labels)) + ' float32' if labels else 'none'}"]
    if names := summary["label_names"]:
        more = f", ... {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
        lines += [f"names       {_short(', '.join(names[:_SHOWN_NAMES]))}{more}"]
    if masks := summary["masks"]:
        lines += [f"masks       {masks}"]
    lines += [f"faces       {', '.join(summary['face_columns']) or 'none: made by one of the original programs'}"]
    if summary["photos"]:
        lines += [f"photos      {summary['photos']:,} different"]
    if score:
        texts = {name: "no number" if value is None else f"{value:.4f}" for name, value in score.items()}
        lines += [f"score       {texts['max']} best, {texts['median']} median, {texts['min']} worst"]
    for name, value in sorted(summary["attributes"].items()):
        if isinstance(value, dict):
            lines += [f"{name}", *(f"    {_short(key)}: {_short(item)}" for key, item in value.items())]
        else:
            lines += [f"{name}: {_short(value)}"]
    return lines


def _masks(dataset: Dataset) -> str | None:
    """Return the name of the label maps; None without any, or where another program's are something else."""
    try:
        return mask_key(dataset.resolution) if dataset.has_masks else None
    except DatasetError:
        return None


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text):,} characters)"


def _quantiles(scores: np.ndarray) -> list[float | None]:
    """Return least, median and largest; None, which JSON has too, for what is no finite number."""
    with np.errstate(all="ignore"):  # infinite or enormous ones, of somebody else
        found = np.quantile(scores, (0, 0.5, 1))
    return [float(value) if math.isfinite(value) else None for value in found]


def _plain(value: object) -> object:
    """An attribute in a type that JSON knows; other programs store arrays and bytes."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float) else str(value)


def _parsed(text: str) -> dict | str:
    """Return the config; the text itself where it is no JSON, or so deep that nobody can have meant it."""
    try:
        config = json.loads(text)
        json.dumps(config, allow_nan=False), str(config)
    except (ValueError, RecursionError):
        return text
    return config if isinstance(config, dict) else text
