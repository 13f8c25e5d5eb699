"""The curves of runs as matplotlib figures: Figure 1 of the GAN zoo document, metrics, the paper's Figure 4."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from train.report.run_log import RunLog
from zoo.metrics import metric_of

COLORS = ("#1f8fd6", "#e8590c", "#2f9e44", "#9c5fd0", "#c2255c", "#0c8599", "#a8791b", "#7a828c")
"""Of the runs; readable on white and on black."""
INK = "#808182"
"""Of axes and text in an SVG, replaced by the color of the page's own text; no run has it."""


@dataclass(frozen=True)
class Panel:
    """One diagram: a title, the x axis, and what draws a run into it, False where the run has nothing to show."""

    title: str
    xlabel: str
    draw: Callable[[Axes, RunLog, str, str], bool]
    marks_growth: bool = True


def panels(runs: Sequence[RunLog]) -> list[Panel]:
    """Return the diagrams that these runs can fill."""
    found = [
        Panel("E[D(x)²] of the reals", "kimg", _curve("real_score_squared")),
        Panel("Loss of D", "kimg", _curve("d_loss")),
        Panel("Loss of G", "kimg", _curve("g_loss")),
        Panel("Gradient penalty", "kimg", _curve("gradient_penalty")),
    ]
    names = dict.fromkeys(row["metric"] for run in runs for row in run.metrics if isinstance(row.get("metric"), str))
    found += [Panel(_title(name), "kimg", _metric(name)) for name in names]
    return [*found, Panel("Thousand images shown, against hours", "hours of training", _hours, marks_growth=False)]


def _title(name: str) -> str:
    metric = metric_of(name)
    return f"{metric.name}, average of the levels" if "average" in metric.indexed else metric.name


def draw_panel(axes: Axes, panel: Panel, runs: Sequence[RunLog], names: Sequence[str]) -> list[str]:
    """Draw a diagram, with dashed lines where a run grew; return the names of the runs that have nothing in it."""
    missing = []
    for i, (run, name) in enumerate(zip(runs, names, strict=True)):
        if not panel.draw(axes, run, name, COLORS[i % len(COLORS)]):
            missing.append(name)
    axes.set_title(panel.title, fontsize=11, loc="left")
    axes.set_xlabel(panel.xlabel)
    axes.grid(True, alpha=0.25, linewidth=0.6)
    axes.margins(x=0.02)
    if len(missing) == len(runs):
        axes.set(xticks=[], yticks=[], xlabel="")
        axes.text(0.5, 0.5, "not logged", transform=axes.transAxes, ha="center", alpha=0.7)
    elif panel.marks_growth:
        longest = max(runs, key=lambda run: len(run.growths))
        if all(run.growths == longest.growths[: len(run.growths)] for run in runs):
            _mark_growths(axes, longest, str(axes.xaxis.label.get_color()), labeled=True)
        else:  # schedules of their own, in the colors of the runs
            for i, run in enumerate(runs):
                _mark_growths(axes, run, COLORS[i % len(COLORS)], labeled=run is longest)
    return missing


def figure_of(runs: Sequence[RunLog], names: Sequence[str]) -> Figure:
    """Return all diagrams of some runs, drawn over each other, in one figure."""
    diagrams = panels(runs)
    columns = 2
    height = -(-len(diagrams) // columns)
    figure = Figure(figsize=(12, 3.4 * height), layout="constrained")
    grid = figure.subplots(height, columns, squeeze=False).flatten()
    for axes, panel in zip(grid, diagrams, strict=False):
        missing = draw_panel(axes, panel, runs, names)
        if missing and len(missing) < len(runs):
            axes.set_title(f"not logged: {', '.join(missing)}", fontsize=8, loc="right")
    for axes in grid[len(diagrams) :]:
        axes.set_axis_off()
    handles, labels = grid[1].get_legend_handles_labels()  # every run has a loss
    figure.legend(handles, labels, loc="outside upper center", ncols=min(len(names), 4), frameon=False)
    return figure


def panel_svg(panel: Panel, run: RunLog) -> str:
    """Return a diagram of one run as an <svg> to stand in a page, its ink of the page's color, its text text."""
    inked = ("axes.edgecolor", "axes.labelcolor", "text.color", "xtick.color", "ytick.color", "grid.color")
    ink: Any = {**dict.fromkeys(inked, INK), "svg.fonttype": "none", "svg.hashsalt": panel.title}
    with rc_context(ink):
        figure = Figure(figsize=(5.2, 3.0), layout="constrained")
        draw_panel(figure.subplots(), panel, [run], [run.folder.name])
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :].replace(INK, "currentColor")


def _curve(key: str) -> Callable[[Axes, RunLog, str, str], bool]:
    def draw(axes: Axes, run: RunLog, name: str, color: str) -> bool:
        kimg, values = run.curve(key)
        axes.plot(kimg, values, color=color, linewidth=1.3, label=name, marker="." if len(kimg) < 2 else None)
        return bool(kimg)

    return draw


def _metric(metric: str) -> Callable[[Axes, RunLog, str, str], bool]:
    def draw(axes: Axes, run: RunLog, name: str, color: str) -> bool:
        rows = [row for row in run.metrics if row.get("metric") == metric and row["values"]]
        last = [list(row["values"])[-1] for row in rows]  # SWD's last value is the average of its levels
        kimg = [row["kimg"] for row in rows]
        values = [row["values"][key] for row, key in zip(rows, last, strict=True)]
        axes.plot(kimg, values, color=color, linewidth=1.3, marker=".", label=name)
        of_reals = [row.get("noise_floor", row.get("reals", {})).get(key) for row, key in zip(rows, last, strict=True)]
        level = [float("nan") if x is None else x for x in of_reals]
        axes.plot(kimg, level, color=color, linewidth=1, linestyle=":", marker="_")
        return bool(rows)

    return draw


def _hours(axes: Axes, run: RunLog, name: str, color: str) -> bool:
    """The paper's Figure 4: how many images were shown after so many hours; a run that does not grow is a line."""
    hours = [0.0, *(row["seconds"] / 3600 for row in run.rows)]
    axes.plot(hours, [0.0, *(row["kimg"] for row in run.rows)], color=color, linewidth=1.3, label=name)
    return True


def _mark_growths(axes: Axes, run: RunLog, color: str, labeled: bool) -> None:
    """A dashed line at each growth, and above it the resolution that begins there."""
    for kimg, resolution in run.growths:
        axes.axvline(kimg, color=color, linestyle="--", linewidth=0.8, alpha=0.6)
        if labeled:
            axes.annotate(
                f" {resolution}", (kimg, 0.98), xycoords=("data", "axes fraction"), va="top", fontsize=7, alpha=0.8
            )
