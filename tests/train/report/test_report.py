"""What a run tells goes to log.jsonl with and without TensorBoard."""

import json
import logging
import sys

import pytest
from PIL import Image

from train.report.report import CURVES, Report


def row(kimg):
    numbers = dict.fromkeys(CURVES, 0.5) | {"resolution": 8, "alpha": 1.0}
    return numbers | {"kimg": kimg, "seconds": 3.0, "iterations": 4, "d_overflow": 0.0, "g_overflow": 0.0}


METRIC = {"metric": "swd", "kimg": 1.0, "values": {"average": 9.0}, "noise_floor": {"average": 2.0}, "resolution": 8,
          "seconds": 1.0, "best": True}  # fmt: skip


@pytest.mark.parametrize("installed", [True, False])
def test_the_log_is_the_same_without_tensorboard_and_one_line_says_so(tmp_path, monkeypatch, caplog, installed):
    caplog.set_level(logging.INFO, "celebahq")
    if not installed:
        monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    (tmp_path / "config.json").write_text('{"preset": "smoke"}')
    Image.new("RGB", (8, 8)).save(tmp_path / "fakes-1.png")
    with Report(tmp_path, nimg=0, total_kimg=2.0) as report:
        report.tick(row(1.0))
        report.metric(METRIC)
        report.grid(tmp_path / "fakes-1.png", 1000)
    assert json.loads((tmp_path / "log.jsonl").read_text()) == row(1.0)
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["values"] == {"average": 9.0}
    assert bool(list(tmp_path.glob("events.out.tfevents.*"))) == installed
    said = [record.message for record in caplog.records if "TensorBoard" in record.message]
    wanted = ["no TensorBoard events: tensorboard is not installed; log.jsonl holds the same numbers"]
    assert said == ([] if installed else wanted)
