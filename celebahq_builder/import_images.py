"""celebahq-data import: ready-made square faces, in folders or zip archives, to a dataset file."""

import hashlib
import io
import json
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro
from PIL import Image, ImageOps, UnidentifiedImageError

from celebahq_builder.hdf5 import DatasetWriter, FaceRecord
from celebahq_builder.image_sources import ImageSource, SourceError
from celebahq_builder.import_labels import read_labels
from celebahq_builder.progress import progress
from celebahq_builder.pyramid import pyramid

_THREADS = 2  # decoding leaves Python's lock; writing is one thread's work anyway
_CELEBA_SIZE, _CELEBA_CENTRE, _CELEBA_HALF = (178, 218), (89, 121), 64  # (x, y); the released create_celeba
_FILTERS = {"box": Image.Resampling.BOX, "lanczos": Image.Resampling.LANCZOS}


@dataclass(frozen=True, kw_only=True)
class ImportConfig:
    """Make a dataset file of ready-made square images (PNG, JPEG, WebP), in the order of their names.

    Nothing is resized or converted unless asked for: the first image that is not an RGB square of the right size stops
    the import, and no file is made.

    Example: celebahq-data import faces.zip more-faces/ --output faces.h5
    """

    sources: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")]
    """Folders and .zip archives of images, one after the other."""
    output: Path
    """The file to make, e.g. faces.h5. It is never overwritten."""
    resolution: int | None = None
    """Side of the images in pixels, a power of two; left out, that of the first image."""
    crop: Literal["none", "center", "celeba"] = "none"
    """center: the largest square in the middle. celeba: the 128x128 around (89, 121) of the aligned 178x218 CelebA."""
    resize: Literal["none", "box", "lanczos"] = "none"
    """Bring images of another size to --resolution with this filter."""
    to_rgb: bool = False
    """Accept grey, palette, CMYK and transparent images too, converted as celebahq-build converts photos."""
    labels: Literal["none", "folders"] | Path = "none"
    """folders: one class for each folder at the top of a source. FILE.csv: the names of the images in the first column
    (with or without folder and suffix), then one column with a class, or several with numbers."""
    limit: int | None = None
    """Take the first so many images only."""
    compression: Literal["none", "gzip"] = "none"
    """gzip is the filter of the released files: a fifth smaller at 128x128, half at 1024x1024, and 13 times slower."""


def import_images(config: ImportConfig) -> None:
    """Write config.output; SourceError, OSError or UnusablePhoto where an image or a file is in the way."""
    if not config.sources:
        raise SourceError("SOURCE: none given, at least one folder or .zip of images is wanted")
    if config.limit is not None and config.limit < 1:
        raise SourceError(f"--limit: {config.limit}, at least 1 is wanted")
    sources = [ImageSource(path) for path in config.sources]
    entries = [(source, name) for source in sources for name in source.names][: config.limit]
    names = [name if len(sources) == 1 else f"{source.path.name}/{name}" for source, name in entries]
    if len(set(names)) < len(names):
        raise SourceError(f"{config.sources[-1]}: two sources of the same name, their rows could not be told apart")
    labels = read_labels(config.labels, [name for _, name in entries])

    resolution = config.resolution
    if resolution is None:
        resolution = _first_side(*entries[0], config)
    if resolution < 1 or resolution & (resolution - 1):
        wanted = "--resolution" if config.resolution else f"{entries[0][0].path}/{entries[0][1]}"
        raise SourceError(f"{wanted}: {resolution} pixels a side, a power of two is wanted (see --crop, --resize)")

    # Names without their folders: the file may be published, and where it was made concerns nobody.
    settings = json.dumps({"command": "celebahq-data import", **asdict(config)}, default=lambda path: path.name)
    writer = DatasetWriter(
        config.output,
        resolution,
        len(entries),
        attributes={"config": settings},
        compression=None if config.compression == "none" else config.compression,
        labels=labels,
    )
    with writer, progress("Images", len(entries)) as bar:
        faces = _in_threads(lambda entry: _load(*entry, config, resolution), entries)
        for name, (levels, digest, pixels) in zip(names, faces, strict=True):
            writer.write(levels, FaceRecord(source=name, source_sha256=digest, pixel_sha256=pixels))
            bar.advance()
    for source in sources:
        source.close()


def _load(source: ImageSource, name: str, config: ImportConfig, resolution: int) -> tuple[dict, str, str]:
    """Return the levels of one image, the digest of its bytes and that of its pixels."""
    data = source.read(name)
    photo = _decode(data, f"{source.path}/{name}", config)
    face = _crop(photo, f"{source.path}/{name}", config)
    if face.size != (resolution, resolution):
        if config.resize == "none":
            raise SourceError(
                f"{source.path}/{name}: {face.width}x{face.height}, {resolution}x{resolution} is wanted"
                " (see --resolution, --crop, --resize)"
            )
        if face.width != face.height:
            raise SourceError(
                f"{source.path}/{name}: {face.width}x{face.height}, a square is wanted (--crop center makes one)"
            )
        face = face.resize((resolution, resolution), _FILTERS[config.resize])
    pixels = hashlib.sha256(photo.tobytes()).hexdigest()
    return pyramid(np.asarray(face)), hashlib.sha256(data).hexdigest(), pixels


def _decode(data: bytes, name: str, config: ImportConfig) -> Image.Image:
    if config.to_rgb:
        from celebahq_builder.photos import decode_photo
        from celebahq_builder.unusable_photo import UnusablePhoto

        try:
            return Image.fromarray(decode_photo(data))
        except UnusablePhoto as error:
            raise SourceError(f"{name}: {error}") from None
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise SourceError(f"{name}: not a whole image ({error})") from None
    if image.mode != "RGB":
        raise SourceError(f"{name}: mode {image.mode}, RGB is wanted (--to-rgb converts)")
    return ImageOps.exif_transpose(image)


def _crop(image: Image.Image, name: str, config: ImportConfig) -> Image.Image:
    if config.crop == "none":
        return image
    if config.crop == "center":
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        return image.crop((left, top, left + side, top + side))
    if image.size != _CELEBA_SIZE:
        raise SourceError(f"{name}: {image.width}x{image.height}, 178x218 is wanted by --crop celeba")
    x, y = _CELEBA_CENTRE
    return image.crop((x - _CELEBA_HALF, y - _CELEBA_HALF, x + _CELEBA_HALF, y + _CELEBA_HALF))


def _first_side(source: ImageSource, name: str, config: ImportConfig) -> int:
    image = _crop(_decode(source.read(name), f"{source.path}/{name}", config), f"{source.path}/{name}", config)
    return max(image.size)


def _in_threads(work, items: Iterable) -> Iterator:
    """Yield work(item) in order, a few items ahead in threads."""
    with ThreadPoolExecutor(_THREADS) as pool:
        ahead = deque()
        for item in items:
            ahead.append(pool.submit(work, item))
            if len(ahead) > 8 * _THREADS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
