"""What tests of training share: a run folder as training leaves it, in small, with log, metrics, options, grids."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

KIMG = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
RESOLUTIONS = (4, 4, 8, 8, 16, 16)
SECONDS = (10.0, 20.0, 50.0, 80.0, 180.0, 280.0)


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
