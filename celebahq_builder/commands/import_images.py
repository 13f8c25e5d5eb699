"""celebahq-data import: ready-made square images, or a dataset of the field, to a dataset file."""

import json
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from celebahq.files import partial_path, printable
from celebahq.options import check_options
from celebahq.progress import progress
from celebahq_builder.commands.import_decode import Fit, LoadedImage, first_fit, load_image
from celebahq_builder.commands.import_journal import ImportedImage, Journal, levels_sha256
from celebahq_builder.commands.import_labels import Labels, images_of, read_labels
from celebahq_builder.commands.import_summary import tell
from celebahq_builder.formats import open_source
from celebahq_builder.hdf5 import DatasetError, DatasetWriter, FaceRecord, open_dataset
from celebahq_builder.hdf5_format.resumable_writer import ResumableWriter
from celebahq_builder.sources.images import SourceError, SourceLabels

_THREADS = 2  # decoding leaves Python's lock; writing is one thread's work anyway
_SECONDS_A_SAVE = 3.0
_log = logging.getLogger("celebahq")


@dataclass(frozen=True, kw_only=True)
class ImportConfig:
    """Make a dataset file of ready-made square images, or of a dataset of the field, in its order.

    Images (PNG, JPEG, WebP) in folders, .zip and .tar; StyleGAN's zip, TFRecords, the HDF5 of 2017, LSUN's LMDB, CIFAR,
    MNIST, SVHN, parquet, imagefolder, WebDataset, and datasets of the Hub, with their labels and names of classes.
    Nothing is resized or converted unless asked for; gray images make a file of one channel. After Ctrl-C, a kill or a
    full disk the same command goes on where it was.

    Example: celebahq-data import faces.zip more-faces/ --output faces.h5
    """

    sources: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")]
    """Folders, archives or files, one after the other; org/name or org/name@revision of a dataset on the Hub."""
    output: Path
    """The file to make, e.g. faces.h5. It is never overwritten."""
    resolution: int | None = None
    """Side of the images in pixels, a power of two; left out, that of the first image."""
    crop: Literal["none", "center", "top", "celeba"] = "none"
    """center, top: the largest square there. celeba: the 128x128 around (89, 121) of the aligned 178x218 CelebA."""
    resize: Literal["none", "box", "lanczos"] = "none"
    """Bring images of another size to --resolution with this filter."""
    to_rgb: bool = False
    """Accept gray, palette, CMYK and transparent images too, converted as celebahq-build converts photos."""
    bad: Literal["stop", "skip"] = "stop"
    """What an image that does not fit does: stop the import, or become a row of <output>.rows.csv."""
    labels: Literal["auto", "none", "folders"] | Path = "auto"
    """auto: those that the source carries (dataset.json, metadata.jsonl, classes of CIFAR ...). folders: one class for
    each folder at the top of a source. FILE.csv: the names of the images in the first column (with or without folder
    and suffix), then one column with a class, or several with numbers. FILE.json: a dataset.json. FILE.txt: CelebA's
    list_attr_celeba.txt or identity_CelebA.txt."""
    partition: Literal["all", "train", "val", "test"] = "all"
    """Which images of CelebA's evaluation partition."""
    partition_list: Path | None = None
    """CelebA's list_eval_partition.txt; left out, the file of that name in, beside or above the source."""
    limit: int | None = None
    """Take the first so many images only."""
    compression: Literal["none", "gzip"] = "none"
    """gzip is the filter of the released files: a fifth smaller at 128x128, half at 1024x1024, and 13 times slower."""

    def __post_init__(self) -> None:
        check_options(self)


def import_images(config: ImportConfig) -> int:
    """Write config.output and return its number of rows; SourceError or OSError where something is in the way."""
    if not config.sources:
        raise SourceError("SOURCE: got none, expected at least one folder or .zip of images")
    if config.limit is not None and config.limit < 1:
        raise SourceError(f"--limit: got {config.limit}, expected at least 1")
    sources = [open_source(path) for path in config.sources]
    try:
        taken = [images_of(source, config.partition, config.partition_list) for source in sources]
        entries = [(s, name) for s, names in zip(sources, taken, strict=True) for name in names][: config.limit]
        names = [name if len(sources) == 1 else f"{source.path.name}/{name}" for source, name in entries]
        if len(set(names)) < len(names):
            raise SourceError(f"{config.sources[-1]}: got two sources of one name, expected names that differ")
        carried = _carried(sources) if config.labels == "auto" else None
        lookup = names if carried and len(sources) > 1 else [name for _, name in entries]
        labels = read_labels(config.labels, lookup, carried)
        if config.output.exists():
            return _already_there(config, names)
        fit = _fit(config, entries)
        images = _import(config, fit, entries, names, labels)
    finally:
        for source in sources:
            source.close()
    tell(config.output, fit, images, sum((source.skipped for source in sources), Counter()), labels)
    return sum(image.is_row for image in images)


def _import(
    config: ImportConfig, fit: Fit, entries: Sequence, names: Sequence[str], labels: Labels | None
) -> list[ImportedImage]:
    """Bring every image into the file, from where an earlier run stopped; return what came of each."""
    settings = {**asdict(fit), "compression": config.compression}
    journal = Journal(config.output.with_name(config.output.name + ".import.jsonl"), settings)
    # A compressed file cannot be gone on with after a kill: rows are collected plain, and packed at the end.
    packs = config.compression != "none"
    path = config.output.with_name(config.output.name + ".import") if packs else config.output
    before = journal.read() if partial_path(path).exists() else []
    attributes = {"config": _settings(config)}
    with ResumableWriter(path, fit.resolution, len(entries), attributes=attributes, channels=fit.channels) as writer:
        done = _still_true(writer, before, entries, names, keep_skipped=config.bad == "skip")
        writer.go_on([_record(image) for image in done if image.is_row])
        journal.begin(done)
        _add_rest(config, fit, entries, names, writer, journal, done)
        rows = [i for i, image in enumerate(done) if image.is_row]
        if not rows:
            raise SourceError(f"{config.sources[0]}: got {len(done)} images that do not fit, expected at least one")
        table, label_names = (None, None) if labels is None else (labels.table[rows], labels.names)
        writer.complete(table, label_names)
        if packs:
            _pack(config, writer, [_record(done[i]) for i in rows], fit, table, label_names)
            writer.discard()
    journal.remove()
    return done


def _add_rest(
    config: ImportConfig,
    fit: Fit,
    entries: Sequence,
    names: Sequence[str],
    writer: ResumableWriter,
    journal: Journal,
    done: list[ImportedImage],
) -> None:
    """Write the images that are not done yet; every few seconds, and however it ends, what is done is made to last."""
    unsaved: list[ImportedImage] = []

    def save() -> None:
        writer.flush()
        journal.add(unsaved)
        done.extend(unsaved)
        unsaved.clear()

    saved, skipped, first = time.monotonic(), 0, len(done)
    try:
        with progress("images", len(entries), "images") as bar:
            bar.update(first)
            work = zip(entries[first:], names[first:], strict=True)

            def load(item: tuple[tuple[Any, str], str]) -> tuple[ImportedImage, LoadedImage | None]:
                (source, name), row_name = item
                return _load(source, name, row_name, config, fit)

            for image, loaded in _in_threads(load, work):
                if loaded is not None:
                    writer.write(loaded.levels, _record(image))
                unsaved.append(image)
                skipped += not image.is_row
                bar.advance(note=f"{skipped} skipped" if skipped else "")
                if time.monotonic() - saved > _SECONDS_A_SAVE:
                    save()
                    saved = time.monotonic()
    finally:
        save()
        if not done:
            journal.remove()


def _load(source, name: str, row_name: str, config: ImportConfig, fit: Fit) -> tuple[ImportedImage, LoadedImage | None]:
    stamp = source.stamp(name)
    try:
        loaded = load_image(source.read(name), f"{source.path}/{name}", fit)
    except SourceError as error:
        if config.bad == "stop":
            raise SourceError(f"{error}; --bad skip goes on without such images") from None
        reason = error.reason or "does not fit"
        return ImportedImage(row_name, stamp, reason=reason, detail=str(error)), None
    digest = levels_sha256(loaded.levels)
    return ImportedImage(row_name, stamp, loaded.source_sha256, loaded.pixel_sha256, digest), loaded


def _still_true(
    writer: ResumableWriter,
    before: Sequence[ImportedImage],
    entries: Sequence,
    names: Sequence[str],
    keep_skipped: bool,
) -> list[ImportedImage]:
    """Return the images from the first on that are unchanged since an earlier run, and whose rows are in the file."""
    done: list[ImportedImage] = []
    rows = 0
    with progress("rows there", len(before), "rows") as bar:
        for image, (source, entry), name in zip(before, entries, names, strict=False):
            if image.source != name or image.stamp != source.stamp(entry):
                break
            if not image.is_row and not keep_skipped:
                break
            if image.is_row:
                if levels_sha256(writer.stored(rows)) != image.levels_sha256:
                    break
                rows += 1
            done.append(image)
            bar.advance()
    return done


def _pack(
    config: ImportConfig, writer: ResumableWriter, records: Sequence[FaceRecord], fit: Fit, labels, label_names
) -> None:
    attributes = {"config": _settings(config)}
    with (
        DatasetWriter(
            config.output,
            fit.resolution,
            len(records),
            attributes=attributes,
            compression="gzip",
            labels=labels,
            label_names=label_names,
            channels=fit.channels,
        ) as packed,
        progress("rows packed", len(records), "rows") as bar,
    ):
        for row, record in enumerate(records):
            packed.write(writer.stored(row), record)
            bar.advance()


def _record(image: ImportedImage) -> FaceRecord:
    return FaceRecord(source=image.source, source_sha256=image.source_sha256, pixel_sha256=image.pixel_sha256)


def _fit(config: ImportConfig, entries: Sequence) -> Fit:
    """Return what the options say, and the first image that can be read where they leave something open."""
    for source, name in entries:
        try:
            side, channels = first_fit(source.read(name), f"{source.path}/{name}", config)
            break
        except SourceError:
            if config.bad == "stop":
                raise
    else:
        raise SourceError(f"{config.sources[0]}: got {len(entries)} images that do not fit, expected at least one")
    resolution = side if config.resolution is None else config.resolution
    if resolution < 1 or resolution & (resolution - 1):
        where = "--resolution" if config.resolution is not None else f"{source.path}/{name}"
        raise SourceError(f"{where}: got {resolution} pixels a side, expected a power of two (see --crop, --resize)")
    return Fit(resolution, channels, config.crop, config.resize, config.to_rgb)


def _carried(sources: Sequence) -> SourceLabels | None:
    """Return the labels that all sources carry, by the names of the rows; SourceError where only some have any."""
    with_labels = [source for source in sources if source.labels is not None]
    if not with_labels:
        return None
    if len(with_labels) < len(sources):
        without = next(source for source in sources if source.labels is None)
        raise SourceError(f"{without.path}: got no labels, expected some as in {with_labels[0].path}; or --labels none")
    if len(sources) == 1:
        return sources[0].labels
    values = {f"{source.path.name}/{name}": label for source in sources for name, label in source.labels.values.items()}
    names = {source.labels.names for source in sources}
    return SourceLabels(values, names.pop() if len(names) == 1 else None)


def _settings(config: ImportConfig) -> str:
    # Names without their folders: the file may be published. Files of before have no --partition.
    options = {k: v for k, v in asdict(config).items() if config.partition != "all" or "partition" not in k}
    return json.dumps({"command": "celebahq-data import", **options}, default=lambda path: path.name)


def _already_there(config: ImportConfig, names: Sequence[str]) -> int:
    """Return the number of rows when the output is what this very command makes; FileExistsError otherwise."""
    try:
        with open_dataset(config.output) as dataset:
            rows = [str(name) for name in dataset.faces.get("source", [])]
            same = dataset.attributes.get("config") == _settings(config)
    except DatasetError:
        same, rows = False, list[str]()
    if not same or not (rows == list(names) or (config.bad == "skip" and set(rows) <= set(names))):
        raise FileExistsError(f"{config.output}: exists already, and is not overwritten")
    _log.info(printable(f"{config.output}: complete already, {len(rows)} images"))
    return len(rows)


def _in_threads(work: Callable[[Any], Any], items: Iterable) -> Iterator:
    """Yield work(item) in order, a few items ahead in threads."""
    with ThreadPoolExecutor(_THREADS) as pool:
        ahead: deque = deque()
        for item in items:
            ahead.append(pool.submit(work, item))
            if len(ahead) > 8 * _THREADS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
