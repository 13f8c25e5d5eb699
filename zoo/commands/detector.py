"""python -m zoo show and verify of the face detector: what its file holds, and whether it is what it was. No torch."""

from pathlib import Path

import numpy as np

from zoo.commands.finding import Finding
from zoo.detector import ONNX_NAME, OUTPUTS, checked_sha256, open_session
from zoo.folder import ModelError


def detector_lines(folder: Path) -> list[str]:
    """Return the inputs, outputs and parameters of the network."""
    import onnx

    graph = onnx.load(folder / ONNX_NAME).graph
    values = [("input", value) for value in graph.input] + [("output", value) for value in graph.output]
    lines = []
    for title, value in values:
        sides = ", ".join(str(side.dim_param or side.dim_value) for side in value.type.tensor_type.shape.dim)
        lines.append(f"  {title:<7} {value.name:<10} ({sides})")
    total = sum(int(np.prod(weight.dims)) for weight in graph.initializer)
    return [*lines, f"  {total:,} parameters, in half precision"]


def detector_findings(folder: Path) -> list[Finding]:
    """Check the hash, and what the network gives for photos of two sizes."""
    try:
        findings = [Finding(True, f"{ONNX_NAME}: sha256 {checked_sha256(folder)[:8]}")]
    except ModelError as error:
        findings = [Finding(False, str(error))]
    try:
        session = open_session(folder)
    except ModelError as error:
        return [*findings, Finding(False, str(error))]
    for count, height, width in ((1, 64, 96), (2, 32, 32)):
        photos = np.random.default_rng(0).uniform(0, 255, (count, 3, height, width)).astype(np.float32)
        given = session.run(list(OUTPUTS), {"photos": photos})
        wanted = [(count, channels, height // 4, width // 4) for channels in OUTPUTS.values()]
        good = [part.shape for part in given] == wanted and all(np.isfinite(part).all() for part in given)
        findings.append(Finding(good, f"outputs for {count} of {width}x{height}: every shape, all of it finite"))
    return findings
