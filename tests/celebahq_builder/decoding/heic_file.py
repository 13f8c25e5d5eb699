"""Makes a small HEIC, which no library of the suite writes: one HEVC image by PyAV in the boxes of ISO 23008-12."""

import struct
from fractions import Fraction

import av
import numpy as np


def heic(pixels: np.ndarray, colr: bytes = b"", turns: int = 0) -> bytes:
    """Return a HEIC of (H, W, 3) uint8 pixels, sides even; colr: body of its color box; turns: quarters, left."""
    units = _hevc(pixels)
    sets = [unit for unit in units if unit[0] >> 1 & 63 in (32, 33, 34)]
    image = b"".join(struct.pack(">I", len(unit)) + unit for unit in units if unit[0] >> 1 & 63 < 32)
    height, width = pixels.shape[:2]
    properties = [_box(b"hvcC", _hvcc(sets)), _full(b"ispe", struct.pack(">II", width, height))]
    if colr:
        properties.append(_box(b"colr", colr))
    if turns:
        properties.append(_box(b"irot", bytes([turns])))
    associations = bytes([i | (0x80 if i == 1 else 0) for i in range(1, len(properties) + 1)])
    ipma = _full(b"ipma", struct.pack(">IHB", 1, 1, len(properties)) + associations)
    infe = _full(b"infe", struct.pack(">HH4s", 1, 0, b"hvc1") + b"\0", version=2)
    ftyp = _box(b"ftyp", b"heic\0\0\0\0mif1heic")

    def meta(offset: int) -> bytes:
        iloc = struct.pack(">BBHHHHII", 0x44, 0, 1, 1, 0, 1, offset, len(image))
        body = _full(b"hdlr", struct.pack(">I4s", 0, b"pict") + bytes(13)) + _full(b"pitm", struct.pack(">H", 1))
        body += _full(b"iloc", iloc) + _full(b"iinf", struct.pack(">H", 1) + infe)
        return _full(b"meta", body + _box(b"iprp", _box(b"ipco", b"".join(properties)) + ipma))

    start = len(ftyp) + len(meta(0)) + 8
    return ftyp + meta(start) + _box(b"mdat", image)


def _hevc(pixels: np.ndarray) -> list[bytes]:
    codec = av.CodecContext.create("libx265", "w")
    codec.height, codec.width = pixels.shape[:2]
    codec.pix_fmt, codec.time_base = "yuv444p", Fraction(1, 25)
    codec.options = {"x265-params": "crf=4:log-level=none:info=0:range=full:colormatrix=bt470bg", "preset": "ultrafast"}
    frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(
        format="yuv444p", dst_colorspace="ITU601", dst_color_range="JPEG"
    )
    stream = b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])
    return [unit.rstrip(b"\0") for unit in stream.split(b"\0\0\1")[1:]]


def _hvcc(sets: list[bytes]) -> bytes:
    body = bytes([1, 4]) + bytes(10) + bytes([30, 0xF0, 0, 0xFC, 0xFF, 0xF8, 0xF8, 0, 0, 0x0F, len(sets)])
    for unit in sets:
        body += bytes([0x80 | unit[0] >> 1 & 63]) + struct.pack(">HH", 1, len(unit)) + unit
    return body


def _box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), name) + body


def _full(name: bytes, body: bytes, version: int = 0) -> bytes:
    return _box(name, bytes([version, 0, 0, 0]) + body)
