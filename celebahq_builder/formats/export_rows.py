"""The rows of a dataset as other formats take them: images to encode, labels as class numbers where they are such."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from celebahq.files import write_atomic
from celebahq.progress import progress
from celebahq_builder.hdf5 import Dataset

SUFFIX = {"png": ".png", "webp": ".webp", "jpeg": ".jpg"}


@dataclass(frozen=True)
class WriteOptions:
    """resolution: of the level that is written; image: how images are compressed; shard_bytes: of one file at most."""

    resolution: int
    image: Literal["png", "webp", "jpeg"] = "png"
    shard_bytes: int = 500 << 20


@dataclass(frozen=True)
class Row:
    """pixels: (R, R, C) uint8; label: (L,) float32 or None; class_id: where labels are classes; facts: of the face."""

    index: int
    pixels: np.ndarray
    label: np.ndarray | None
    class_id: int | None
    facts: dict[str, Any]

    def encode(self, image: str) -> bytes:
        """Return the image as a file: PNG and WebP without loss, JPEG at quality 95."""
        stream = io.BytesIO()
        settings: dict[str, Any] = {
            "png": {"compress_level": 3},
            "webp": {"lossless": True, "method": 0, "quality": 0, "exact": True},
            "jpeg": {"quality": 95, "subsampling": 0},
        }[image]
        pixels = self.pixels if self.pixels.shape[2] == 3 else self.pixels[..., 0]
        Image.fromarray(pixels).save(stream, image.upper(), **settings)
        return stream.getvalue()

    def write(self, path: Path, image: str) -> None:
        """Write the image as a file, complete or not at all; one that is there was made by the same command before."""
        if not path.exists():
            with write_atomic(path) as file:
                file.write(self.encode(image))


class ExportRows:
    """The rows of one level, with what every format wants to know of the labels.

    names: of the columns, or None; count: of the columns, 0 without labels; class_ids: (N,) where every label is one
    class, else None.
    """

    def __init__(self, dataset: Dataset, options: WriteOptions) -> None:
        self.dataset = dataset
        self.options = options
        self.names = dataset.label_names
        self.count = 0 if dataset.labels is None else dataset.labels.shape[1]
        self.class_ids = None if dataset.labels is None else _class_ids(dataset.labels)

    @cached_property
    def _facts(self) -> list[dict[str, Any]]:
        faces = {name: column.tolist() for name, column in self.dataset.faces.items()}
        return [{name: column[i] for name, column in faces.items()} for i in range(len(self.dataset))]

    def __len__(self) -> int:
        return len(self.dataset)

    def __iter__(self) -> Iterator[Row]:
        resolution = self.options.resolution
        block = max(1, (32 << 20) // (3 * resolution * resolution))
        with progress("images", len(self), "images") as bar:
            for start in range(0, len(self), block):
                images = self.dataset.read(resolution, np.arange(start, min(start + block, len(self))))
                for index, image in enumerate(images, start):
                    label = None if self.dataset.labels is None else self.dataset.labels[index]
                    class_id = None if self.class_ids is None else int(self.class_ids[index])
                    pixels = np.ascontiguousarray(image.transpose(1, 2, 0))
                    yield Row(index, pixels, label, class_id, self._facts[index])
                    bar.advance()

    def label_of(self, row: Row) -> dict[str, Any]:
        """Return {"label": class number} or {"labels": numbers}, {} without labels."""
        if row.class_id is not None:
            return {"label": row.class_id}
        return {} if row.label is None else {"labels": [float(value) for value in row.label]}


def _class_ids(labels: np.ndarray) -> np.ndarray | None:
    one_hot = bool(labels.size) and bool(((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all())
    return labels.argmax(axis=1) if one_hot else None


def write_label_names(folder: Path, rows: ExportRows) -> None:
    """Write label_names.json beside files that have no place for it: {"count": L, "names": [...] or null}."""
    if rows.count:
        names = None if rows.names is None else list(rows.names)
        with write_atomic(folder / "label_names.json") as file:
            file.write(json.dumps({"count": rows.count, "names": names}, indent=1).encode())


def read_label_names(folder: Path) -> tuple[tuple[str, ...] | None, int | None]:
    """Return the names and the number of columns that write_label_names wrote, None each where it did not."""
    try:
        found = json.loads((folder / "label_names.json").read_text(encoding="utf-8"))
        names, count = found["names"], found["count"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None, None
    fits = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return tuple(names) if fits else None, count if isinstance(count, int) else None
