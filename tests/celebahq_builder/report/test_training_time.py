"""The line that a build ends with: what training takes here, and what to try where that is years."""

import pytest

from celebahq_builder.build import build
from celebahq_builder.config import BuildConfig
from celebahq_builder.report import training_time
from celebahq_builder.report.training_time import training_estimate, training_gflop


def test_work_adds_up_the_papers_schedule():
    # 800 thousand images at 4x4, 1600 at 8x8, and 1600 + 1600 at 16x16
    assert training_gflop(16) == pytest.approx(1e3 * (800 * 1.5 + 1600 * 12.4 + 3200 * 55.9))


@pytest.mark.parametrize(
    ("gflops", "words", "too_long"),
    [(100, "about 6 years without a GPU", True), (1e4, "about 21 days without a GPU", False)],
)
def test_estimate_is_in_units_that_people_use(monkeypatch, gflops, words, too_long):
    monkeypatch.setattr(training_time, "_has_gpu", lambda: False)
    monkeypatch.setattr(training_time, "cpu_gflops", lambda: gflops)
    found, is_too_long = training_estimate(1024)
    assert found.startswith(words) and is_too_long == too_long


def test_build_without_a_gpu_ends_with_what_training_takes_and_with_the_smoke_preset(
    made_photos, trouble, tmp_path, monkeypatch, logged
):
    monkeypatch.setattr(training_time, "_has_gpu", lambda: False)
    monkeypatch.setattr(training_time, "cpu_gflops", lambda: 1.0)
    output = tmp_path / "my faces.h5"
    build(BuildConfig(input=made_photos, output=output, resolution=32, workers=0, restore="off"))
    said = "\n".join(record.getMessage() for record in logged)
    train, time, smoke, _ = said[said.index("Train on them:") :].splitlines()
    assert train == f"Train on them: python -m train --dataset '{output}'"
    assert "without a GPU" in time and "years" in time
    assert smoke == f"Try it first:  python -m train --dataset '{output}' --preset smoke"
