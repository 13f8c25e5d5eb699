"""manifest.jsonl: what became of every photo, one JSON line a face; what makes a build resumable.

The first line holds the options. Then come the rows, appended photo by photo in one write each, so that a killed build
leaves a photo done, or not done, or truncated at the very end of the file, where the next run leaves it out.
"""

import contextlib
import json
import os
from collections.abc import Iterable
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path

from celebahq.files import write_atomic
from celebahq_builder.config import THRESHOLD_OPTIONS, BuildError, flag

Point = tuple[float, float]

# What the header holds besides options, as a message names it.
_MAY_CHANGE = {*THRESHOLD_OPTIONS, "looked_for", "score_version", "marks_version", "computed_on"}
_NOT_OPTIONS = {"builder_version": "builder_version", "weights_sha256": "weights of --restore and --detector"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One face, or one photo that yielded none (status "refused", with the reason)."""

    source: str
    """Photo, relative to the input folder, POSIX style."""
    source_bytes: int
    """Size of the file when it was read; with the time of its last change, tells whether it has changed since."""
    source_mtime_ns: int
    rows: int = 1
    """How many rows this photo has: it is done once the last of them is in the manifest."""
    face_index: int = 0
    """-1: the photo as a whole, in which no face was looked at."""
    status: str
    """"aligned" or "refused"; manifests of before say "rendered", which is read as "aligned"."""
    reason: str = ""
    """Why it was refused, a stable phrase to count by."""
    detail: str = ""
    """Why it was refused, in the numbers of this photo; of an aligned face, what was odd about the photo."""
    traceback: str = ""
    """Where the reason is a fault in this program: what Python prints of it."""
    source_sha256: str = ""
    pixel_sha256: str = ""
    width: int = 0
    """Of the decoded photo, in pixels; 0 where it could not be decoded."""
    height: int = 0
    landmarks: tuple[Point, ...] | None = None
    """Five points (x, y) in source pixels."""
    quad: tuple[Point, ...] | None = None
    """Four corners (x, y) in source pixels."""
    scale: float | None = None
    """Source pixels a pixel of the face."""
    score: float | None = None
    breadth: float | None = None
    isotropy: float | None = None
    padding: float | None = None
    """What of the crop lies outside the photo, 0 to 1."""
    invented: float | None = None
    """What of the face does: of a fixed oval around eyes, nose, mouth and chin."""
    perceptual_hash: str = ""
    """64 hex digits, few bits apart for faces that look the same; empty below 32x32."""
    face_sha256: str = ""
    """Of the aligned face as it lies in the build folder: a power cut can leave a file of the right length."""

    turned: int = 0
    """Degrees counter-clockwise that bring the photo upright, where it lies on its side."""
    marks: str = ""
    """What was noticed about the face in its photo, separated by spaces (marks.py)."""
    overridden: str = ""
    """The reason for which it would be refused, had --include not named it."""
    num_judged: int | None = None
    """How many candidates of this photo, kept or passed over, a threshold refused; None in manifests of before."""
    place: int | None = None
    """In the list of --image-list, which then decides about the order."""
    outcome: str = ""
    """What became of an aligned face, once all are known: "row 17", "duplicate of <photo>" or "not among the best"."""

    @property
    def key(self) -> tuple[str, int]:
        """What names this face."""
        return self.source, self.face_index


def read_manifest(path: Path) -> tuple[dict, list[Row]]:
    """Return the header and the rows of every photo that is done; a photo truncated by a kill is left out.

    Raises:
        BuildError: a line that is not the last is not a row: the file was changed by something else.
    """
    header = None
    rows: list[Row] = []
    unfinished: list[Row] = []
    data = path.read_bytes()
    position = 0
    for number, line in enumerate(data.splitlines(keepends=True), 1):
        position += len(line)
        try:
            if not line.endswith(b"\n"):
                raise ValueError("truncated")
            record = json.loads(line)
            row = _row(record) if header is not None else None
        except (ValueError, TypeError, KeyError):
            if position == len(data):  # truncated by a kill
                break
            raise BuildError(
                f"{path}: line {number} is not a row; delete {path.parent} to start the build again"
            ) from None
        if header is None:
            header = record
            continue
        if unfinished and (unfinished[0].source != row.source or len(unfinished) != max(row.face_index, 0)):
            raise BuildError(f"{path}: line {number} is out of order; delete {path.parent} to start the build again")
        unfinished.append(row)
        if len(unfinished) == row.rows:
            rows += unfinished
            unfinished = []
    return header or {}, rows


def write_manifest(path: Path, header: dict, rows: Iterable[Row]) -> None:
    """Write a complete manifest; the old one stays in place until the new one is complete."""
    with write_atomic(path, durable=True) as file:
        file.writelines([_line(header), *(_line(asdict(row)) for row in rows)])


class ManifestWriter:
    """Append rows to a manifest, photo by photo. Whatever is written stays written if the process dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("ab", buffering=0)
        self._end = self._file.seek(0, os.SEEK_END)

    def append(self, rows: list[Row]) -> None:
        """Add all rows of one photo, all or none."""
        data = b"".join(_line(asdict(row)) for row in rows)
        written = 0
        try:
            while written < len(data):  # one write; a second only to learn why the first was cut short
                written += self._file.write(data[written:])
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(self._end)
            raise OSError(error.errno, error.strerror, str(self._path)) from error
        self._end += len(data)

    def __enter__(self) -> "ManifestWriter":
        return self

    def __exit__(self, exc_type, exc, traceback) -> None:
        self._file.close()


def refuse_changed_options(manifest: Path, before: dict, now: dict) -> None:
    """Raise BuildError where the rows so far were made with another option than this run's, which would mix them."""
    if before.get("builder_version") == "unknown":  # of a clone, which did not know it in builds of before
        before = before | {"builder_version": now.get("builder_version")}
    for name in before | now:
        if name not in _MAY_CHANGE and before.get(name) != now.get(name):
            what = _NOT_OPTIONS.get(name) or flag(name.removesuffix("_sha256"))
            again = "finish it with the version that began it" if name in _NOT_OPTIONS else "give the first again"
            raise BuildError(
                f"{what}: this build was begun with {before.get(name) or 'none'}, now it is {now.get(name) or 'none'}; "
                f"{again}, or choose another --output, or delete {manifest.parent} to start again"
            )


def _line(record: dict) -> bytes:
    # ASCII only: file names that are not valid UTF-8 survive as escaped surrogates.
    return json.dumps(record).encode("ascii") + b"\n"


def _row(record: dict) -> Row:
    if missing := {f.name for f in fields(Row) if f.default is MISSING} - record.keys():
        raise KeyError(missing)
    for name in ("landmarks", "quad"):
        if record.get(name) is not None:
            record[name] = tuple((x, y) for x, y in record[name])
    if record["status"] == "rendered":
        record["status"] = "aligned"
    return Row(**record)
