"""Dataset formats of the field: which file is which, and what writes each. One file a format, reader beside writer."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from celebahq_builder.formats import hub_dataset
from celebahq_builder.sources.images import IMAGE_SUFFIXES, SourceError, counted

READERS = ("hdf5_file", "tfrecords", "webdataset", "parquet", "lmdb_folder", "cifar", "mnist", "svhn", "stylegan_zip")
"""Modules with recognises(path) and Source(path), asked in this order; what none knows is a folder of images."""
WRITERS = {
    "stylegan-zip": "stylegan_zip",
    "tfrecords": "tfrecords",
    "webdataset": "webdataset",
    "imagefolder": "image_folder",
    "png-folder": "png_folder",
    "parquet": "parquet",
    "lmdb": "lmdb_folder",
}
"""Name of a format -> module with write(dataset, output, options) and OPENED_BY, how its own reader opens it."""


def open_source(path: Path) -> Any:
    """Open a folder, an archive or another dataset; SourceError when it is none or holds no image."""
    try:
        if not path.exists() and hub_dataset.is_hub_name(path):
            path = hub_dataset.fetch(path)
        if not path.exists():
            raise SourceError(f"{path}: no such file or folder, expected images to import")
        name = next((name for name in READERS if _module(name).recognises(path)), None)
        if name is None and not path.is_dir():
            raise SourceError(f"{path}: got a file of no known kind, expected a folder or .zip of images, or a dataset")
        source = _module(name or "image_folder").Source(path)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}, expected images to import") from None
    if not source.names:
        source.close()
        raise SourceError(f"{path}: got {counted(source.skipped) or 'nothing'}, expected {', '.join(IMAGE_SUFFIXES)}")
    return source


def writer_of(name: str) -> Any:
    """Return the module that writes a format."""
    return _module(WRITERS[name])


def needs(package: str, what: str) -> Any:
    """Import a library of the extra `formats`; SourceError, in one line, where it is absent."""
    try:
        return import_module(package)
    except ImportError:
        raise SourceError(f"{what}: got no {package}, expected it; pip install 'celebahq[formats]'") from None


def _module(name: str) -> Any:
    load: Callable[[str], Any] = import_module
    return load(f"celebahq_builder.formats.{name}")
