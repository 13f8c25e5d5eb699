"""What a run tells: log.jsonl, metrics.jsonl, TensorBoard events, the terminal."""

import json
import math
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

CURVES = ("d_loss", "g_loss", "real_score", "fake_score", "gradient_penalty", "d_overflow", "g_overflow",
          "resolution", "alpha", "minibatch", "learning_rate", "sec_per_kimg")  # fmt: skip


class Report:
    """Write one row a tick, to all places; on a resume, rows after the checkpoint are taken back first.

    Args:
        folder: the run folder.
        nimg: images shown at the start: 0, or the checkpoint's.
        total_kimg: end of the run, for the progress bar.
    """

    def __init__(self, folder: Path, nimg: int, total_kimg: float) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
        from torch.utils.tensorboard import SummaryWriter

        self._log, self._metrics = folder / "log.jsonl", folder / "metrics.jsonl"
        _keep_rows_until(self._log, nimg)
        self.measured = _keep_rows_until(self._metrics, nimg)
        """Rows of metrics.jsonl at the start of this process."""
        self._events = SummaryWriter(str(folder), purge_step=nimg + 1 if nimg else None)
        self._total_kimg = total_kimg
        self._bar = Progress(
            TextColumn("{task.fields[where]}"),
            BarColumn(),
            TextColumn("{task.completed:.1f}/{task.total:.1f} kimg  {task.fields[rate]}"),
            TimeRemainingColumn(),
            disable=not sys.stdout.isatty(),
        )
        self._task = self._bar.add_task("train", total=total_kimg, completed=nimg / 1000, where="", rate="")
        self._moved = 0.0

    def __enter__(self) -> "Report":
        self._bar.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()
        self._events.close()

    def moved(self, nimg: int, resolution: int, alpha: float) -> None:
        """Move the bar, a few times a second."""
        now = time.monotonic()
        if now - self._moved > 0.2:
            self._moved = now
            self._bar.update(self._task, completed=nimg / 1000, where=_where(resolution, alpha))

    def tick(self, row: dict[str, Any]) -> None:
        """Record a row: kimg, resolution, alpha, the means of the tick, seconds."""
        with self._log.open("a", encoding="utf-8") as file:
            finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
            file.write(json.dumps(finite) + "\n")  # a skipped update's loss is not finite, and JSON has no NaN
        step = round(row["kimg"] * 1000)
        for name in CURVES:
            self._events.add_scalar(f"train/{name}", row[name], step)
        self._events.flush()
        rate = f"{row['sec_per_kimg']:.2f} s/kimg"
        self._bar.update(self._task, completed=row["kimg"], where=_where(row["resolution"], row["alpha"]), rate=rate)
        line = (
            f"{row['kimg']:>9.1f}/{self._total_kimg:g} kimg  {_where(row['resolution'], row['alpha']):<16}"
            f"  D {row['d_loss']:8.3f}  G {row['g_loss']:8.3f}  penalty {row['gradient_penalty']:.4f}"
            f"  {rate}  {_clock(row['seconds'])}"
        )
        skipped = round((row["d_overflow"] + row["g_overflow"]) * row["iterations"])
        self.say(line + (f"  {skipped} updates skipped (not finite)" if skipped else ""))

    def metric(self, row: dict[str, Any]) -> None:
        """Record a row of train.metrics.in_training."""
        with self._metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        metric, step = row["metric"], round(row["kimg"] * 1000)
        compared = "noise_floor" if "noise_floor" in row else "reals"
        for kind in ("values", compared):
            for name, value in row[kind].items():
                tag = f"metrics/{metric}_{name}" if kind == "values" else f"metrics/{metric}_{name}_{kind}"
                self._events.add_scalar(tag, value, step)
        self._events.flush()
        name = list(row["values"])[-1]
        self.say(
            f"{row['kimg']:>9.1f}/{self._total_kimg:g} kimg  {_where(row['resolution'], 1):<16}"
            f"  {metric} {name} {row['values'][name]:.4f}, {compared.replace('_', ' ')} {row[compared][name]:.4f}"
            f"  {row['seconds']:g} s" + ("  best so far, kept" if row["best"] else "")
        )

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        if self._bar.disable:
            print(line, flush=True)
        else:
            self._bar.console.print(line, highlight=False, markup=False, soft_wrap=True)


def _where(resolution: int, alpha: float) -> str:
    return f"{resolution}x{resolution}" + (f" fade {alpha:.2f}" if alpha < 1 else "")


def _clock(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}"


def _keep_rows_until(log: Path, nimg: int) -> list[dict[str, Any]]:
    """Drop the rows that a killed run wrote after its last checkpoint: they will be written again. Return the rest."""
    if not log.exists():
        return []
    kept = []
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            if round(json.loads(line)["kimg"] * 1000) <= nimg:
                kept.append(line)
        except (json.JSONDecodeError, KeyError):  # the last line of a killed process may be torn
            continue
    partial = log.with_name(log.name + ".partial")
    partial.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
    partial.replace(log)
    return [json.loads(line) for line in kept]
