"""What a run folder tells of its training: rows of log.jsonl and metrics.jsonl, options, grids, hours."""

import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from train.config import TrainError

GRID_NAME = re.compile(r"fakes-(\d+\.\d{3})\.png")


@dataclass(frozen=True)
class RunLog:
    """A run folder as it stands.

    rows: of log.jsonl, a tick each. metrics: of metrics.jsonl. config, history: the options and their changes.
    grids: (kimg, path of fakes-<kimg>.png), oldest first.
    """

    folder: Path
    rows: list[dict[str, Any]]
    metrics: list[dict[str, Any]] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    grids: list[tuple[float, Path]] = field(default_factory=list)

    @property
    def growths(self) -> list[tuple[float, int]]:
        """Return (kimg, resolution) of every growth: the last tick before it, and what grew in."""
        pairs = zip(self.rows, self.rows[1:], strict=False)
        return [(a["kimg"], b["resolution"]) for a, b in pairs if b["resolution"] > a["resolution"]]

    def curve(self, name: str) -> tuple[list[float], list[float]]:
        """Return kimg and values of the rows that have a number under this name."""
        found = [(row["kimg"], row[name]) for row in self.rows if isinstance(row.get(name), int | float)]
        return [kimg for kimg, _ in found], [value for _, value in found]

    def time_per_resolution(self) -> dict[int, tuple[float, float]]:
        """Return {resolution: (kimg, seconds of training)}, from the rows; a tick counts where it ended."""
        spent: dict[int, tuple[float, float]] = {}
        kimg = seconds = 0.0
        for row in self.rows:
            before = spent.get(row["resolution"], (0.0, 0.0))
            spent[row["resolution"]] = (before[0] + row["kimg"] - kimg, before[1] + row["seconds"] - seconds)
            kimg, seconds = row["kimg"], row["seconds"]
        return spent


def read_run(folder: Path) -> RunLog:
    """Return what a run folder tells.

    Raises:
        TrainError: it is none, or no tick has been logged in it yet.
    """
    if not (folder / "log.jsonl").is_file():
        raise TrainError(f"{folder}: got no log.jsonl, expected the folder of a run, as python -m train makes it")
    rows = [row for row in read_rows(folder / "log.jsonl") if _is_tick(row)]
    if not rows:
        raise TrainError(f"{folder / 'log.jsonl'}: got no tick, expected one at least; train on")
    grids = [
        (float(match[1]), path) for path in folder.glob("fakes-*.png") if (match := GRID_NAME.fullmatch(path.name))
    ]
    config, history = _read_json(folder / "config.json"), _read_json(folder / "history.json")
    return RunLog(
        folder,
        rows,
        [row for row in read_rows(folder / "metrics.jsonl") if isinstance(row.get("values"), dict)],
        config if isinstance(config, dict) else {},
        history if isinstance(history, list) else [],
        sorted(grids),
    )


def read_rows(log: Path) -> list[dict[str, Any]]:
    """Return the rows of a .jsonl that have a kimg; none where the file is absent.

    What is no row (the truncated last line of a killed process, bytes of something else) is left out.
    """
    return [row for row in map(_row, log.read_bytes().splitlines()) if row] if log.is_file() else []


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):  # no UTF-8, no JSON
        return None
    if not isinstance(row, dict) or isinstance(row.get("kimg"), bool) or not isinstance(row.get("kimg"), int | float):
        return None
    return row if math.isfinite(row["kimg"]) else None


def _is_tick(row: dict[str, Any]) -> bool:
    return isinstance(row.get("resolution"), int) and isinstance(row.get("seconds"), int | float)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
