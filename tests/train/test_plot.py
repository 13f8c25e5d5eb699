"""Curves: what is drawn is what was logged, growth where it happened, old logs as far as they go."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from train.config import TrainError
from train.plot import PlotConfig, names_of, plot
from train.report.curves import draw_panel, figure_of, panels
from train.report.run_log import read_run

ROOT = Path(__file__).resolve().parents[2]


def axes_by_title(figure):
    return {axes.get_title(loc="left"): axes for axes in figure.axes}


def test_curves_show_the_logs_numbers_and_dash_where_the_networks_grew(tmp_path, write_run):
    run = read_run(write_run(tmp_path / "a"))
    axes = axes_by_title(figure_of([run], ["a"]))
    for title, values in (("E[D(x)²] of the reals", [1, 4, 9, 16, 25, 36]), ("Loss of D", [-1, -2, -3, -4, -5, -6])):
        curve, *dashed = axes[title].get_lines()
        assert list(curve.get_xdata()) == [1, 2, 3, 4, 5, 6] and list(curve.get_ydata()) == values
        assert [(line.get_xdata()[0], line.get_linestyle()) for line in dashed] == [(2, "--"), (4, "--")]
    fakes, reals, *_ = axes["SWD x 1e3, average of the levels"].get_lines()
    assert (list(fakes.get_ydata()), list(reals.get_ydata())) == ([6, 4], [1.5, 1.5])
    hours = axes["Thousand images shown, against hours"].get_lines()[0]
    assert hours.get_xdata()[-1] == 280 / 3600 and hours.get_ydata()[-1] == 6


def test_runs_lie_over_each_other_and_an_old_log_says_what_it_lacks(tmp_path, write_run):
    runs = [read_run(write_run(tmp_path / "a")), read_run(write_run(tmp_path / "b", squared=False, grow=False))]
    names = names_of(runs)
    assert names == ["a", "b, without growing"]
    axes = axes_by_title(figure_of(runs, names))["E[D(x)²] of the reals"]
    assert axes.get_title(loc="right") == "not logged: b, without growing"
    assert draw_panel(axes_by_title(figure_of(runs, names))["Loss of D"], panels(runs)[1], runs, names) == []


def test_command_writes_the_kind_of_file_that_is_asked_for(tmp_path, write_run):
    run = write_run(tmp_path / "a")
    command = [sys.executable, "-m", "train.plot", str(run), "--output", str(tmp_path / "new" / "curves.png")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "new" / "curves.png") as image:
        assert image.format == "PNG" and image.width > 1000
    assert plot(PlotConfig(runs=(run,))) == run / "curves.png"


def test_what_is_no_run_or_no_figure_is_refused(tmp_path, write_run):
    with pytest.raises(TrainError, match=r"got no log\.jsonl, expected the folder of a run"):
        plot(PlotConfig(runs=(tmp_path,)))
    with pytest.raises(TrainError, match=r"--output: got .*curves\.gif, expected the name of a \.png"):
        plot(PlotConfig(runs=(write_run(tmp_path / "a"),), output=tmp_path / "curves.gif"))
    (tmp_path / "a" / "log.jsonl").write_text("nothing\n")
    with pytest.raises(TrainError, match="got no tick"):
        plot(PlotConfig(runs=(tmp_path / "a",)))
