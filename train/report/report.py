"""What a run tells: log.jsonl, metrics.jsonl, the terminal, TensorBoard events where that is installed, and W&B."""

import contextlib
import json
import logging
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from celebahq.files import write_atomic
from celebahq.progress import clock
from train.config import TrainConfig
from train.distributed import Ranks
from train.report.run_log import read_rows
from train.report.wandb_run import WandbRun, wandb_project

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LOG = logging.getLogger("celebahq.train")
CURVES = ("d_loss", "g_loss", "real_score", "fake_score", "gradient_penalty", "d_overflow", "g_overflow",
          "resolution", "alpha", "minibatch", "learning_rate", "sec_per_kimg", "real_score_squared")  # fmt: skip


class Report:
    """Write one row a tick, to all places; on a resume, rows after the checkpoint are taken back first.

    Args:
        folder: the run folder.
        nimg: images shown at the start: 0, or the checkpoint's.
        total_kimg: end of the run, for the progress bar.
        wandb: (entity, project) of Weights & Biases that shows it too.
    """

    def __init__(
        self, folder: str | Path, nimg: int, total_kimg: float, wandb: tuple[str | None, str] | None = None
    ) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        folder = Path(folder)
        self._log, self._metrics = folder / "log.jsonl", folder / "metrics.jsonl"
        _keep_rows_until(self._log, nimg)
        self.measured = _keep_rows_until(self._metrics, nimg)
        """Rows of metrics.jsonl at the start of this process."""
        self._events = _event_writer(folder, nimg)
        self._show_options(folder, nimg)
        self._total_kimg = total_kimg
        self._bar = Progress(
            TextColumn("{task.fields[where]}"),
            BarColumn(),
            TextColumn("{task.completed:.1f}/{task.total:.1f} kimg  {task.fields[rate]}"),
            TextColumn("{task.fields[left]}"),
            disable=not (sys.stdout.isatty() and LOG.isEnabledFor(logging.INFO)),  # silent when called from Python
        )
        self._task = self._bar.add_task("train", total=total_kimg, where="", rate="", left="")
        self._bar.update(self._task, completed=nimg / 1000)
        self._moved = 0.0
        if self._events is None:
            self.info("no TensorBoard events: tensorboard is not installed; log.jsonl holds the same numbers")
        self._wandb = None
        if wandb:
            options = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            self._wandb = WandbRun(folder, wandb, options, self.info)

    def __enter__(self) -> "Report":
        self._bar.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # the terminal may be gone
            self._bar.stop()
        if self._events:
            self._events.close()
        if self._wandb:
            self._wandb.close(failed=exc is not None)

    def update(self, nimg: int, resolution: int, alpha: float) -> None:
        """Move the bar, a few times a second."""
        now = time.monotonic()
        if now - self._moved > 0.2:
            self._moved = now
            self._bar.update(self._task, completed=nimg / 1000, where=_where(resolution, alpha))

    def tick(self, row: dict[str, Any], seconds_left: float | None = None) -> None:
        """Record a row: kimg, resolution, alpha, means of the tick, seconds. seconds_left: of the whole schedule."""
        with self._log.open("a", encoding="utf-8") as file:
            finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
            file.write(json.dumps(finite) + "\n")  # a skipped update's loss is not finite, and JSON has no NaN
        step = round(row["kimg"] * 1000)
        curves = (*CURVES, "augment_p") if "augment_p" in row else CURVES
        self._scalars({f"train/{name}": row[name] for name in curves}, step)
        rate = f"{row['sec_per_kimg']:.2f} s/kimg"
        left = "" if seconds_left is None else f"{clock(seconds_left)} left"
        where = _where(row["resolution"], row["alpha"])
        self._bar.update(self._task, completed=row["kimg"], where=where, rate=rate, left=left)
        line = (
            f"{row['kimg']:>9.1f}/{self._total_kimg:g} kimg  {where:<16}"
            f"  D {row['d_loss']:8.3f}  G {row['g_loss']:8.3f}  penalty {row['gradient_penalty']:.4f}"
            f"  {rate}  {clock(row['seconds'])}{', ' if left else ''}{left}"
        )
        skipped = round((row["d_overflow"] + row["g_overflow"]) * row["iterations"])
        if "augment_p" in row:
            line += f"  augment p {row['augment_p']:.3f}"
        self.info(line + (f"  {skipped} updates skipped (not finite)" if skipped else ""))

    def metric(self, row: dict[str, Any]) -> None:
        """Record a row of train.metrics.in_training."""
        with self._metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        metric, step = row["metric"], round(row["kimg"] * 1000)
        compared = "noise_floor" if "noise_floor" in row else "reals"
        curves = {f"metrics/{metric}_{name}": value for name, value in row["values"].items()}
        curves |= {f"metrics/{metric}_{name}_{compared}": value for name, value in row[compared].items()}
        self._scalars(curves, step)
        name = list(row["values"])[-1]
        self.info(
            f"{row['kimg']:>9.1f}/{self._total_kimg:g} kimg  {_where(row['resolution'], 1):<16}"
            f"  {metric} {name} {row['values'][name]:.4f}, {compared.replace('_', ' ')} {row[compared][name]:.4f}"
            f"  {row['seconds']:g} s" + ("  best so far, kept" if row["best"] else "")
        )

    def grid(self, path: Path, nimg: int, name: str = "fakes") -> None:
        """Show an image that was written: TensorBoard and W&B have all of them under one slider."""
        if self._wandb:
            self._wandb.image(name, path, nimg)
        if self._events is None:
            return
        with Image.open(path) as image:
            self._events.add_image(name, np.asarray(image.convert("RGB")), nimg, dataformats="HWC")
        self._events.flush()

    def _show_options(self, folder: Path, nimg: int) -> None:
        """Give TensorBoard config.json and history.json as text, as they are at the start of this process."""
        if self._events is None:
            return
        for name in ("config", "history"):
            if (folder / f"{name}.json").is_file():
                text = (folder / f"{name}.json").read_text(encoding="utf-8")
                self._events.add_text(name, "".join(f"    {line}\n" for line in text.splitlines()), nimg)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Take the bar away while something else shows how far it is."""
        with contextlib.suppress(OSError):
            self._bar.stop()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                self._bar.start()

    def _scalars(self, curves: dict[str, float], step: int) -> None:
        if self._wandb:
            self._wandb.log(curves, step)
        if self._events:
            for name, value in curves.items():
                self._events.add_scalar(name, value, step)
            self._events.flush()

    def info(self, line: str) -> None:
        """Tell a line, above the bar where there is one; a terminal that is gone never ends a run."""
        with contextlib.suppress(OSError):
            if self._bar.disable:
                LOG.info("%s", line)
            else:
                self._bar.console.print(line, highlight=False, markup=False, soft_wrap=True)


class OfAnotherRank(Report):
    """The report of a rank that is not the first: nothing is written, nobody is told."""

    def __init__(self) -> None:
        self.measured = []

    def __enter__(self) -> "OfAnotherRank":
        return self

    def __exit__(self, *of_exception: object) -> None:
        pass

    def update(self, nimg: int, resolution: int, alpha: float) -> None:
        """Do nothing."""

    def tick(self, row: dict[str, Any], seconds_left: float | None = None) -> None:
        """Do nothing."""

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """There is no bar."""
        yield

    def info(self, line: str) -> None:
        """Do nothing."""


def report_of(ranks: Ranks, config: TrainConfig, nimg: int, total_kimg: float) -> Report:
    """Return the report of a run: the first rank's writes and speaks."""
    if not ranks.first:
        return OfAnotherRank()
    return Report(config.run_folder, nimg, total_kimg, wandb_project(config.wandb))


def _event_writer(folder: Path, nimg: int) -> "SummaryWriter | None":
    """TensorBoard's writer, which drops what is later than the checkpoint; None without the extra `tensorboard`."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=nimg + 1 if nimg else None)


def _where(resolution: int, alpha: float) -> str:
    return f"{resolution}x{resolution}" + (f" fade {alpha:.2f}" if alpha < 1 else "")


def _keep_rows_until(log: Path, nimg: int) -> list[dict[str, Any]]:
    """Drop the rows that a killed run wrote after its last checkpoint: they will be written again. Return the rest.

    What is no row (the truncated last line of a killed process, bytes of something else) is dropped too.
    """
    if not log.exists():
        return []
    kept = [row for row in read_rows(log) if round(row["kimg"] * 1000) <= nimg]
    with write_atomic(log) as file:
        file.write("".join(f"{json.dumps(row)}\n" for row in kept).encode())
    return kept
