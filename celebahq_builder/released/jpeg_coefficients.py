"""The quantised coefficients of a JPEG file, baseline or progressive, without any C: segments, scans, blocks."""

import re
import struct
from array import array
from dataclasses import dataclass, field

import numpy as np

from celebahq.errors import CelebAHQError
from celebahq_builder.released.jpeg_huffman import BitReader, DamagedJPEGError
from celebahq_builder.released.jpeg_scans import Scan, decode_scan

_ZIGZAG = sorted(range(64), key=lambda i: (i // 8 + i % 8, (i // 8 if (i // 8 + i % 8) % 2 else i % 8)))
_UNSUPPORTED = {0xC3: "lossless", 0xC9: "arithmetic-coded", 0xCA: "arithmetic-coded"}
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


class UnsupportedJPEGError(CelebAHQError, ValueError):
    """A kind of JPEG that is not read here."""


@dataclass
class Component:
    """One color component.

    Attributes:
        across, down: its blocks in the file, with those that only fill the last unit.
        blocks: (down * across * 64,) int16, zigzag order within a block.
        precision: what is still missing of coefficients 0..63, in bits; -1: not coded yet.
    """

    name: int
    h: int
    v: int
    table: int
    width: int = 0
    height: int = 0
    across: int = 0
    down: int = 0
    blocks: array = field(default_factory=lambda: array("h"))
    precision: list[int] = field(default_factory=lambda: [-1] * 64)

    def coefficients(self, quantisation: dict[int, np.ndarray]) -> np.ndarray:
        """(down, across, 8, 8) float64, dequantised: [..., row, column] of the frequency."""
        if self.table not in quantisation:
            raise DamagedJPEGError("a quantisation table is missing")
        values = np.frombuffer(self.blocks, np.int16).reshape(self.down, self.across, 64)
        out = np.empty(values.shape)
        out[..., _ZIGZAG] = values * quantisation[self.table].astype(np.float64)
        return out.reshape(self.down, self.across, 8, 8)


@dataclass
class JPEG:
    """What a file holds before anything becomes a pixel."""

    width: int = 0
    height: int = 0
    progressive: bool = False
    components: list[Component] = field(default_factory=list)
    quantisation: dict[int, np.ndarray] = field(default_factory=dict)
    adobe_transform: int | None = None
    jfif: bool = False

    @property
    def h_most(self) -> int:
        return max(c.h for c in self.components)

    @property
    def v_most(self) -> int:
        return max(c.v for c in self.components)

    @property
    def is_rgb(self) -> bool:
        """Whether the components are red, green, blue and not luma and chroma, as libjpeg decides it."""
        if self.jfif:
            return False
        if self.adobe_transform is not None:
            return self.adobe_transform == 0
        return bytes(c.name for c in self.components) == b"RGB"


def read_coefficients(data: bytes, max_pixels: float) -> JPEG:
    """Read a JPEG file of three components, 8 bits, Huffman-coded.

    Raises:
        UnsupportedJPEGError: another kind of JPEG, or more pixels than max_pixels.
        DamagedJPEGError: no JPEG, or one that is cut short or broken.
    """
    try:
        return _read(data, max_pixels)
    except (IndexError, struct.error, OverflowError) as error:
        raise DamagedJPEGError(f"broken or cut short ({error})") from None


def _read(data: bytes, max_pixels: float) -> JPEG:
    if data[:2] != b"\xff\xd8":
        raise DamagedJPEGError("no JPEG")
    jpeg, restart, at = JPEG(), 0, 2
    huffman: dict[int, bytes] = {}
    while True:
        marker, at = _next_marker(data, at)
        if marker == 0xD9:
            break
        (length,) = struct.unpack_from(">H", data, at)
        body, at = data[at + 2 : at + length], at + length
        if marker == 0xDB:
            _read_quantisation(body, jpeg.quantisation)
        elif marker == 0xC4:
            _read_huffman(body, huffman)
        elif marker == 0xDD:
            (restart,) = struct.unpack(">H", body)
        elif marker == 0xE0:
            jpeg.jfif |= body[:5] == b"JFIF\0"
        elif marker == 0xEE and body[:5] == b"Adobe":
            jpeg.adobe_transform = body[11]
        elif marker in (0xC0, 0xC1, 0xC2):
            _read_frame(body, jpeg, marker == 0xC2, max_pixels)
        elif 0xC0 <= marker <= 0xCF and marker != 0xCC:
            raise UnsupportedJPEGError(f"{_UNSUPPORTED.get(marker, 'hierarchical')} JPEG")
        elif marker == 0xDA:
            end = _SCAN_END.search(data, at)
            if end is None:
                raise DamagedJPEGError("the image's data end too early")
            _read_scan(body, _RESTART.split(data[at : end.start()]), jpeg, huffman, restart)
            at = end.start()
    _refuse_unfinished(jpeg)
    return jpeg


def _next_marker(data: bytes, at: int) -> tuple[int, int]:
    at = data.index(b"\xff", at) if b"\xff" in data[at:] else len(data)
    while data[at] == 0xFF:
        at += 1
    return data[at], at + 1


def _read_quantisation(body: bytes, tables: dict[int, np.ndarray]) -> None:
    while body:
        kind, name = body[0] >> 4, body[0] & 15
        size = 64 * (1 + kind)
        if kind > 1 or len(body) < 1 + size:
            raise DamagedJPEGError("a quantisation table that cannot be")
        tables[name] = np.frombuffer(body[1 : 1 + size], ">u2" if kind else np.uint8)
        body = body[1 + size :]


def _read_huffman(body: bytes, tables: dict[int, bytes]) -> None:
    while body:
        size = 17 + sum(body[1:17])
        if len(body) < size:
            raise DamagedJPEGError("a Huffman table that cannot be")
        tables[body[0]] = body[1:size]
        body = body[size:]


def _read_frame(body: bytes, jpeg: JPEG, progressive: bool, max_pixels: float) -> None:
    bits, jpeg.height, jpeg.width, count = struct.unpack_from(">BHHB", body)
    if bits != 8 or count != 3 or jpeg.components:
        raise UnsupportedJPEGError(f"a JPEG of {count} components of {bits} bits")
    if not 0 < jpeg.width * jpeg.height <= max_pixels:
        raise UnsupportedJPEGError(f"a JPEG of {jpeg.width}x{jpeg.height} pixels")
    jpeg.progressive = progressive
    for i in range(3):
        name, sampling, table = body[6 + 3 * i : 9 + 3 * i]
        jpeg.components.append(Component(name, sampling >> 4, sampling & 15, table))
    h_most, v_most = jpeg.h_most, jpeg.v_most
    if any(
        c.h == 0 or c.v == 0 or h_most not in (c.h, 2 * c.h) or v_most not in (c.v, 2 * c.v) for c in jpeg.components
    ):
        raise UnsupportedJPEGError("a JPEG whose chroma is not a half or the whole of its luma")
    for c in jpeg.components:
        c.width = -(-jpeg.width * c.h // (8 * h_most))
        c.height = -(-jpeg.height * c.v // (8 * v_most))
        c.across = -(-jpeg.width // (8 * h_most)) * c.h
        c.down = -(-jpeg.height // (8 * v_most)) * c.v
        c.blocks = array("h", bytes(2 * 64 * c.across * c.down))


def _read_scan(body: bytes, stretches: list[bytes], jpeg: JPEG, huffman: dict[int, bytes], restart: int) -> None:
    count = body[0]
    by_name = {c.name: c for c in jpeg.components}
    if any(body[1 + 2 * i] not in by_name for i in range(count)):
        raise DamagedJPEGError("a scan of components that are not there")
    chosen = [(by_name[body[1 + 2 * i]], body[2 + 2 * i]) for i in range(count)]
    start, end, approximation = body[1 + 2 * count : 4 + 2 * count]
    high, low = approximation >> 4, approximation & 15
    if not jpeg.progressive:
        start, end, high, low = 0, 63, 0, 0
    if not start <= end <= 63 or (jpeg.progressive and start == 0 and end) or (start and count > 1):
        raise DamagedJPEGError("a scan that cannot be")
    for component, _ in chosen:
        component.precision[start : end + 1] = [low] * (end + 1 - start)
    scan = Scan(jpeg.progressive, start, end, high, low, restart, huffman)
    decode_scan(scan, chosen, [BitReader(stretch) for stretch in stretches], jpeg.width, jpeg.height)


def _refuse_unfinished(jpeg: JPEG) -> None:
    """libjpeg smooths a progressive image whose first coefficients did not all come: not done here."""
    if not jpeg.components:
        raise DamagedJPEGError("no image in it")
    if any(any(c.precision[:6]) for c in jpeg.components):
        raise DamagedJPEGError("the image's data end too early")
