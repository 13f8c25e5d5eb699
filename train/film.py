"""python -m train.film RUN: how the faces came, grid after grid, as one film."""

if __name__ == "__main__":  # while the rest is imported
    from celebahq.command import interrupted_in_one_line

    interrupted_in_one_line("train.film")

import bisect
import inspect
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from PIL import Image, ImageDraw, ImageFont

from celebahq.command import run_command
from celebahq.files import atomic_path
from celebahq.options import check_options
from celebahq.progress import clock
from train.config import TrainError
from train.report.run_log import RunLog, read_run

LOG = logging.getLogger("celebahq.train")
WIDEST, HIGHEST = 1920, 1080
CAPTION = 32
"""Pixels of the line under the faces."""


@dataclass(frozen=True, kw_only=True)
class FilmConfig:
    """Make a film of a run's grids. Time runs as it ran while training, but slower at the start, where most happens:
    at the share s of the film, the share s ** time_warp of the hours of training has passed.

    Examples:
      python -m train.film runs/faces-smoke
      python -m train.film runs/faces-smoke --seconds 40 --time-warp 1 --output growing.mp4
    """

    run: tyro.conf.Positional[Path]
    """Run folder, as python -m train makes it."""
    output: Path | None = None
    """An .mp4; by default training.mp4 in the run folder."""
    seconds: float = 20.0
    """Length of the film."""
    fps: float = 30.0
    """Frames a second."""
    time_warp: float = 1.5
    """1 shows the hours evenly; more gives the early ones more of the film. 1.5 is the released program's."""
    crf: int = 18
    """Quality of H.264, 0 to 51; less is better and larger."""

    def __post_init__(self) -> None:
        check_options(self)


def make_film(config: FilmConfig) -> tuple[Path, int]:
    """Write the film; return where, and how many frames it has.

    Raises:
        TrainError: an option or the run cannot be used, or PyAV is not installed.
    """
    output = config.output or config.run / "training.mp4"
    _check(config, output)
    try:
        import av
    except ImportError:
        raise TrainError("PyAV: not installed, expected it for films: pip install av (or celebahq[video])") from None
    run = read_run(config.run)
    moments = seconds_of_grids(run)
    if not moments:
        raise TrainError(f"{config.run}: got no fakes-*.png, expected the grids of a run; --image-ticks 0 draws none")
    shown = frames_of(moments, round(config.seconds * config.fps), config.time_warp)
    width, height = frame_size([path for _, path in run.grids[: len(moments)]])
    output.parent.mkdir(parents=True, exist_ok=True)
    with (
        atomic_path(output) as partial,
        av.open(str(partial), "w", format="mp4", options={"movflags": "+faststart"}) as film,
    ):
        stream = film.add_stream("libx264", rate=Fraction(config.fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        # Named, because players otherwise guess the colors from the size.
        tags = "colorprim=bt709:transfer=bt709:colormatrix=bt709:range=tv"
        stream.options = {"crf": str(config.crf), "preset": "medium", "x264-params": tags}
        for image in _images(run, moments, shown, (width, height)):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
    return output, len(shown)


def seconds_of_grids(run: RunLog) -> list[float]:
    """Return the seconds of training at each grid of the run, between two ticks in proportion to the images."""
    kimg = [0.0, *(row["kimg"] for row in run.rows)]
    seconds = [0.0, *(row["seconds"] for row in run.rows)]
    return np.interp([at for at, _ in run.grids], kimg, seconds).tolist()


def frames_of(moments: list[float], frames: int, time_warp: float) -> list[int]:
    """Return which grid each frame shows: the newest at (share of the film) ** time_warp of the run's time.

    Args:
        moments: seconds of training at each grid, rising.
        frames: of the film, 2 or more; the first shows the first grid, the last the last.
        time_warp: exponent, more than 0.
    """
    times = [(i / (frames - 1)) ** time_warp * moments[-1] for i in range(frames)]
    return [max(bisect.bisect_right(moments, time) - 1, 0) for time in times]


def frame_size(grids: list[Path]) -> tuple[int, int]:
    """Return the (width, height) of the film: the last grid's as it is shown, and the caption; even numbers."""
    width, height = _shown(grids[-1]).size
    return width + width % 2, height + height % 2 + CAPTION


def _images(run: RunLog, moments: list[float], shown: list[int], size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Yield each frame, (height, width, 3) uint8; a grid is read once however long it stands."""
    before, image = -1, np.empty(0, np.uint8)
    for index in shown:
        if index != before:
            kimg, path = run.grids[index]
            image = frame_of(path, _caption(run, kimg, moments[index]), size)
            before = index
        yield image


def frame_of(path: Path, caption: str, size: tuple[int, int]) -> np.ndarray:
    """Return a grid over its caption, (height, width, 3) uint8; TrainError where the file is no image."""
    grid = _shown(path)
    if grid.size[0] > size[0] or grid.size[1] > size[1] - CAPTION:  # of another layout than the last
        grid.thumbnail((size[0], size[1] - CAPTION), Image.Resampling.BOX)
    frame = Image.new("RGB", size)
    frame.paste(grid, (0, 0))
    font = ImageFont.load_default(CAPTION * 0.55)
    ImageDraw.Draw(frame).text((8, size[1] - CAPTION / 2), caption, fill=(230, 230, 230), font=font, anchor="lm")
    return np.asarray(frame)


def _caption(run: RunLog, kimg: float, seconds: float) -> str:
    row: dict[str, Any] = next((row for row in run.rows if row["kimg"] >= kimg), run.rows[-1])
    fade = f" fading in, {row['alpha']:.2f}" if row.get("alpha", 1) < 1 else ""
    return f"{kimg:g} kimg    {row['resolution']}x{row['resolution']}{fade}    {clock(seconds)}"


def _shown(path: Path) -> Image.Image:
    """Return a grid as large as a screen: means of whole cells of pixels, or each pixel repeated."""
    try:
        with Image.open(path) as image:
            grid = image.convert("RGB")
    except (OSError, ValueError):
        raise TrainError(f"{path}: got no image, expected a grid of the run; delete it and try again") from None
    grid = grid.reduce(max(1, -(-grid.width // WIDEST), -(-grid.height // HIGHEST)))
    larger = max(1, min(WIDEST // grid.width, HIGHEST // grid.height))
    return grid.resize((grid.width * larger, grid.height * larger), Image.Resampling.NEAREST)


def _check(config: FilmConfig, output: Path) -> None:
    if output.suffix.lower() != ".mp4" or output.is_dir():
        raise TrainError(f"--output: got {output}, expected the name of an .mp4 file")
    for name, least, most in (("fps", 1, 240), ("seconds", 0, 3600), ("crf", 0, 51)):
        value = getattr(config, name)
        if not (math.isfinite(value) and least <= value <= most):
            raise TrainError(f"--{name}: got {value}, expected {least} to {most}")
    if not (math.isfinite(config.time_warp) and 0 < config.time_warp <= 10):
        raise TrainError(f"--time-warp: got {config.time_warp}, expected more than 0, at most 10")
    if round(config.seconds * config.fps) < 2:
        raise TrainError(f"--seconds: got {config.seconds} at {config.fps:g} fps, expected 2 frames or more")


def main() -> None:
    """Parse, write the film."""
    run_command(_main, "train.film")


def _main() -> None:
    config = tyro.cli(FilmConfig, prog="python -m train.film", description=inspect.cleandoc(FilmConfig.__doc__ or ""))
    output, frames = make_film(config)
    LOG.info("%s: %d frames, %.1f s, %.1f MB", output, frames, frames / config.fps, output.stat().st_size / 1e6)


if __name__ == "__main__":
    main()
