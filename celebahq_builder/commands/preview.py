"""celebahq-data preview: one image of the best, the worst and some other faces of a file."""

import io
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from PIL import Image, ImageDraw, ImageFont

from celebahq.files import printable, write_atomic
from celebahq.options import check_options
from celebahq_builder.hdf5 import DatasetError, open_dataset

_log = logging.getLogger("celebahq.data")

_HEADING_PX = 24


@dataclass(frozen=True)
class PreviewConfig:
    """Draw a contact sheet: the best rows, the worst, and a random draw from between.

    Example: celebahq-data preview celebahq.h5 --output grid.png
    """

    file: Annotated[Path, tyro.conf.Positional]
    """A dataset file."""
    output: Path
    """Image to make, .png or .jpg; never overwritten."""
    rows: int = 2
    """Lines of faces in each of the three parts."""
    columns: int = 10
    """Faces a line."""
    cell: int = 128
    """Side of a face in pixels: the nearest level that is not larger is shown."""
    seed: int = 0
    """Of the random draw."""

    def __post_init__(self) -> None:
        check_options(self)
        for name in ("rows", "columns", "cell"):
            if getattr(self, name) < 1:
                raise DatasetError(f"--{name}: got {getattr(self, name)}, expected at least 1")
        if self.rows * self.columns * 3 > 10_000:
            raise DatasetError(f"--rows: got {self.rows} by {self.columns} faces, expected 3,333 a part at most")


def preview(config: PreviewConfig) -> Path:
    """Write and return config.output; FileExistsError when it is there, DatasetError when the file is no dataset."""
    if config.output.exists():
        raise FileExistsError(f"{config.output}: exists already, and is not overwritten")
    if config.output.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise DatasetError(f"--output: got {config.output}, expected a name that ends with .png or .jpg")
    with open_dataset(config.file) as dataset:
        resolution = max((r for r in dataset.resolutions if r <= config.cell), default=1)
        scores = dataset.faces.get("score")
        parts = {
            heading: (rows, dataset.read(resolution, rows))
            for heading, rows in choose_rows(len(dataset), config, scored=scores is not None).items()
        }
    sheet = contact_sheet(parts, scores, config.columns)
    stream = io.BytesIO()
    sheet.save(stream, format="png" if config.output.suffix.lower() == ".png" else "jpeg", quality=92)
    with write_atomic(config.output) as file:
        file.write(stream.getvalue())
    _log.info(f"{printable(config.output)}: {sheet.width}x{sheet.height}")
    return config.output


def choose_rows(num_faces: int, config: PreviewConfig, scored: bool) -> dict[str, np.ndarray]:
    """Return heading -> rows, every row at most once: first, last, and a draw from between."""
    count = config.rows * config.columns
    first = np.arange(min(count, num_faces))
    last = np.arange(max(len(first), num_faces - count), num_faces)
    between = np.arange(len(first), num_faces - len(last))
    drawn = np.sort(np.random.default_rng(config.seed).permutation(between)[:count])
    names = ("best", "random", "worst") if scored else ("first", "random", "last")
    return {name: rows for name, rows in zip(names, (first, drawn, last), strict=True) if len(rows)}


def contact_sheet(
    parts: dict[str, tuple[np.ndarray, np.ndarray]], scores: np.ndarray | None, columns: int
) -> Image.Image:
    """Draw each part, (rows, (n, C, r, r) uint8), under a heading with its range of rows and scores."""
    side = next(iter(parts.values()))[1].shape[-1]
    lines = sum(-(-len(rows) // columns) for rows, _ in parts.values())
    columns = min(columns, max(len(rows) for rows, _ in parts.values()))
    sheet = Image.new("RGB", (max(columns * side, 320), lines * side + len(parts) * _HEADING_PX), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=14)
    y = 0
    for heading, (rows, images) in parts.items():
        text = f"{heading}: {len(rows)} of rows {rows.min()}..{rows.max()}"
        if scores is not None:
            text += f", score {scores[rows].max():.3f}..{scores[rows].min():.3f}"
        draw.text((4, y + 3), text, fill="black", font=font)
        y += _HEADING_PX
        for i, image in enumerate(images):
            sheet.paste(
                Image.fromarray(image.transpose(1, 2, 0) if len(image) == 3 else image[0]),
                (i % columns * side, y + i // columns * side),
            )
        y += -(-len(rows) // columns) * side
    return sheet
