"""python -m export images: seeds to pictures, top to bottom."""

import hashlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from export.config import ImagesConfig, UsageError
from export.pictures import grid_picture, is_painted, write_png
from export.sample import UnusableModel, latents, load_onnx, one_hot, to_uint8
from export.seeds import parse_grid, parse_seeds, squarest_grid


@dataclass(frozen=True)
class ImagesReport:
    """What was painted, by what, how fast."""

    output: Path
    painted: int
    already_there: int
    resolution: int
    seconds: float
    """Time in the network and its transfers, without writing files."""
    runs_on: str

    def __str__(self) -> str:
        size = f"{self.resolution}x{self.resolution}"
        kept = f", {self.already_there} already there" if self.already_there else ""
        if not self.painted:
            return f"{self.output}: nothing to paint{kept}"
        rate = self.painted / max(self.seconds, 1e-9)
        return (
            f"{self.output}: {self.painted} images of {size} painted{kept}, {self.runs_on}, "
            f"{self.seconds:.1f} s, {rate:.2f} images/s"
        )


def paint_images(config: ImagesConfig) -> ImagesReport:
    """Paint the images of seeds into a folder of PNG files or one grid.

    Raises:
        UsageError: an option, the model or the output cannot be used.
    """
    # The request, before anything is loaded.
    if config.batch < 1:
        raise UsageError(f"--batch: {config.batch}, at least 1 is wanted")
    as_grid = config.output.suffix.lower() == ".png"
    if config.grid and not as_grid:
        raise UsageError(f"--grid: --output is the folder {config.output}, a .png file is wanted")
    grid = parse_grid(config.grid) if config.grid else None
    places = f"0-{grid[0] * grid[1] - 1}" if grid else "0-15"
    seeds = parse_seeds(config.seeds or places)
    columns, rows = grid or squarest_grid(len(seeds))
    if columns * rows != len(seeds):
        raise UsageError(
            f"--grid: {columns}x{rows} has {columns * rows} places for {len(seeds)} seeds, as many of both are wanted"
        )

    # The generator and what each picture will say of itself.
    paint = load_generator(config.model, config.device)
    check_label(config.label, paint.label_size)
    caption = {"model_sha256": paint.metadata.get("source_sha256") or sha256(config.model)}
    if config.label is not None:
        caption["label"] = str(config.label)

    # One grid, or one file a seed.
    clock = Clock(len(seeds))
    if as_grid:
        caption |= {"seeds": ",".join(map(str, seeds)), "grid": f"{columns}x{rows}"}
        todo = [] if is_painted(config.output, caption, config.overwrite) else seeds
        pictures = [picture for _, picture in painted(paint, todo, config, clock)]
        if todo:
            write_png(config.output, grid_picture(np.stack(pictures), columns), caption)
    else:
        if config.output.exists() and not config.output.is_dir():
            raise UsageError(f"--output: {config.output} is a file, a folder or a .png is wanted")
        files = {seed: config.output / f"seed{seed:04d}.png" for seed in seeds}
        captions = {seed: caption | {"seed": str(seed)} for seed in seeds}
        todo = [seed for seed in seeds if not is_painted(files[seed], captions[seed], config.overwrite)]
        clock.total = len(todo)
        for seed, picture in painted(paint, todo, config, clock):
            write_png(files[seed], picture, captions[seed])
    return ImagesReport(
        config.output, len(todo), len(seeds) - len(todo), paint.resolution, clock.seconds, paint.runs_on
    )


def load_generator(model: Path, device: str) -> Any:
    """Return an OnnxGenerator for an .onnx file, without importing torch, or a TorchGenerator for a model folder.

    Raises:
        UsageError: the model cannot be used.
    """
    if model.suffix == ".onnx" and not model.is_dir():
        try:
            return load_onnx(model, device)
        except UnusableModel as error:
            raise UsageError(str(error)) from None
    if model.is_file():
        raise UsageError(f"--model: {model} is a file, a model folder or an .onnx file is wanted")
    from export.torch_generator import TorchGenerator

    return TorchGenerator(model, device)


def check_label(label: int | None, label_size: int) -> None:
    """Raise UsageError unless label is a class of the model, or None where it has none."""
    if label is None and label_size:
        raise UsageError(f"--label: none given, the model is conditional: 0 to {label_size - 1} is wanted")
    if label is not None and not label_size:
        raise UsageError(f"--label: {label} given, the model is unconditional and wants none")
    if label is not None and not 0 <= label < label_size:
        raise UsageError(f"--label: {label}, 0 to {label_size - 1} is wanted")


class Clock:
    """Time spent painting; prints rate and time to go, at most every few seconds, in place on a terminal."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self.seconds = 0.0
        self._shown = time.perf_counter()
        self._terminal = sys.stderr.isatty()

    def add(self, images: int, seconds: float) -> None:
        """Count a painted batch."""
        self.done += images
        self.seconds += seconds
        now = time.perf_counter()
        if now - self._shown < (0.5 if self._terminal else 10) and not (self._terminal and self.done == self.total):
            return
        self._shown = now
        rate = self.done / self.seconds
        line = f"{self.done} of {self.total} images, {rate:.2f}/s, {(self.total - self.done) / rate:.0f} s to go"
        start, end = ("\r\x1b[K", "\n" if self.done == self.total else "") if self._terminal else ("", "\n")
        print(start + line, end=end, file=sys.stderr, flush=True)


def painted(
    paint: Callable[..., np.ndarray], seeds: Sequence[int], config: ImagesConfig, clock: Clock
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each seed with its picture (R, R, C) uint8."""
    for first in range(0, len(seeds), config.batch):
        batch = seeds[first : first + config.batch]
        z = latents(batch, paint.latent_size)
        inputs = (z,) if config.label is None else (z, one_hot(config.label, paint.label_size, len(z)))
        start = time.perf_counter()
        images = paint(*inputs)
        clock.add(len(batch), time.perf_counter() - start)
        yield from zip(batch, to_uint8(images), strict=True)


def sha256(path: Path) -> str:
    """Return the sha256 of a file: the name of a foreign .onnx, which says nothing of where it is from."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
