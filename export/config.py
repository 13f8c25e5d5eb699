"""The options of python -m export: one frozen dataclass a subcommand."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from celebahq.options import check_options
from export.sample import UsageError as UsageError


@dataclass(frozen=True, kw_only=True)
class OnnxConfig:
    """Write a generator as one .onnx file that runs without PyTorch, and prove that it generates the same images.

    The file takes latents z (batch, latent) float32 and gives images (batch, 3, R, R) float32, nominally in [-1, 1];
    the batch is free. It carries the model's config, its license and the sha256 of its weights. Before the file takes
    its name, onnxruntime generates random, zero, tiny, huge and repeated latents with it, on each provider that works
    here, and PyTorch must agree within 1e-4 (with --precision fp16 within one gray level). Run again, it checks the
    file that is there.

    Example: python -m export onnx --model runs/celebahq-paper

    Example: python -m export onnx --model runs/celebahq-paper --resolution 256 --uint8 --precision fp16
    """

    model: Annotated[str, tyro.conf.arg(metavar="MODEL")]
    """Model folder, the run folder of python -m train that holds one, or the name of a published model."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="FILE.onnx")] = None
    """The file to write. None is model.onnx in the model folder, for any other option model-256-uint8-fp16.onnx say; of
    a model that is not yours (shipped, of the catalogue or the Hub) <name>.onnx here."""
    resolution: Annotated[int | None, tyro.conf.arg(metavar="R")] = None
    """Side of the images: any that the generator grew through, 4 to its own. None is its own."""
    uint8: tyro.conf.FlagCreatePairsOff[bool] = False
    """Give images (batch, R, R, 3) uint8, rounded within the file, where [-1, 1] spans [0, 255]."""
    precision: Literal["fp32", "fp16"] = "fp32"
    """fp16 halves the file; z and images stay as they are, and images differ by at most one gray level of 255."""
    external_data: tyro.conf.FlagCreatePairsOff[bool] = False
    """Put the weights into FILE.onnx.data beside it. Above 2 GB, the most that one .onnx holds, it is done anyway."""
    overwrite: tyro.conf.FlagCreatePairsOff[bool] = False
    """Replace an existing file."""

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, kw_only=True)
class ImagesConfig:
    """Generate faces into images, with PyTorch from a model folder or with onnxruntime from an .onnx (no torch needed).

    The latents of a seed are numpy.random.RandomState(seed).randn(latent): the same face on every machine, for ever.
    Images that the same command has generated already are left alone, so that it can be stopped and run again.

    Example: python -m export images --model model.onnx --seeds 0-99 --grid 10x10 --output faces.png

    Example: python -m export images --model runs/celebahq-paper --seeds 0-999 --output faces --device cuda

    Example: python -m export images --model model.onnx --seeds 3,8,5 --interpolate 7 --output from-3-to-5.webp
    """

    model: Annotated[str, tyro.conf.arg(metavar="MODEL|FILE.onnx")]
    """Model folder, run folder, the name of a published model, or a file made by python -m export onnx."""
    seeds: Annotated[str | None, tyro.conf.arg(metavar="SEEDS")] = None
    """Which faces: 7, 0-15 (both ends count) or 0-3,8,100-103. None is 0-15, or as many from 0 as --grid has places."""
    output: Annotated[Path, tyro.conf.arg(metavar="DIR|FILE")] = Path("images")
    """A folder for seed0000.png, seed0001.png, ..., or one .png, .jpg or .webp for a grid of all."""
    grid: Annotated[str | None, tyro.conf.arg(metavar="WxH")] = None
    """Columns and rows of the one image, say 4x4. None is as square as the number of faces allows."""
    format: Literal["png", "jpg", "webp"] = "png"
    """What a folder is filled with: PNG keeps every bit; JPEG and WebP, at quality 95, are far smaller."""
    interpolate: Annotated[int, tyro.conf.arg(metavar="INT")] = 0
    """Faces between each seed and the next, evenly along the great circle of the hypersphere of latents."""
    truncation: Annotated[float | None, tyro.conf.arg(metavar="X")] = None
    """Draw components of z again until none is larger in magnitude (BigGAN's truncation trick). ProGAN normalizes z,
    so it changes which face a seed gives and hardly narrows their variety."""
    label: Annotated[str | None, tyro.conf.arg(metavar="LABEL")] = None
    """What to generate, where the model is conditional: a class by its number from 0 or its name, or all numbers of the
    label, 0.3,-1 say."""
    batch: Annotated[int, tyro.conf.arg(metavar="INT")] = 4
    """Images generated at once; more is faster on a GPU and takes memory."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto is CUDA where it works, else the CPU; what really runs is printed."""
    overwrite: tyro.conf.FlagCreatePairsOff[bool] = False
    """Replace existing images that show something else."""

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, kw_only=True)
class VideoConfig:
    """Film faces that turn into each other, as the videos of the paper: an MP4 that plays everywhere, and loops.

    Each component of each latent is noise over time, blurred by a Gaussian of 0.75 s (45 frames at 60 Hz); the latents
    stay on the hypersphere. Needs PyAV (pip install celebahq[video]); an .onnx needs no torch.

    Example: python -m export video --model runs/celebahq-paper --grid 4x2 --output faces.mp4

    Example: python -m export video --model model.onnx --seconds 60 --fps 60 --resolution 512 --crf 14
    """

    model: Annotated[str, tyro.conf.arg(metavar="MODEL|FILE.onnx")]
    """Model folder, run folder, the name of a published model, or a file made by python -m export onnx."""
    output: Annotated[Path, tyro.conf.arg(metavar="FILE.mp4")] = Path("video.mp4")
    """The film to write."""
    seconds: Annotated[float, tyro.conf.arg(metavar="SECONDS")] = 10.0
    """Length. A loop much shorter than 4 s hardly moves: its end is its start."""
    fps: Annotated[float, tyro.conf.arg(metavar="FPS")] = 30.0
    """Frames a second; the paper's video has 60."""
    grid: Annotated[str, tyro.conf.arg(metavar="WxH")] = "1x1"
    """Faces side by side: columns and rows, say 4x2."""
    seed: Annotated[int, tyro.conf.arg(metavar="INT")] = 0
    """Which film: the same one on every machine."""
    style: Literal["paper", "released"] = "paper"
    """paper: blurred by 0.75 s, each latent on the hypersphere. released: by 1 s, divided by their common length, the
    noise drawn as the released program draws it."""
    loop: bool = True
    """Whether the last frame leads back to the first."""
    resolution: Annotated[int | None, tyro.conf.arg(metavar="R")] = None
    """Side of each face in pixels: the generator's own, which is None, a fraction of it (pixels are averaged) or a
    multiple (pixels are repeated: small faces keep their colors, of which H.264 stores a quarter)."""
    crf: Annotated[int, tyro.conf.arg(metavar="INT")] = 18
    """Quality of H.264, from 0, best, to 51; 18 is hardly told from the original, 23 is half the size."""
    label: Annotated[str | None, tyro.conf.arg(metavar="LABEL")] = None
    """What to generate, where the model is conditional: a class by its number from 0 or its name, or all numbers of the
    label, 0.3,-1 say."""
    batch: Annotated[int, tyro.conf.arg(metavar="INT")] = 4
    """Images generated at once; more is faster on a GPU and takes memory."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto is CUDA where it works, else the CPU; what really runs is printed."""
    overwrite: tyro.conf.FlagCreatePairsOff[bool] = False
    """Replace an existing file."""

    def __post_init__(self) -> None:
        check_options(self)
