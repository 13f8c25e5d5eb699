"""WebDataset: tar shards whose files of one name are one sample (00000000.png, .cls, .json); any .tar of images too."""

import io
import json
import os
import tarfile
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

from celebahq_builder.formats.export_rows import (
    SUFFIX,
    ExportRows,
    WriteOptions,
    read_label_names,
    write_label_names,
)
from celebahq_builder.hdf5 import Dataset
from celebahq_builder.sources.images import (
    IMAGE_SUFFIXES,
    MOST_BYTES,
    TOO_LARGE,
    SourceError,
    SourceLabels,
    kind_of,
)

OPENED_BY = "webdataset.WebDataset(sorted(glob.glob('{output}/*.tar'))).decode('pil')"
_TEXTS = (".cls", ".json")


def recognises(path: Path) -> bool:
    if path.is_dir():
        return bool(_shards(path)) and not any(file.suffix.lower() in IMAGE_SUFFIXES for file in path.iterdir())
    return path.name.lower().endswith(".tar")


class Source:
    """A .tar, or a folder of .tar shards. Labels: .cls (a class number), or "label" or "labels" of .json."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.skipped: Counter[str] = Counter()
        self._files: dict[str, int] = {}
        self._members: dict[str, tuple[int, int, int]] = {}  # name -> file, offset, bytes
        self._texts: dict[str, tuple[int, int, int]] = {}
        try:
            for shard in _shards(path) if path.is_dir() else [path]:
                self._index(shard, f"{shard.name}/" if path.is_dir() else "")
        except BaseException:
            self.close()
            raise
        self.names = sorted(self._members)
        self.labels = self._labels()

    def _index(self, shard: Path, prefix: str) -> None:
        handle = os.open(shard, os.O_RDONLY)
        self._files[str(shard)] = handle
        try:
            with tarfile.open(shard, "r:") as archive:
                for member in archive:
                    name = PurePosixPath(member.name)
                    if not member.isfile() or name.name.startswith(".") or "__MACOSX" in name.parts:
                        continue
                    full, where = f"{prefix}{member.name}", (handle, member.offset_data, member.size)
                    if member.name.lower().endswith(IMAGE_SUFFIXES):
                        if full in self._members:
                            raise SourceError(f"{shard}: got {member.name} twice, expected every name once")
                        self._members[full] = where
                    elif member.name.lower().endswith(_TEXTS):
                        self._texts[full] = where
                    else:
                        self.skipped[kind_of(member.name)] += 1
        except (tarfile.TarError, EOFError, ValueError) as error:
            raise SourceError(
                f"{shard}: got no whole tar archive ({error}), expected uncompressed .tar files"
            ) from None

    def read(self, name: str) -> bytes:
        return self._bytes(name, self._members[name])

    def _bytes(self, name: str, where: tuple[int, int, int]) -> bytes:
        handle, offset, size = where
        if size > MOST_BYTES:
            raise SourceError(f"{self.path}/{name}: got a file {TOO_LARGE}, expected an image", reason=TOO_LARGE)
        data = os.pread(handle, size, offset)
        if len(data) < size:
            raise SourceError(f"{self.path}/{name}: got {len(data)} of {size} bytes", reason="cut short")
        return data

    def stamp(self, name: str) -> str:
        handle, offset, size = self._members[name]
        return f"{offset} {size} {os.fstat(handle).st_mtime_ns}"

    def close(self) -> None:
        for handle in self._files.values():
            os.close(handle)
        self._files = {}

    def _labels(self) -> SourceLabels | None:
        values: dict[str, Any] = {}
        for name in self.names:
            for suffix in _TEXTS:
                where = self._texts.get(_key(name) + suffix)
                value = None if where is None else _label(self._bytes(name, where), suffix)
                if value is not None:
                    values[name] = value
                    break
        folder = self.path if self.path.is_dir() else self.path.parent
        return SourceLabels(values, *read_label_names(folder)) if values else None


def write(dataset: Dataset, output: Path, options: WriteOptions) -> None:
    """Write 00000.tar ...: an image, .cls where labels are classes, and .json with label(s) and what is known of it."""
    rows = ExportRows(dataset, options)
    output.mkdir()
    archive, written, count = None, 0, 0
    try:
        for row in rows:
            if archive is None or written > options.shard_bytes:
                if archive is not None:
                    archive.close()
                archive = tarfile.open(output / f"{count:05}.tar", "w")  # noqa: SIM115 - closed below
                written, count = 0, count + 1
            facts = {**rows.label_of(row), **row.facts}
            parts = {SUFFIX[options.image]: row.encode(options.image), ".json": json.dumps(facts).encode()}
            if row.class_id is not None:
                parts[".cls"] = str(row.class_id).encode()
            for suffix, data in parts.items():
                member = tarfile.TarInfo(f"{row.index:08}{suffix}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
                written += len(data) + 1024
    finally:
        if archive is not None:
            archive.close()
    write_label_names(output, rows)


def _shards(path: Path) -> list[Path]:
    return sorted(file for file in path.iterdir() if file.suffix.lower() == ".tar" and file.is_file())


def _key(name: str) -> str:
    """What the files of one sample share: everything up to the first dot of the file's name."""
    folder, slash, file = name.rpartition("/")
    return folder + slash + file.partition(".")[0]


def _label(data: bytes, suffix: str) -> Any:
    try:
        if suffix == ".cls":
            return int(data)
        found = json.loads(data)
        return found.get("label", found.get("labels")) if isinstance(found, dict) else None
    except (ValueError, RecursionError):
        return None
