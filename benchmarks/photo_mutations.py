"""Small photos of every layout, and edits that know their formats: what benchmarks/fuzz_photos.py and a test decode.

Chunks of PNG with their checksums made good, tags of TIFF, segments of JPEG, RIFF chunks of WebP, boxes of AVIF and
HEIC, and bytes of anything.
"""

import io
import random
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageCms

_ODD = (0, 1, 2, 7, 8, 16, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
# fmt: off
_TAGS = (254, 256, 257, 258, 259, 262, 273, 274, 277, 278, 279, 284, 317, 320, 322, 324, 325, 330, 338, 339, 347, 530,
         532, 700, 34665, 34675, 50706)
_BOXES = (b"ftyp", b"meta", b"hdlr", b"pitm", b"iloc", b"iinf", b"infe", b"iprp", b"ipco", b"ipma", b"ispe", b"pixi",
          b"colr", b"av1C", b"hvcC", b"irot", b"imir", b"iref", b"auxC", b"mdat", b"moov", b"trak", b"stsz")
# fmt: on


def seeds() -> list[tuple[str, bytes]]:
    """Return small whole photos as (kind, bytes): every layout that the decoders have a path for."""
    y, x = np.mgrid[0:32, 0:48]
    rgb = np.stack([255 * x / 47, 255 * y / 31, 255 * (x + y) / 78], -1).astype(np.uint8)
    rgb[8:24, 8:24] = np.random.default_rng(0).integers(0, 256, (16, 16, 3))
    image = Image.fromarray(rgb)
    alpha = image.copy()
    alpha.putalpha(Image.fromarray(rgb[..., 1]))
    gray, wide = image.convert("L"), Image.fromarray((rgb[..., 0].astype(np.uint16)) * 257)
    exif, profile = Image.Exif(), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif[0x0112], exif[0x010F], exif[0x8825] = 6, "maker", {1: "N", 2: (1.0, 2.0, 3.0)}
    about = {"exif": exif.tobytes(), "icc_profile": profile}
    files: list[tuple[str, bytes]] = []

    def add(kind: str, mode: Image.Image, **options) -> None:
        stream = io.BytesIO()
        mode.save(stream, kind, **options)
        files.append((kind, stream.getvalue()))

    for mode in (image, alpha, gray, gray.convert("LA"), wide, image.convert("P"), gray.convert("1")):
        add("PNG", mode, **about)
    add("PNG", image, save_all=True, append_images=[alpha.convert("RGB")], **about)
    files.append(("PNG", sixteen_bit_png(rgb.astype(np.uint16) * 257)))
    for options in ({}, {"progressive": True}, {"subsampling": 0, "quality": 95}, {"restart_marker_blocks": 3}):
        add("JPEG", image, **about, **options)
    add("JPEG", gray, **about)
    add("JPEG", image.convert("CMYK"))
    add("MPO", image, save_all=True, append_images=[gray.convert("RGB")])
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        add("TIFF", image, compression=compression, icc_profile=profile)
    for mode in (
        alpha,
        gray,
        wide,
        image.convert("CMYK"),
        image.convert("P"),
        gray.convert("1"),
        gray.convert("LA"),
    ):
        add("TIFF", mode, compression="tiff_lzw")
    add("TIFF", gray.convert("1"), compression="group4")
    add("TIFF", image, save_all=True, append_images=[gray, alpha])
    add("TIFF", image, big_tiff=True)
    for options in ({}, {"lossless": True}, {"save_all": True, "append_images": [gray.convert("RGBA")]}):
        add("WEBP", alpha, **about, **options)
    add("WEBP", image, **about)
    for mode in (image, alpha, image):
        add("AVIF", mode, **about, speed=10)
    add("GIF", image, save_all=True, append_images=[gray.convert("RGB")])
    add("GIF", alpha)
    for kind, mode in (("BMP", image), ("BMP", image.convert("P")), ("PPM", image), ("PPM", gray.convert("1"))):
        add(kind, mode)
    return files


def sixteen_bit_png(values: np.ndarray) -> bytes:
    """Return an (H, W, 3) uint16 PNG, which Pillow does not write."""
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"gAMA", struct.pack(">I", 100000)), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(name, body) for name, body in chunks)


def png_chunk(name: bytes, body: bytes) -> bytes:
    """Return a chunk with the checksum that belongs to it."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def mutated(kind: str, data: bytes, dice: random.Random) -> bytes:
    """Return a photo with one to four edits of its own format, or of its bytes."""
    edit = _EDITS.get("JPEG" if kind == "MPO" else kind, _edit_bytes)
    for _ in range(dice.randint(1, 4)):
        data = (edit if dice.random() < 0.8 else _edit_bytes)(data, dice)
    return data


def _edit_bytes(data: bytes, dice: random.Random) -> bytes:
    if len(data) < 16:
        return data
    at, what = dice.randrange(len(data)), dice.randrange(7)
    length = dice.choice((1, 2, 4, 16, 100, 1000))
    piece = data[at : at + length]
    return {
        0: data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :],
        1: data[:at] + dice.randbytes(len(piece)) + data[at + len(piece) :],
        2: data[:at] + bytes(len(piece)) + data[at + len(piece) :],
        3: data[:at] + data[at + length :],
        4: data[:at] + piece + data[at:],
        5: data[: max(at, 16)],
        6: data[:at] + struct.pack(">I", dice.choice(_ODD)) + data[at + 4 :],
    }[what]


def _edit_png(data: bytes, dice: random.Random) -> bytes:
    chunks, at = [], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    if not chunks:
        return data
    index, what = dice.randrange(len(chunks)), dice.randrange(6)
    name, body = chunks[index]
    if what == 0:
        chunks[index] = name, _edit_bytes(body, dice)
    elif what == 1 and chunks[0][0] == b"IHDR" and len(chunks[0][1]) == 13:
        header = bytearray(chunks[0][1])
        header[dice.choice((2, 3, 6, 7, 8, 9, 10, 11, 12))] = dice.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
        chunks[0] = b"IHDR", bytes(header)
    elif what == 2:
        del chunks[index]
    elif what == 3:
        chunks.insert(dice.randrange(len(chunks) + 1), (name, body))
    elif what == 4:
        name = dice.choice((b"tRNS", b"PLTE", b"iCCP", b"gAMA", b"cHRM", b"cICP", b"eXIf", b"acTL", b"fcTL", b"zTXt"))
        body = dice.choice((b"", b"x\0\0", dice.randbytes(dice.randrange(80)), b"\0" * 32, b"\1\x0d\0\1"))
        chunks.insert(dice.randrange(1, len(chunks) + 1), (name, body))
    else:
        chunks.insert(1, (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(dice.randbytes(30).hex().encode())))
    return data[:8] + b"".join(png_chunk(name, body) for name, body in chunks)


def _edit_tiff(data: bytes, dice: random.Random) -> bytes:
    order = "<" if data[:2] == b"II" else ">"
    try:
        (offset,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, offset)
    except struct.error:
        return _edit_bytes(data, dice)
    at = offset + 2 + 12 * dice.randrange(max(1, min(count, 60)))
    edited = bytearray(data)
    try:
        what = dice.randrange(5)
        if what == 0:
            struct.pack_into(
                order + "H",
                edited,
                at,
                dice.choice(_TAGS),
            )
        elif what == 1:
            struct.pack_into(order + "H", edited, at + 2, dice.randrange(20))
        elif what == 2:
            struct.pack_into(order + "I", edited, at + 4, dice.choice(_ODD))
        elif what == 3:
            struct.pack_into(order + "I", edited, at + 8, dice.choice((*_ODD, dice.randrange(len(data)))))
        else:
            struct.pack_into(order + "H", edited, at + 8, dice.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 32, 34712)))
    except struct.error:
        return _edit_bytes(data, dice)
    return bytes(edited)


def _edit_jpeg(data: bytes, dice: random.Random) -> bytes:
    marks = [i for i in range(2, min(len(data) - 4, 4000)) if data[i] == 0xFF and data[i + 1] not in (0, 0xFF)]
    if not marks:
        return _edit_bytes(data, dice)
    at, what = dice.choice(marks), dice.randrange(6)
    length = int.from_bytes(data[at + 2 : at + 4], "big")
    segment = data[at : at + 2 + length]
    inside = at + 4 + dice.randrange(max(1, min(length, 40)))
    new = bytes([0xFF, dice.choice((0xC0, 0xC2, 0xC3, 0xC4, 0xC9, 0xD9, 0xDA, 0xDB, 0xDD, 0xE1, 0xE2, 0xEE, 0xD8))])
    return {
        0: data[:inside] + bytes([dice.choice((0, 1, 0x11, 0x22, 0x44, 8, 12, 255))]) + data[inside + 1 :],
        1: data[:at] + data[at + len(segment) :],
        2: data[:at] + segment + data[at:],
        3: data[: at + 2] + struct.pack(">H", dice.choice(_ODD) & 0xFFFF) + data[at + 4 :],
        4: data[:at] + new + data[at + 2 :],
        5: data[:2]
        + b"\xff\xe1\0\x40Exif\0\0"
        + dice.choice((b"II*\0\x08\0\0\0", b""))
        + dice.randbytes(70)
        + data[2:],
    }[what]


def _edit_riff(data: bytes, dice: random.Random) -> bytes:
    chunks, at = [], 12
    while at + 8 <= len(data):
        (length,) = struct.unpack("<I", data[at + 4 : at + 8])
        chunks.append((data[at : at + 4], data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    if not chunks:
        return _edit_bytes(data, dice)
    index, what = dice.randrange(len(chunks)), dice.randrange(5)
    name, body = chunks[index]
    if what in (0, 1):
        chunks[index] = name, _edit_bytes(body, dice)
    elif what == 2:
        del chunks[index]
    elif what == 3:
        chunks.insert(dice.randrange(len(chunks)), (dice.choice((b"EXIF", b"ICCP", b"XMP ", name)), dice.randbytes(40)))
    else:
        chunks[index] = dice.choice((b"VP8 ", b"VP8L", b"VP8X", b"ANIM", b"ANMF", b"ALPH")), body
    body = b"".join(n + struct.pack("<I", len(b)) + b + b"\0" * (len(b) % 2) for n, b in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _edit_boxes(data: bytes, dice: random.Random) -> bytes:
    places = [i for name in _BOXES if (i := data.find(name)) >= 4]
    if not places:
        return _edit_bytes(data, dice)
    at, what = dice.choice(places), dice.randrange(4)
    inside = at + 4 + dice.randrange(40)
    return {
        0: data[: at - 4] + struct.pack(">I", dice.choice((*_ODD, len(data)))) + data[at:],
        1: data[:at] + dice.choice(_BOXES) + data[at + 4 :],
        2: data[:inside] + bytes([dice.randrange(256)]) + data[inside + 1 :],
        3: data[:inside] + struct.pack(">I", dice.choice(_ODD)) + data[inside + 4 :],
    }[what]


_EDITS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "PNG": _edit_png,
    "TIFF": _edit_tiff,
    "JPEG": _edit_jpeg,
    "WEBP": _edit_riff,
    "AVIF": _edit_boxes,
    "HEIC": _edit_boxes,
}


def photo(files: list[tuple[str, bytes]], seed: int, number: int) -> tuple[str, bytes]:
    """Return (kind, bytes) of one damaged photo."""
    kind, data = files[number % len(files)]
    return kind, mutated(kind, data, random.Random(f"{seed} {number}"))
