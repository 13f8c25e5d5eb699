"""python -m train.plot RUN...: losses, scores, metrics and hours of runs, drawn over each other."""

if __name__ == "__main__":  # while the rest is imported
    from celebahq.command import interrupted_in_one_line

    interrupted_in_one_line("train.plot")

import inspect
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from celebahq.command import run_command
from celebahq.files import write_atomic
from celebahq.options import check_options
from train.config import TrainError
from train.report.run_log import RunLog, read_run

LOG = logging.getLogger("celebahq.train")
FORMATS = (".png", ".svg", ".pdf")


@dataclass(frozen=True, kw_only=True)
class PlotConfig:
    """Draw the curves of one run, or of several over each other: the mean squared score of the reals, both losses and
    the penalty with dashed lines where the networks grew, the metrics that were measured while training (dotted: of
    the reals themselves), and images shown against hours. Runs before 2026-11-28 logged no squared scores.

    Examples:
      python -m train.plot runs/faces-smoke
      python -m train.plot runs/grown runs/not-grown --output figure4.png
    """

    runs: tyro.conf.Positional[Annotated[tuple[Path, ...], tyro.conf.arg(metavar="RUN...")]]
    """Run folders, as python -m train makes them."""
    output: Path | None = None
    """A .png, .svg or .pdf; by default curves.png in the run folder, or with several runs here."""

    def __post_init__(self) -> None:
        check_options(self)


def plot(config: PlotConfig) -> Path:
    """Draw the figure and return where it was written.

    Raises:
        TrainError: a folder that is no run, an --output of another kind.
    """
    output = config.output or (config.runs[0] / "curves.png" if len(config.runs) == 1 else Path("curves.png"))
    if output.suffix.lower() not in FORMATS or output.is_dir():
        raise TrainError(f"--output: got {output}, expected the name of a {', '.join(FORMATS)} file")
    runs = [read_run(folder) for folder in config.runs]
    from train.report.curves import figure_of  # matplotlib takes a second

    figure = figure_of(runs, names_of(runs))
    output.parent.mkdir(parents=True, exist_ok=True)
    with write_atomic(output) as file:
        figure.savefig(file, format=output.suffix[1:].lower(), dpi=120)
    return output


def names_of(runs: Sequence[RunLog]) -> list[str]:
    """Return what each run is called in a legend: its folder, longer where two are alike; and whether it grew."""
    paths = [run.folder.resolve() for run in runs]
    short = [path.name for path in paths]
    long = [f"{path.parent.name}/{path.name}" if short.count(path.name) > 1 else path.name for path in paths]
    return [
        name + (", without growing" if run.config.get("grow") is False else "")
        for name, run in zip(long, runs, strict=True)
    ]


def main() -> None:
    """Parse, draw."""
    run_command(_main, "train.plot")


def _main() -> None:
    config = tyro.cli(PlotConfig, prog="python -m train.plot", description=inspect.cleandoc(PlotConfig.__doc__ or ""))
    if not config.runs:
        raise TrainError("RUN: got none, expected one run folder or more")
    LOG.info("%s", plot(config))


if __name__ == "__main__":
    main()
