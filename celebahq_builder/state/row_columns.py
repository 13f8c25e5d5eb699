"""What a choice among faces reads of each row, as columns: of row objects, or of lines of a journal by Arrow."""

import binascii
import hashlib
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from celebahq_builder.state.failure import is_failure
from celebahq_builder.state.manifest_row import Row
from celebahq_builder.state.masks import NO_MASK, OTHER_SIZE

ALIGNED, LOOKED = np.uint8(1), np.uint8(2)
"""Flags: an aligned face; a row that a resumed build looks at whatever else: failed, overridden, with an outcome."""
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, eq=False)
class Columns:
    """Of n rows: flags, (n,) uint8; by what each is ranked, (n,) float64; (n, 2) uint64, equal for the same face; its
    face_index; size and time of its photo; names one behind the other, and where each begins."""

    flags: np.ndarray
    keys: np.ndarray
    same: np.ndarray
    faces: np.ndarray
    num_bytes: np.ndarray
    mtimes_ns: np.ndarray
    names: bytes
    name_starts: np.ndarray


def columns_of_rows(rows: Sequence[Row]) -> Columns:
    """Return the columns of row objects."""
    names = [row.source.encode("utf-8", "surrogatepass") for row in rows]
    digests = b"".join(_digest(row.pixel_sha256) for row in rows)
    pixels = np.frombuffer(digests, np.uint64).reshape(-1, 4)
    quads = np.array([_NO_QUAD if row.quad is None else row.quad for row in rows], np.float64).reshape(-1, 8)
    faces = np.array([row.face_index for row in rows], np.int32)
    looked = [bool(row.outcome or row.overridden or _wants_a_look(row.reason)) for row in rows]
    flags = ALIGNED * np.array([row.status == "aligned" for row in rows], np.uint8)
    return Columns(
        flags + LOOKED * np.array(looked, np.uint8),
        np.array([_sort_key(row) for row in rows], np.float64),
        _hashes(pixels, quads, np.array([row.quad is not None for row in rows]), faces),
        faces,
        np.array([row.source_bytes for row in rows], np.int64),
        np.array([row.source_mtime_ns for row in rows], np.int64),
        b"".join(names),
        np.array([0, *itertools.accumulate(map(len, names))][:-1], np.int64),
    )


def columns_of_lines(lines: bytes, schema: Any) -> tuple[Columns, np.ndarray] | None:
    """Return the columns of lines of a journal, and whether each ends a photo, (n,) bool.

    None where Arrow does not take a line, or where something needs a second look: a name that is no UTF-8, a digest of
    another kind, rows of a photo that are not in order.

    Args:
        schema: of arrow_schema().
    """
    import pyarrow

    table = read_lines(lines, schema)
    if table is None:
        return None
    found = {name: table.column(name).combine_chunks() for name in schema.names}
    needed = ("source", "source_bytes", "source_mtime_ns", "status")
    if any(found[name].null_count for name in needed):
        return None
    texts = found["pixel_sha256"]
    if texts.null_count or texts.type != pyarrow.string():
        return None
    pixels = _pixels(texts)
    if pixels is None:
        return None
    quads = points_of(found["quad"], 4)
    if quads is None:
        return None
    faces = _filled(found["face_index"], 0, np.int64)
    places, scores = found["place"], _filled(found["score"], 0.0, np.float64)
    keys = np.where(_known(places), _filled(places, 0, np.int64), -scores)
    starts, data = _text(found["source"])
    names = data.tobytes()
    # The rows of a photo stand one behind the other, numbered from 0, and the last one is the one that `rows` says.
    number, total = np.maximum(faces, 0), _filled(found["rows"], 1, np.int64)
    ends = number + 1 == total
    begins = number == 0
    inside = np.flatnonzero(~begins)
    if (inside == 0).any() or (number[inside] != number[inside - 1] + 1).any() or (begins[1:] != ends[:-1]).any():
        return None
    cut = [names[starts[i] : starts[i + 1]] == names[starts[i - 1] : starts[i]] for i in inside.tolist()]
    if not all(cut):
        return None
    flags = ALIGNED * _where(found["status"], lambda word: word in ("aligned", "rendered"))
    looked = _where(found["reason"], _wants_a_look) | _where(found["outcome"], bool) | _where(found["overridden"], bool)
    same = _hashes(pixels, quads.reshape(-1, 8), _known(found["quad"]), faces)
    num_bytes, mtimes_ns = (found[name].to_numpy(zero_copy_only=False) for name in ("source_bytes", "source_mtime_ns"))
    return Columns(flags + LOOKED * looked, keys, same, faces, num_bytes, mtimes_ns, names, starts[:-1]), ends


def read_lines(lines: bytes, schema: Any) -> Any:
    """Return the table that Arrow reads of lines, of a schema's columns alone; None where it does not take one."""
    import pyarrow
    import pyarrow.json

    try:
        return pyarrow.json.read_json(
            pyarrow.BufferReader(lines),
            pyarrow.json.ReadOptions(block_size=len(lines) + 1, use_threads=False),
            pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        )
    except (pyarrow.ArrowException, ValueError):
        return None


def arrow_schema() -> Any:
    """Return what Arrow reads of a line; None where it is not installed."""
    try:
        import pyarrow
        import pyarrow.compute
        import pyarrow.json
    except ImportError:
        return None
    quad = pyarrow.list_(pyarrow.list_(pyarrow.float64()))
    kinds = {"source": pyarrow.string(), "source_bytes": pyarrow.int64(), "source_mtime_ns": pyarrow.int64()}
    kinds |= {"rows": pyarrow.int64(), "face_index": pyarrow.int64(), "status": pyarrow.string()}
    kinds |= dict.fromkeys(("reason", "outcome", "overridden"), pyarrow.string())
    kinds |= {"pixel_sha256": pyarrow.string(), "quad": quad, "score": pyarrow.float64(), "place": pyarrow.int64()}
    return pyarrow.schema(list(kinds.items()))


_NO_QUAD = ((0.0, 0.0),) * 4


def _wants_a_look(reason: str) -> bool:
    return is_failure(reason) or reason in (OTHER_SIZE, NO_MASK)


def _where(column: Any, holds: Callable[[str], bool]) -> np.ndarray:
    """Return (n,) uint8, 1 where a text fulfils a condition."""
    coded = column.fill_null("").dictionary_encode()
    table = np.array([holds(word) for word in coded.dictionary.to_pylist()], np.uint8)
    return table[coded.indices.to_numpy(zero_copy_only=False)] if len(table) else np.zeros(len(column), np.uint8)


def _sort_key(row: Row) -> float:
    if row.place is not None:
        return row.place
    return -row.score if row.score is not None else 0.0


def _digest(text: str) -> bytes:
    if _HEX.fullmatch(text):
        return bytes.fromhex(text)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32).digest()


def _hashes(pixels: np.ndarray, quads: np.ndarray, known: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Mix (n, 4) words of a digest, (n, 8) numbers, and two flags into (n, 2) uint64, as splitmix64 does."""
    words = [
        *pixels.T,
        *(quads + 0.0).view(np.uint64).T,
        known.astype(np.uint64),
        faces.astype(np.int64).view(np.uint64),
    ]
    out = np.empty((len(faces), 2), np.uint64)
    for k, seed in enumerate((0x9E3779B97F4A7C15, 0xD1B54A32D192ED03)):
        h = np.full(len(faces), seed, np.uint64)
        for word in words:
            h = (h ^ word) + np.uint64(seed)
            h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            h ^= h >> np.uint64(31)
        out[:, k] = h
    return out


def _text(column: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return where each text of a column begins, and the last ends, (n + 1,), and all bytes of them."""
    _, offsets, data = column.buffers()
    starts = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1].astype(np.int64)
    found = np.frombuffer(data, np.uint8)[starts[0] : starts[-1]] if data is not None else np.zeros(0, np.uint8)
    return starts - starts[0], found


def _known(column: Any) -> np.ndarray:
    return column.is_valid().to_numpy(zero_copy_only=False)


def _filled(column: Any, value: Any, kind: Any) -> np.ndarray:
    return column.fill_null(value).to_numpy(zero_copy_only=False).astype(kind, copy=False)


def _pixels(column: Any) -> np.ndarray | None:
    """Return (n, 4) uint64 of the digests, as _digest gives them; None where one is of another kind."""
    starts, data = _text(column)
    lengths = np.diff(starts)
    known = lengths == 64
    if not (known | (lengths == 0)).all():  # a photo that cannot be decoded has none
        return None
    try:
        digests = binascii.unhexlify(data.tobytes())
    except ValueError:
        return None
    if binascii.hexlify(digests) != data.tobytes():  # it takes capital letters, too
        return None
    found = np.frombuffer(digests, np.uint64).reshape(-1, 4)
    if known.all():
        return found
    pixels = np.tile(np.frombuffer(_digest(""), np.uint64), (len(known), 1))
    pixels[known] = found
    return pixels


def points_of(column: Any, count: int) -> np.ndarray | None:
    """Return (n, count, 2) float64 of lists, zeros where there is none; None where one has another shape."""
    known = _known(column)
    pairs = column.flatten()
    values = pairs.flatten()
    lengths = pairs.value_lengths().to_numpy(zero_copy_only=False)
    counts = column.value_lengths().to_numpy(zero_copy_only=False)[known]
    if values.null_count or (lengths != 2).any() or (counts != count).any():
        return None
    points = np.zeros((len(known), count, 2))
    points[known] = values.to_numpy(zero_copy_only=False).reshape(-1, count, 2)
    return points
