"""StyleGAN 2 and 3: a .zip of images with dataset.json; any other .zip of images is read too."""

import json
import zipfile
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

from celebahq.files import atomic_path
from celebahq_builder.formats.export_rows import SUFFIX, ExportRows, WriteOptions
from celebahq_builder.hdf5 import Dataset
from celebahq_builder.sources.images import (
    IMAGE_SUFFIXES,
    MOST_BYTES,
    TOO_LARGE,
    SourceError,
    SourceLabels,
    kind_of,
    parse_dataset_json,
)

OPENED_BY = "python train.py --data {output}, of stylegan2-ada-pytorch or stylegan3"


def recognises(path: Path) -> bool:
    return path.is_file() and (path.suffix.lower() == ".zip" or zipfile.is_zipfile(path))


class Source:
    """A .zip archive of images, also one made on a Mac or by StyleGAN's dataset_tool."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            raise SourceError(f"{path}: got no zip archive, expected a folder or .zip of images") from None
        self.skipped: Counter[str] = Counter()
        self._members: dict[str, zipfile.ZipInfo] = {}
        for info in self._zip.infolist():
            parts = PurePosixPath(info.filename).parts
            if info.is_dir() or "__MACOSX" in parts or not parts or parts[-1].startswith("."):
                continue  # a Mac's second file beside every file
            if not info.filename.lower().endswith(IMAGE_SUFFIXES):
                self.skipped.update([kind_of(info.filename)] if info.filename != "dataset.json" else [])
            elif info.filename in self._members:
                raise SourceError(f"{path}: got {info.filename} twice, expected every name once")
            else:
                self._members[info.filename] = info
        self.names = sorted(self._members)
        self.labels = self._dataset_json()

    def read(self, name: str) -> bytes:
        if self._members[name].file_size > MOST_BYTES:  # before a byte of it is unpacked
            raise SourceError(f"{self.path}/{name}: got a file {TOO_LARGE}, expected an image", reason=TOO_LARGE)
        try:
            return self._zip.read(self._members[name])
        except Exception as error:  # a password is a RuntimeError, and damage may raise anything
            raise SourceError(f"{self.path}/{name}: cannot be read ({error})", reason="cannot be read") from None

    def stamp(self, name: str) -> str:
        return f"{self._members[name].file_size} {self._members[name].CRC:08x}"

    def close(self) -> None:
        self._zip.close()

    def _dataset_json(self) -> SourceLabels | None:
        where = self.path / "dataset.json"
        try:
            info = self._zip.getinfo("dataset.json")
        except KeyError:
            return None
        if info.file_size > MOST_BYTES:
            raise SourceError(f"{where}: got a file {TOO_LARGE}, expected labels")
        try:
            return parse_dataset_json(where, self._zip.read(info))
        except SourceError:
            raise
        except Exception as error:  # as above
            raise SourceError(f"{where}: cannot be read ({error})") from None


def write(dataset: Dataset, output: Path, options: WriteOptions) -> None:
    """Write 00000/img00000000.png and dataset.json, stored without compression, as dataset_tool.py does.

    Beside "labels" dataset.json holds "label_names" and "label_count", which StyleGAN does not look at.
    """
    rows = ExportRows(dataset, options)
    labels = []
    with atomic_path(output) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        for row in rows:
            name = f"{row.index // 1000:05}/img{row.index:08}{SUFFIX[options.image]}"
            archive.writestr(zipfile.ZipInfo(name), row.encode(options.image))
            labels += [[name, value] for value in rows.label_of(row).values()]
        listed: dict[str, Any] = {"labels": labels or None}
        if labels:
            listed |= {"label_names": None if rows.names is None else list(rows.names), "label_count": rows.count}
        archive.writestr(zipfile.ZipInfo("dataset.json"), json.dumps(listed))
