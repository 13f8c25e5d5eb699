"""Parquet as Hugging Face datasets keeps it: a column of images, a column of labels, shards below data/."""

import functools
import json
from collections import Counter
from pathlib import Path
from typing import Any

from celebahq_builder.formats import needs
from celebahq_builder.formats.export_rows import SUFFIX, ExportRows, WriteOptions
from celebahq_builder.hdf5 import Dataset
from celebahq_builder.sources.images import MOST_BYTES, TOO_LARGE, SourceError, SourceLabels

OPENED_BY = "datasets.load_dataset({output!r})"
_GROUP_ROWS = 100
_GROUP_BYTES = 2 << 30


def recognises(path: Path) -> bool:
    return path.suffix.lower() == ".parquet" if path.is_file() else bool(_shards(path))


class Source:
    """A .parquet file, or a folder of them: the first column of images, and "label" or "labels" where there is one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._parquet = needs("pyarrow.parquet", str(path))
        self.skipped: Counter[str] = Counter()
        self.names: list[str] = []
        self._where: dict[str, tuple[int, int, int]] = {}  # name -> file, row group, row of it
        self._files: list[Any] = []
        self._values: dict[str, Any] = {}
        self._about: dict[str, Any] = {}
        try:
            for shard in [path] if path.is_file() else _shards(path):
                self._add(shard, "" if path.is_file() else f"{shard.relative_to(path).as_posix()}/")
        except SourceError:
            self.close()
            raise
        except Exception as error:  # pyarrow has a dozen of its own
            self.close()
            raise SourceError(f"{path}: got no readable parquet ({str(error)[:200]}), expected images") from None
        self.labels = self._labels()
        self._group = functools.lru_cache(2)(self._read_group)

    def _add(self, shard: Path, prefix: str) -> None:
        file = self._parquet.ParquetFile(shard)
        self._files.append(file)
        schema = file.schema_arrow
        self._column = next((field.name for field in schema if _is_image(field)), None)
        if self._column is None:
            raise SourceError(f"{shard}: got columns {schema.names[:9]}, expected one of images (bytes)")
        self._about = {key.decode(): value for key, value in (schema.metadata or {}).items()}
        label = next((name for name in ("label", "labels") if name in schema.names), None)
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            values = file.read_row_group(group, columns=[label])[label].to_pylist() if label else [None] * rows
            for row in range(rows):
                name = f"{prefix}{len(self.names):08}"
                self.names.append(name)
                self._where[name] = (len(self._files) - 1, group, row)
                if values[row] is not None:
                    self._values[name] = values[row]

    def read(self, name: str) -> bytes:
        number, group, row = self._where[name]
        try:
            data = self._group(number, group)[row].as_py()
        except Exception as error:  # as above
            raise SourceError(f"{self.path}/{name}: cannot be read ({str(error)[:200]})", "cannot be read") from None
        if not isinstance(data, bytes):
            raise SourceError(f"{self.path}/{name}: got no bytes of an image, expected some", reason="no image")
        if len(data) > MOST_BYTES:
            raise SourceError(f"{self.path}/{name}: got an image {TOO_LARGE}", reason=TOO_LARGE)
        return data

    def _read_group(self, number: int, group: int) -> Any:
        file = self._files[number]
        if file.metadata.row_group(group).total_byte_size > _GROUP_BYTES:
            raise SourceError(f"{self.path}: got a row group of more than 2 GiB, expected smaller ones")
        column = file.read_row_group(group, columns=[self._column])[self._column].combine_chunks()
        return column.field("bytes") if hasattr(column, "field") and column.type.num_fields else column

    def stamp(self, name: str) -> str:
        path = self.path if self.path.is_file() else self.path / name.rpartition("/")[0]
        return f"{self._where[name]} {path.stat().st_mtime_ns}"

    def close(self) -> None:
        for file in self._files:
            file.close()

    def _labels(self) -> SourceLabels | None:
        if not self._values:
            return None
        names, count = None, None
        try:
            ours = json.loads(self._about.get("celebahq", "{}"))
            names, count = ours.get("names"), ours.get("count")
            features = json.loads(self._about.get("huggingface", "{}")).get("info", {}).get("features", {})
            names = names if ours else features.get("label", {}).get("names")
        except (ValueError, AttributeError, RecursionError):
            pass
        texts = tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else None
        return SourceLabels(self._values, texts, count if isinstance(count, int) else None)


def write(dataset: Dataset, output: Path, options: WriteOptions) -> None:
    """Write data/train-00000-of-0000N.parquet with the features that datasets reads: Image, ClassLabel or numbers."""
    import_arrow = needs("pyarrow", "--to parquet")
    parquet = needs("pyarrow.parquet", "--to parquet")
    rows = ExportRows(dataset, options)
    schema = _schema(import_arrow, rows)
    (output / "data").mkdir(parents=True)
    shards: list[Path] = []
    writer: Any = None
    written, waiting = 0, list[dict[str, Any]]()

    def flush() -> None:
        if waiting:
            writer.write_table(import_arrow.Table.from_pylist(waiting, schema=schema))
            waiting.clear()

    for row in rows:
        if writer is None or written > options.shard_bytes:
            flush()
            if writer is not None:
                writer.close()
            shards.append(output / "data" / f"{len(shards):05}.parquet")
            writer, written = parquet.ParquetWriter(shards[-1], schema), 0
        data = row.encode(options.image)
        written += len(data)
        image = {"bytes": data, "path": f"{row.index:08}{SUFFIX[options.image]}"}
        waiting.append({"image": image, **rows.label_of(row), "source": row.facts.get("source")})
        if len(waiting) == _GROUP_ROWS:
            flush()
    flush()
    writer.close()
    for i, shard in enumerate(shards):
        shard.rename(shard.with_name(f"train-{i:05}-of-{len(shards):05}.parquet"))


def _schema(arrow: Any, rows: ExportRows) -> Any:
    fields = [("image", arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())]))]
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    if rows.class_ids is not None:
        fields.append(("label", arrow.int64()))
        named = {"names": list(rows.names or ()), "_type": "ClassLabel"}
        features["label"] = named if rows.names else {"dtype": "int64", "_type": "Value"}
    elif rows.count:
        fields.append(("labels", arrow.list_(arrow.float32())))
        features["labels"] = {"feature": {"dtype": "float32", "_type": "Value"}, "_type": "Sequence"}
    fields.append(("source", arrow.string()))
    features["source"] = {"dtype": "string", "_type": "Value"}
    ours = {"names": None if rows.names is None else list(rows.names), "count": rows.count}
    about = {"huggingface": json.dumps({"info": {"features": features}}), "celebahq": json.dumps(ours)}
    return arrow.schema(fields, metadata=about)


def _shards(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*.parquet") if file.is_file()) if path.is_dir() else []


def _is_image(field: Any) -> bool:
    """Whether a column holds encoded images: struct<bytes, path> of datasets, or plain bytes."""
    kind = str(field.type)
    return kind in ("binary", "large_binary") or (kind.startswith("struct<") and "bytes: binary" in kind)
