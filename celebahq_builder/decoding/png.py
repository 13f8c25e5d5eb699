"""PNG photos: Pillow gets the chunks that make the image, and we read those that say what its colors are."""

import io
import struct
import zlib
from collections.abc import Iterator

import cv2
import numpy as np
from PIL import Image

from celebahq_builder.decoding.color_profiles import coded_profile, gamma_profile
from celebahq_builder.decoding.limits import check_size
from celebahq_builder.decoding.orientation import exif_orientation, raw_profile_exif
from celebahq_builder.decoding.pixels import Pixels, array_of, to_eight_bits
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ESSENTIAL = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
_MAX_PROFILE_BYTES = 16_000_000
_LAST_FILTER = 4
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_RGB, _GRAY_ALPHA, _RGB_ALPHA = 2, 4, 6


def decode_png(data: bytes, max_megapixels: float) -> Pixels:
    """Decode a PNG; of an animation, the image that viewers without animations show.

    Text of any size is passed over. A color space is taken from cICP, else iCCP, else sRGB, else gAMA and cHRM, as
    browsers do.

    Raises:
        UnusablePhotoError: "truncated or corrupt file", "unsupported format", "too many pixels" or "too much memory".
    """
    chunks: dict[bytes, bytes] = {}
    essential = []
    for name, body in _chunks(data):
        if name in _ESSENTIAL:
            essential.append((name, body))
        elif name not in chunks and (name != b"zTXt" or body.startswith(b"Raw profile type exif\0")):
            chunks[name] = body
    if not essential or essential[0][0] != b"IHDR" or len(essential[0][1]) != 13:
        raise UnusablePhotoError("truncated or corrupt file", f"{len(data)} bytes that begin like a PNG")
    width, height, depth, kind = struct.unpack(">IIBB", essential[0][1][:10])
    wide = depth == 16 and kind != 0
    # Pillow's image of 4 bytes a pixel and our array, or the samples of 16 bits and the array.
    check_size(width, height, 12 if wide else 8, 3 * len(data), max_megapixels)

    whole = b"".join([SIGNATURE, *(_chunk(name, body) for name, body in essential), _chunk(b"IEND", b"")])
    transparent = kind in (_GRAY_ALPHA, _RGB_ALPHA) or any(name == b"tRNS" for name, _ in essential)
    if wide:
        array, alpha = _sixteen_bits(whole, essential, transparent)
    else:
        array, alpha = _pillow(whole, transparent)
    return Pixels(array, alpha, _profile(chunks, gray=array.ndim == 2), _orientation(chunks))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (name, body). Chunks that do not belong to the image are left out when they are damaged."""
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        checksum = data[at + 8 + length : at + 12 + length]
        at += 12 + length
        good = len(checksum) == 4 and zlib.crc32(name + body).to_bytes(4, "big") == checksum
        if name == b"IEND":
            return
        if not good and name in _ESSENTIAL:
            raise UnusablePhotoError("truncated or corrupt file", f"the checksum of {name.decode()} does not hold")
        if good:
            yield name, body
    # IEND is missing; what makes the image is judged by itself.


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _pillow(data: bytes, transparent: bool) -> tuple[np.ndarray, np.ndarray | None]:
    image = Image.open(io.BytesIO(data), formats=["PNG"])
    image.load()
    if image.mode.startswith("I"):  # 16 bits of gray
        values = array_of(image)
        clear = image.info.get("transparency") if transparent else None
        alpha = None if clear is None else np.where(values == clear, 0, 255).astype(np.uint8)
        return to_eight_bits(values), alpha
    if not transparent:
        return array_of(image.convert("L" if image.mode in ("1", "L") else "RGB")), None
    gray = image.mode in ("1", "L", "LA")
    array = array_of(image.convert("LA" if gray else "RGBA"))
    return (array[..., 0] if gray else array[..., :3]), array[..., -1]


def _sixteen_bits(
    data: bytes, essential: list[tuple[bytes, bytes]], transparent: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Decode 16 bits of color by OpenCV, which keeps them; Pillow cuts half of them off.

    libpng writes its complaints to the terminal, so it gets nothing to complain of.
    """
    width, height, _, kind, packing, filtering, interlaced = struct.unpack(">IIBBBBB", essential[0][1])
    samples = {_RGB: 3, _GRAY_ALPHA: 2, _RGB_ALPHA: 4}.get(kind)
    once = sum(name == b"IHDR" for name, _ in essential) == 1
    if samples is None or packing or filtering or interlaced > 1 or not once:
        raise UnusablePhotoError("truncated or corrupt file", "the header of the PNG is damaged")
    if not _is_whole(b"".join(body for name, body in essential if name == b"IDAT"), width, height, samples, interlaced):
        raise UnusablePhotoError("truncated or corrupt file", "the compressed data of the PNG end early or are damaged")
    bare = [
        SIGNATURE,
        *(_chunk(name, body) for name, body in essential if name in (b"IHDR", b"IDAT")),
        _chunk(b"IEND", b""),
    ]
    values = cv2.imdecode(np.frombuffer(b"".join(bare), np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 3:
        raise UnusablePhotoError("truncated or corrupt file", "a PNG of 16 bits that OpenCV does not read")
    colors = values[..., 2::-1]
    if kind == _RGB and transparent:
        clear = next(body for name, body in essential if name == b"tRNS")
        key = np.frombuffer(clear[:6].ljust(6, b"\0"), ">u2")
        return to_eight_bits(colors), np.where((colors == key).all(axis=2), 0, 255).astype(np.uint8)
    return to_eight_bits(colors), (to_eight_bits(values[..., 3], full=65535) if transparent else None)


def _is_whole(packed: bytes, width: int, height: int, samples: int, interlaced: int) -> bool:
    """Say whether the data unpack to all the rows that there are, each of a filter that exists."""
    passes = [
        (-(-(height - y) // down), 1 + 2 * samples * -(-(width - x) // across))
        for x, y, across, down in (_ADAM7 if interlaced else ((0, 0, 1, 1),))
        if width > x and height > y
    ]
    expected, at = sum(count * step for count, step in passes), 0
    inflate = zlib.decompressobj()
    try:
        rows = inflate.decompress(packed, expected + 1)
    except zlib.error:
        return False
    for count, step in passes:
        if len(rows) < expected or max(rows[at : at + count * step : step]) > _LAST_FILTER:
            return False
        at += count * step
    return inflate.eof


def _profile(chunks: dict[bytes, bytes], gray: bool) -> bytes | None:
    if len(chunks.get(b"cICP", b"")) == 4:
        return coded_profile(chunks[b"cICP"][0], chunks[b"cICP"][1], "PNG")
    if b"iCCP" in chunks:
        _, _, packed = chunks[b"iCCP"].partition(b"\0")
        try:
            return zlib.decompressobj().decompress(packed[1:], _MAX_PROFILE_BYTES)
        except zlib.error:
            return None
    if b"sRGB" in chunks or not chunks.keys() & {b"gAMA", b"cHRM"}:
        return None
    gamma = int.from_bytes(chunks[b"gAMA"], "big") / 1e5 if len(chunks.get(b"gAMA", b"")) == 4 else None
    primaries = None
    if len(chunks.get(b"cHRM", b"")) == 32 and not gray:
        primaries = (np.array(struct.unpack(">8I", chunks[b"cHRM"]), np.float64) / 1e5).reshape(4, 2)
    return gamma_profile(gamma, primaries)


def _orientation(chunks: dict[bytes, bytes]) -> int:
    if b"eXIf" in chunks:
        return exif_orientation(chunks[b"eXIf"])
    for name in (b"zTXt", b"tEXt"):
        keyword, _, text = chunks.get(name, b"").partition(b"\0")
        if keyword == b"Raw profile type exif":
            if name == b"zTXt":
                try:
                    text = zlib.decompressobj().decompress(text[1:], 1_000_000)
                except zlib.error:
                    return 1
            return exif_orientation(raw_profile_exif(text.decode("latin-1")))
    return 1
