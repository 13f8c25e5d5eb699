"""TIFF photos: every layout of up to 16 bits, the largest page, other kinds by name, nothing on the terminal."""

import ctypes
import io
import struct
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from celebahq_builder.decoding import libtiff_messages
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.photos import decode_photo


def tiff(values: np.ndarray, *, planar=False, packed=False, order="<", tags=(), rows=7) -> bytes:
    """A TIFF of (H, W, C) samples in strips of some rows, as tifffile and libtiff write it."""
    height, width, samples = values.shape
    planes = [values[..., i] for i in range(samples)] if planar else [values.reshape(height, -1)]
    kind = values.dtype.newbyteorder(order)
    strips = [plane[y : y + rows].astype(kind).tobytes() for plane in planes for y in range(0, height, rows)]
    strips = [zlib.compress(strip) if packed else strip for strip in strips]
    offsets = list(np.cumsum([8, *map(len, strips)])[:-1])
    fields = {
        256: [width],
        257: [height],
        258: [8 * values.itemsize] * samples,
        259: [8 if packed else 1],
        262: [1 if samples == 1 else 2],
        273: offsets,
        277: [samples],
        278: [rows],
        279: [len(strip) for strip in strips],
        284: [2 if planar else 1],
        **({338: [2]} if samples == 4 else {}),
        **dict(tags),
    }
    fields = {tag: numbers for tag, numbers in fields.items() if numbers}
    data = b"".join(strips)
    start = 8 + len(data) + len(data) % 2
    entries, extra, after = b"", b"", start + 2 + 12 * len(fields) + 4
    for tag, numbers in sorted(fields.items()):
        long = tag in (273, 279)
        body = b"".join(struct.pack(order + ("I" if long else "H"), int(number)) for number in numbers)
        entry = body.ljust(4, b"\0")
        if len(body) > 4:
            entry = struct.pack(order + "I", after + len(extra))
            extra += body
        entries += struct.pack(order + "HHI", tag, 4 if long else 3, len(numbers)) + entry
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", start)
    body = data + bytes(len(data) % 2) + struct.pack(order + "H", len(fields)) + entries
    return head + body + struct.pack(order + "I", 0) + extra


def refusal(data: bytes) -> UnusablePhotoError:
    with pytest.raises(UnusablePhotoError) as refused:
        decode_photo(data)
    return refused.value


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 65536, shape).astype(np.uint16)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("samples", [1, 3, 4])
def test_sixteen_bits_are_read_in_planes_strips_and_either_byte_order(samples, planar, packed, order):
    values = noise(20, 31, samples)
    if samples == 4:
        values[..., 3] = 65535
    decoded = decode_photo(tiff(values, planar=planar, packed=packed, order=order))
    expected = np.round(values[..., :3] / 257) if samples > 1 else np.repeat(np.round(values / 257), 3, axis=2)
    assert np.abs(decoded - expected).max() <= 1  # of color, Pillow keeps the upper half


def test_ink_in_planes_of_sixteen_bits_is_read():
    values = noise(20, 31, 4)
    chunky, planar = (tiff(values, planar=planar, tags={262: [5], 338: []}.items()) for planar in (False, True))
    np.testing.assert_array_equal(decode_photo(planar), decode_photo(chunky))


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("samples", [1, 3])
def test_fewer_bits_in_sixteen_are_not_black(samples, bits):
    full = (1 << bits) - 1
    values = (noise(16, 16, samples) & full).astype(np.uint16)
    values[0, 0] = full
    decoded = decode_photo(tiff(values))
    tolerance = 0.5 if samples == 1 or bits < 14 else 255
    assert np.abs(decoded - values / full * 255).max() <= tolerance
    assert decoded.mean() > 60 or bits == 14


def test_largest_page_wins():
    large, small = Image.new("RGB", (60, 40), (200, 10, 20)), Image.new("RGB", (16, 16), "white")
    for pages in ([small, large], [large, small], [small, large, small]):
        file = io.BytesIO()
        pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
        decoded = decode_photo(file.getvalue())
        assert decoded.shape == (40, 60, 3) and (decoded == (200, 10, 20)).all()


@pytest.mark.parametrize(
    ("tags", "named"),
    [
        ({339: [3, 3, 3]}, "floating point TIFF"),
        ({339: [2, 2, 2]}, "signed integer TIFF"),
        ({262: [8]}, "CIELab TIFF"),
        ({262: [9]}, "ICCLab TIFF"),
        ({262: [32803]}, "raw sensor TIFF"),
        ({259: [34712]}, "JPEG 2000 in TIFF"),
        ({258: [32, 32, 32]}, "32-bit TIFF"),
        ({50706: [1]}, "camera raw (DNG)"),
    ],
)
def test_whole_tiffs_of_other_kinds_are_named(tags, named):
    refused = refusal(tiff(noise(8, 8, 3), tags=tags.items()))
    assert refused.reason == "unsupported pixel format" and refused.detail.startswith(named)


def test_xmp_orientation_is_never_heeded_and_the_tag_is():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    stale = b'<x:xmpmeta tiff:Orientation="6"/>'
    for compression in ("raw", "tiff_lzw"):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "TIFF", tiffinfo={700: stale}, compression=compression)
        np.testing.assert_array_equal(decode_photo(file.getvalue()), pixels)
    turned = tiff(pixels, tags={274: [6]}.items())
    np.testing.assert_array_equal(decode_photo(turned), np.rot90(pixels, -1))


def test_threads_that_decode_their_first_tiff_at_once_set_one_handler(monkeypatch):
    made = []

    def slowly(*kinds, made_by=ctypes.CFUNCTYPE):
        time.sleep(0.05)  # the other threads come by
        made.append(kinds)
        return made_by(*kinds)

    libtiff_messages._install.cache_clear()
    monkeypatch.setattr(ctypes, "CFUNCTYPE", slowly)
    with ThreadPoolExecutor(4) as pool:
        assert len({len(p) for p in pool.map(decode_photo, [tiff(noise(8, 8, 3), packed=True)] * 4)}) == 1
    assert len(made) == 1


def test_what_libtiff_says_is_in_the_reason_and_not_on_the_terminal():
    data = bytearray(tiff(noise(64, 64, 3), packed=True))
    data[40:90] = bytes(50)
    program = """
import sys, threading
from celebahq_builder.photos import decode_photo
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
data = sys.stdin.buffer.read()
def work():
    for _ in range(20):
        try:
            decode_photo(data)
        except UnusablePhotoError as refusal:
            words.append(str(refusal))
words = []
threads = [threading.Thread(target=work) for _ in range(3)]
[thread.start() for thread in threads]
print("ours", file=sys.stderr)
[thread.join() for thread in threads]
print(len(words), len(set(words)), words[0])
"""
    done = subprocess.run([sys.executable, "-c", program], input=bytes(data), capture_output=True, check=True)
    assert done.stderr == b"ours\n"
    assert done.stdout.startswith(b"60 1 truncated or corrupt file") and b"Decod" in done.stdout
    bare = "import sys, io; from PIL import Image; Image.open(io.BytesIO(sys.stdin.buffer.read())).load()"
    loud = subprocess.run([sys.executable, "-c", bare], input=bytes(data), capture_output=True).stderr
    assert b"Traceback" in loud and loud.index(b"Traceback") > 0  # libtiff's own line comes first
