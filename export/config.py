"""The options of python -m export: one frozen dataclass a subcommand."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro


class UsageError(ValueError):
    """An option or a file that cannot be used; the message is one line that names it and the remedy."""


@dataclass(frozen=True, kw_only=True)
class OnnxConfig:
    """Write a generator as one .onnx file that runs without PyTorch, and prove that it paints the same images.

    The file takes latents z (batch, latent) float32 and gives images (batch, 3, R, R) float32, nominally in [-1, 1];
    the batch is free. It carries the model's config, its licence and the sha256 of its weights. Before the file takes
    its name, onnxruntime paints random, zero, tiny and large latents with it, and PyTorch must agree within 1e-4.
    Run again, it checks the file that is there.

    Example: python -m export onnx --model runs/00000-paper
    """

    model: Annotated[Path, tyro.conf.arg(metavar="MODEL")]
    """Model folder, or the run folder of python -m train that holds one."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="FILE.onnx")] = None
    """The file to write; None is model.onnx in the model folder."""
    overwrite: tyro.conf.FlagCreatePairsOff[bool] = False
    """Replace an existing file."""


@dataclass(frozen=True, kw_only=True)
class ImagesConfig:
    """Paint faces into PNG files, with PyTorch from a model folder or with onnxruntime from an .onnx (no torch needed).

    The latents of a seed are numpy.random.RandomState(seed).randn(latent): the same face on every machine, for ever.
    Pictures that the same command has painted already are left alone, so that it can be stopped and run again.

    Example: python -m export images --model model.onnx --seeds 0-15 --output faces.png

    Example: python -m export images --model runs/00000-paper --seeds 0-999 --output faces --device cuda
    """

    model: Annotated[Path, tyro.conf.arg(metavar="MODEL|FILE.onnx")]
    """Model folder, run folder, or a file made by python -m export onnx."""
    seeds: Annotated[str | None, tyro.conf.arg(metavar="SEEDS")] = None
    """Which faces: 7, 0-15 (both ends count) or 0-3,8,100-103. None is 0-15, or as many from 0 as --grid has places."""
    output: Annotated[Path, tyro.conf.arg(metavar="DIR|FILE.png")] = Path("images")
    """A folder for seed0000.png, seed0001.png, ..., or one .png for a grid of all."""
    grid: Annotated[str | None, tyro.conf.arg(metavar="WxH")] = None
    """Columns and rows of the .png, say 4x4. None is as square as the number of seeds allows."""
    label: Annotated[int | None, tyro.conf.arg(metavar="INT")] = None
    """Class to paint, from 0, where the model is conditional."""
    batch: Annotated[int, tyro.conf.arg(metavar="INT")] = 4
    """Images painted at once; more is faster on a GPU and takes memory."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto is CUDA where it works, else the CPU; what really runs is printed."""
    overwrite: tyro.conf.FlagCreatePairsOff[bool] = False
    """Replace existing pictures that show something else."""
