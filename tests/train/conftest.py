"""What tests of training share: small datasets of noise; a run folder as training leaves it, in small."""

import importlib
import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from celebahq import progress
from celebahq_builder.hdf5 import DatasetWriter
from train.report.curves import panel_svg as _panel_svg

KIMG = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
RESOLUTIONS = (4, 4, 8, 8, 16, 16)
SECONDS = (10.0, 20.0, 50.0, 80.0, 180.0, 280.0)


@pytest.fixture(scope="module", autouse=True)
def undrawn_curves() -> Iterator[None]:
    """A run's page has empty diagrams: matplotlib took three quarters of a tiny run's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("train.report.curves.panel_svg", lambda panel, run: "<svg></svg>")
        yield


@pytest.fixture
def silent_again() -> Iterator[None]:
    """What run_command sets up to print ends with the test: here other tests run on in the same process."""
    logger, shown = logging.getLogger("celebahq"), progress.is_progress_shown()
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.level, logger.propagate = before
    progress.show_progress(shown)


@pytest.fixture
def typed(monkeypatch, capsys, silent_again) -> Callable[..., tuple[int, str]]:
    """The function that runs a command in this process: typed("train.metrics", *words) -> (exit code, its stderr).

    A process of its own would import torch first, which takes longer than most refusals.
    """

    def run(module: str, *words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", [module, *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            importlib.import_module(f"{module}.__main__").main()
        return ended.value.code, capsys.readouterr().err

    return run


@pytest.fixture
def drawn_curves(monkeypatch) -> None:
    """A run's page has its diagrams."""
    monkeypatch.setattr("train.report.curves.panel_svg", _panel_svg)


def _write_run(folder: Path, squared: bool = True, **options) -> Path:
    """Write a run of six ticks that grows at 2 and 4 kimg; squared: its log has the squared scores."""
    folder.mkdir(parents=True)
    rows = [
        {"kimg": kimg, "resolution": r, "alpha": 0.5 if kimg in (3.0, 5.0) else 1.0, "d_loss": -kimg, "g_loss": kimg,
         "gradient_penalty": 0.1, "seconds": s, **({"real_score_squared": kimg**2} if squared else {})}
        for kimg, r, s in zip(KIMG, RESOLUTIONS, SECONDS, strict=True)
    ]  # fmt: skip
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"kimg": 7, "torn')
    metric = {"metric": "swd", "resolution": 16, "noise_floor": {"16": 1.0, "average": 1.5}}
    measured = [{"kimg": kimg, "values": {"16": 9.0, "average": 10.0 - kimg}, **metric} for kimg in (4.0, 6.0)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in measured))
    (folder / "config.json").write_text(json.dumps({"preset": "<b>tiny</b>", "grow": True, "total_kimg": 6, **options}))
    (folder / "history.json").write_text(json.dumps([{"kimg": 3.0, "changed": {"minibatch": [8, 4]}}]))
    for i, kimg in enumerate(KIMG):
        image = np.full((18, 32, 3), 40 * i, np.uint8)
        Image.fromarray(image).save(folder / f"fakes-{kimg:010.3f}.png")
    return folder


@pytest.fixture
def write_run() -> Callable[..., Path]:
    """The function that writes a run: write_run(folder, squared=True, **options) -> folder."""
    return _write_run


def _write_noise(
    path: Path,
    resolution: int = 8,
    seed: int = 0,
    labels: np.ndarray | None = None,
    label_names: tuple[str, ...] | None = None,
) -> Path:
    """Write 20 images of noise, each level drawn by itself."""
    random, levels = np.random.default_rng(seed), [resolution >> i for i in range(resolution.bit_length())]
    with DatasetWriter(path, resolution, 20, labels=labels, label_names=label_names) as writer:
        for _ in range(20):
            writer.write({r: random.integers(0, 256, (3, r, r), dtype=np.uint8) for r in levels})
    return path


@pytest.fixture(scope="session")
def write_noise() -> Callable[..., Path]:
    """The function that writes a dataset of noise: write_noise(path, resolution=8, seed=0, labels=None ...)."""
    return _write_noise


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    """20 images of noise, 8x8."""
    return _write_noise(tmp_path_factory.mktemp("data") / "faces.h5")
