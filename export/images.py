"""python -m export images: seeds to images, top to bottom."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from celebahq.progress import progress
from export.config import ImagesConfig, UsageError
from export.generators import AnyGenerator, Clock, load_generator, model_sha256
from export.image_files import FORMATS, check_place, check_size, is_up_to_date, refuse_other_files, write_image
from export.sample import image_grid, latents, parse_label, parse_seeds, squarest_grid
from export.seeds import LatentPoint, interpolate, interpolate_latents, label_caption, parse_grid

_log = logging.getLogger("celebahq.export")

MAX_BETWEEN = 9999
"""Most faces between two seeds."""


@dataclass(frozen=True)
class ImagesReport:
    """What was generated, by what, how fast."""

    output: Path
    generated: int
    already_there: int
    resolution: int
    seconds: float
    """Time in the network and its transfers, without writing files."""
    runs_on: str

    def __str__(self) -> str:
        size = f"{self.resolution}x{self.resolution}"
        kept = f", {self.already_there} already there" if self.already_there else ""
        if not self.generated:
            return f"{self.output}: nothing to generate{kept}"
        rate, images = self.generated / max(self.seconds, 1e-9), "image" if self.generated == 1 else "images"
        return (
            f"{self.output}: {self.generated} {images} of {size} generated{kept}, {self.runs_on}, "
            f"{self.seconds:.1f} s, {rate:.2f} images/s"
        )


def generate_images(config: ImagesConfig) -> ImagesReport:
    """Generate the images of seeds into a folder of images or one grid.

    Raises:
        UsageError: an option, the model or the output cannot be used.
    """
    # The request, before anything is loaded.
    if config.batch < 1:
        raise UsageError(f"--batch: got {config.batch}, expected at least 1")
    if not 0 <= config.interpolate <= MAX_BETWEEN:
        raise UsageError(f"--interpolate: got {config.interpolate}, expected 0 to {MAX_BETWEEN}")
    as_grid = config.output.suffix.lower() in FORMATS
    if not as_grid:
        refuse_other_files(config.output)
    if config.grid and not as_grid:
        raise UsageError(f"--grid: got the folder {config.output} as --output, expected a .png, .jpg or .webp file")
    if config.output.exists() and not as_grid and not config.output.is_dir():
        raise UsageError(f"--output: got the file {config.output}, expected a folder, or a .png, .jpg or .webp")
    grid = parse_grid(config.grid) if config.grid else None
    seeds = parse_seeds(
        config.seeds or (f"0-{grid[0] * grid[1] - 1}" if grid is not None and not config.interpolate else "0-15")
    )
    if config.interpolate and len(seeds) < 2:
        raise UsageError(f"--interpolate: got one seed, {seeds[0]}, expected two or more in --seeds to go between")
    places = interpolate(seeds, config.interpolate)
    columns, rows = grid or squarest_grid(len(places))
    if columns * rows != len(places):
        what = "faces, those between seeds included" if config.interpolate else "seeds"
        raise UsageError(
            f"--grid: got {columns}x{rows}, {columns * rows} places for {len(places)} {what}, expected as many of both"
        )

    latents([], 1, config.truncation)  # refuses what cannot be drawn

    # The generator and what each image will say of itself.
    generator = load_generator(config.model, config.device)
    label = parse_label(config.label, generator.label_size, generator.label_names)
    caption = {"model_sha256": model_sha256(generator, config.model)}
    caption |= {key: generator.metadata[key] for key in ("precision",) if generator.metadata.get(key, "fp32") != "fp32"}
    caption |= {"resolution": str(generator.resolution)}
    if label is not None:
        caption["label"] = label_caption(label)
    if config.truncation is not None:
        caption["truncation"] = str(config.truncation)

    # One grid, or one file a face.
    if as_grid:
        caption |= {"seeds": ",".join(place.name.removeprefix("seed") for place in places), "grid": f"{columns}x{rows}"}
        check_size(config.output, columns * generator.resolution, rows * generator.resolution)
        todo = [] if is_up_to_date(config.output, caption, config.overwrite) else places
        if todo:
            check_place(config.output.parent)
        with progress(str(config.output), len(todo), "images") as bar:
            clock = Clock(bar)
            images = [image for _, image in generated(generator, todo, config, clock, label)]
        if todo:
            write_image(config.output, image_grid(np.stack(images), columns), caption)
    else:
        files = {place: config.output / f"{place.name}.{config.format}" for place in places}
        captions = {place: caption | {"seed": place.name.removeprefix("seed")} for place in places}
        todo = [place for place in places if not is_up_to_date(files[place], captions[place], config.overwrite)]
        if todo:
            check_place(config.output)
        with progress(str(config.output), len(todo), "images") as bar:
            clock = Clock(bar)
            for place, image in generated(generator, todo, config, clock, label):
                write_image(files[place], image, captions[place])
    return ImagesReport(
        config.output, len(todo), len(places) - len(todo), generator.resolution, clock.seconds, generator.runs_on
    )


def generated(
    generator: AnyGenerator, places: Sequence[LatentPoint], config: ImagesConfig, clock: Clock, label: np.ndarray | None
) -> Iterator[tuple[LatentPoint, np.ndarray]]:
    """Yield each place with its image (R, R, C) uint8; say first where a GPU is there and the CPU generates."""
    if generator.note and places:
        _log.warning(generator.note)
    for first in range(0, len(places), config.batch):
        batch = places[first : first + config.batch]
        z = interpolate_latents(batch, generator.latent_size, config.truncation)
        labels = None if label is None else label[None].repeat(len(z), axis=0)
        start = time.perf_counter()
        images = generator.uint8_images(z, labels)
        clock.add(len(batch), time.perf_counter() - start)
        yield from zip(batch, images, strict=True)
