"""TrainResult: what train() returns of a run."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from train.report.run_log import read_rows
from train.schedule import published_resolution
from train.state.checkpoint import checkpoints
from train.state.publish import is_published

if TYPE_CHECKING:
    from train.start import Run


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """A run as train() left it. True in a condition where it has finished."""

    finished: bool
    """Whether total_kimg is reached; False where a signal (Ctrl-C, SIGTERM) stopped it after a checkpoint."""
    folder: Path
    """The run folder: checkpoints, log, grids, index.html."""
    model: Path | None
    """The model folder, which celebahq.load and export_onnx take; None where none is published yet."""
    checkpoint: Path | None
    """The newest one, from which train() with the same options goes on."""
    nimg: int
    """Real images shown so far."""
    resolution: int
    """Of the images that the published model generates."""
    seconds: float
    """Of training, all parts of the run together."""
    metrics: dict[str, dict[str, float]]
    """Metric -> name -> value, the newest of each that TrainConfig.metrics asked for; empty without."""

    @property
    def kimg(self) -> float:
        """Thousands of real images shown so far."""
        return self.nimg / 1000

    def __bool__(self) -> bool:
        return self.finished

    def __str__(self) -> str:
        state = "finished" if self.finished else "stopped"
        size = f"{self.resolution}x{self.resolution}"
        return f"{self.folder}: {state} at {self.kimg:g} kimg, {size}, {self.seconds:.0f} s"


def train_result(run: "Run", finished: bool) -> TrainResult:
    """Return what a run has come to; its folder is as complete as it gets."""
    folder, state = run.facts.config.run_folder, run.state
    saved = checkpoints(folder / "checkpoints")
    rows = [row for row in read_rows(folder / "metrics.jsonl") if isinstance(row.get("values"), dict)]
    return TrainResult(
        finished=finished,
        folder=folder,
        model=folder / "model" if is_published(folder / "model") else None,
        checkpoint=saved[-1] if saved else None,
        nimg=state.nimg,
        resolution=published_resolution(state.growth.resolution, state.growth.alpha),
        seconds=round(state.seconds, 3),
        metrics={row["metric"]: row["values"] for row in rows if "metric" in row},  # the last of each counts
    )
