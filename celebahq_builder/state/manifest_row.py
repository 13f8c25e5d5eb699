"""Row: what became of one face, or of one photo that yielded none; and a line of the manifest as a row."""

from dataclasses import MISSING, dataclass, fields

Point = tuple[float, float]


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
    detail_map: str = ""
    """64 characters, how strong its edges are where (detail_map.py); empty below 128x128."""
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


FIELDS = tuple(field.name for field in fields(Row))
_NEEDED = {field.name for field in fields(Row) if field.default is MISSING}


def row_of_record(record: dict) -> Row:
    """Return the row of a line of the manifest; TypeError, KeyError, ValueError for one that is none."""
    if missing := _NEEDED - record.keys():
        raise KeyError(missing)
    for name in ("landmarks", "quad"):
        if record.get(name) is not None:
            record[name] = tuple((x, y) for x, y in record[name])
    if record["status"] == "rendered":
        record["status"] = "aligned"
    return Row(**record)
