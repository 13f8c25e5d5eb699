"""The options of python -m export demo."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from celebahq.options import check_options


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """Show a generator as a Gradio application here, or write the folder of a Hugging Face Space that shows it.

    Seeds, a grid, the way from face to face, truncation. The folder holds app.py, sample.py, model.onnx,
    requirements.txt and README.md; it needs gradio, numpy and onnxruntime, no torch. Nothing is sent to anybody.

    Example: python -m export demo --model runs/celebahq-paper

    Example: python -m export demo --model model.onnx --space space && hf upload org/name space --repo-type space
    """

    model: Annotated[str, tyro.conf.arg(metavar="MODEL|FILE.onnx")]
    """Model folder, run folder, the name of a published model, or a file made by python -m export onnx."""
    space: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Write the folder of a Space here and show nothing. None shows the application and leaves no folder behind."""
    port: Annotated[int, tyro.conf.arg(metavar="PORT")] = 7860
    """Where the application listens, on this machine only: http://127.0.0.1:PORT."""
    title: Annotated[str, tyro.conf.arg(metavar="TEXT")] = "Generated faces"
    """What the application is called."""
    resolution: Annotated[int | None, tyro.conf.arg(metavar="R")] = None
    """Side of the images: any that the generator grew through. None is its own."""
    precision: Literal["fp32", "fp16"] = "fp32"
    """fp16 halves the file; images differ by at most one gray level of 255."""

    def __post_init__(self) -> None:
        check_options(self)
