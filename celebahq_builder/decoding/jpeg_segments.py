"""The segments of a JPEG: where the image ends in its file, what kind it is, and what its markers say."""

import re
import struct
from dataclasses import dataclass, field

SOI, EOI, SOS = b"\xff\xd8", b"\xff\xd9", 0xDA
_IN_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # a marker, in coded data: not FF00, RST0..7 or a fill byte
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_KEPT_BEFORE_FRAME = {0xDB, 0xC4, 0xCC, 0xDD, 0xE0, 0xEE}  # tables, restart interval, JFIF and Adobe: what colors need
_MAX_SEGMENTS = 20_000


@dataclass
class JpegSegments:
    """What the markers of the first image in a JPEG file say.

    data: the image alone, from SOI to EOI: nothing that lies between its segments or behind its end, such as a
        telephone's film or a second image. EOI is added where it is missing.
    """

    data: bytes = b""
    frame: int = 0
    """Marker of the frame, 0xC0 to 0xCF, 0xF7 for JPEG-LS; 0 where there is none."""
    precision: int = 0
    width: int = 0
    height: int = 0
    sampling: list[tuple[int, int]] = field(default_factory=list)
    """Horizontal and vertical factor of each component."""
    adobe: int | None = None
    """The transform in Adobe's marker; None without the marker."""
    exif: bytes | None = None
    profile: bytes | None = None
    has_end: bool = False
    complete: bool = True
    """Every component was sent; of a progressive image, to the last bit."""

    @property
    def progressive(self) -> bool:
        return self.frame in (0xC2, 0xC6, 0xCA, 0xCE)

    @property
    def coefficients(self) -> int:
        """How many the decoder keeps of a progressive image."""
        across, down = (max(factors, default=1) for factors in zip(*self.sampling, strict=True))
        units = -(-self.width // (8 * across)) * -(-self.height // (8 * down))
        return 64 * units * sum(h * v for h, v in self.sampling)


def jpeg_segments(data: bytes) -> JpegSegments:
    """Walk through the segments of a JPEG. Damage is left to the decoder: what is not understood is kept as it is."""
    found, parts = JpegSegments(), [SOI]
    chunks: dict[int, bytes] = {}  # of the profile, by number
    sent: dict[int, set[int]] = {}  # component -> coefficients that came to their last bit
    at, segments, components = 2, 0, []
    while segments < _MAX_SEGMENTS:
        segments += 1
        at = data.find(b"\xff", at)  # what lies between segments is nobody's
        while 0 <= at < len(data) and data[at] == 0xFF:
            at += 1
        if at < 0 or at >= len(data):
            break
        marker, at = data[at], at + 1
        if marker == 0xD9:
            found.has_end = True
            break
        if marker in (0x00, 0x01, 0xD8) or 0xD0 <= marker <= 0xD7:
            continue
        length = int.from_bytes(data[at : at + 2], "big")
        body = data[at + 2 : at + length]
        if length < 2 or len(body) < length - 2:
            parts.append(bytes([0xFF, marker]) + data[at:])
            break
        if marker in _FRAMES or marker == 0xF7:
            if not found.frame and len(body) >= 6:
                _read_frame(found, marker, body)
                components = list(body[6::3])
        elif marker == 0xE1 and body.startswith(b"Exif\0\0") and found.exif is None:
            found.exif = body
        elif marker == 0xE2 and body.startswith(b"ICC_PROFILE\0") and len(body) > 14:
            chunks.setdefault(body[12], body[14:])
        elif marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
            found.adobe = body[11]
        if marker == SOS:
            _note_scan(sent, body, found.progressive)
            end = _IN_SCAN.search(data, at + length)
            stop = end.start() if end else len(data)
            parts.append(bytes([0xFF, marker]) + data[at:stop])
            at = stop
            continue
        if marker in _FRAMES or marker in _KEPT_BEFORE_FRAME or marker == 0xF7 or marker == 0xDC:
            parts.append(bytes([0xFF, marker]) + data[at : at + length])
        at += length
    found.data = b"".join([*parts, EOI])
    found.profile = b"".join(chunks[number] for number in sorted(chunks)) or None
    everything = set(range(64)) if found.progressive else {0}
    found.complete = all(sent.get(component, set()) >= everything for component in components)
    return found


def _read_frame(found: JpegSegments, marker: int, body: bytes) -> None:
    found.frame = marker
    found.precision, found.height, found.width, count = struct.unpack(">BHHB", body[:6])
    found.sampling = [(factor >> 4 or 1, factor & 15 or 1) for factor in body[7 : 6 + 3 * count : 3]] or [(1, 1)]


def _note_scan(sent: dict[int, set[int]], body: bytes, progressive: bool) -> None:
    count = body[0] if body else 0
    if len(body) < 4 + 2 * count:
        return
    first, last, bits = body[1 + 2 * count : 4 + 2 * count]
    for component in body[1 : 1 + 2 * count : 2]:
        if not progressive:
            sent.setdefault(component, set()).add(0)
        elif bits & 15 == 0:
            sent.setdefault(component, set()).update(range(first, min(last, 63) + 1))
