"""The options of python -m export web."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from celebahq.options import check_options


@dataclass(frozen=True, kw_only=True)
class WebConfig:
    """Write a folder that any static web server turns into a page on which the visitor's browser generates the faces.

    It holds the generator as ONNX, onnxruntime-web and the page: seeds, sliders along the directions that change faces
    most, films from face to face, PNG files. A seed is the same face as in python -m export images. The page asks no
    other server for anything and sends nothing. To look at it: python -m http.server --directory DIR.

    Example: python -m export web --model runs/celebahq-paper --output page
    """

    model: Annotated[str, tyro.conf.arg(metavar="MODEL|FILE.onnx")]
    """Model folder, run folder, the name of a published model, or a file made by python -m export onnx."""
    output: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("page")
    """The folder to write, about 41 MB and the generator."""
    title: Annotated[str, tyro.conf.arg(metavar="TEXT")] = "Generated faces"
    """What the page is called."""
    resolution: Annotated[int | None, tyro.conf.arg(metavar="R")] = None
    """Side of the images. None is the generator's own, or 256 where that is larger: browsers are slow generators."""
    precision: Literal["fp32", "fp16"] = "fp32"
    """fp16 halves the download of the generator; images differ by at most one gray level of 255."""
    directions: Annotated[int, tyro.conf.arg(metavar="INT")] = 8
    """How many sliders, 0 is none. Their directions are measured first, on at least 512 images."""
    runtime: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """An unpacked npm package onnxruntime-web of the right version. None fetches it once with npm and keeps it."""
    overwrite: tyro.conf.FlagCreatePairsOff[bool] = False
    """Replace an existing page; files that are not the page's stay in its folder."""

    def __post_init__(self) -> None:
        check_options(self)
