"""Whatever a photo holds, decoding it takes bounded memory and ends in pixels or a refusal."""

import importlib.util
import io
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.photos import decode_photo

ROOT = Path(__file__).resolve().parents[3]


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def with_size(data: bytes, width: int, height: int, marker: bytes) -> bytes:
    at = data.index(marker) + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def test_memory_is_reckoned_by_what_the_decoder_keeps_and_not_by_the_sides(monkeypatch):
    from celebahq_builder.decoding import limits as photo_limits

    monkeypatch.setattr(photo_limits, "MAX_DECODING_BYTES", 2_000_000)  # a thousandth
    baseline = encoded(Image.new("RGB", (16, 16)), "JPEG", subsampling=0)
    progressive = encoded(Image.new("RGB", (16, 16)), "JPEG", subsampling=0, progressive=True)
    ink = encoded(Image.new("CMYK", (16, 16)), "JPEG", progressive=True)
    for data, marker, side, reason in (
        (progressive, b"\xff\xc2", 475, "too much memory"),  # 9 bytes a pixel
        (progressive, b"\xff\xc2", 460, "truncated or corrupt file"),  # is tried: its data are those of 16x16
        (ink, b"\xff\xc2", 370, "too much memory"),  # 15 bytes a pixel
        (ink, b"\xff\xc2", 350, "truncated or corrupt file"),
        (baseline, b"\xff\xc0", 479, "truncated or corrupt file"),
        (baseline, b"\xff\xc0", 480, "too many pixels"),
    ):
        with pytest.raises(UnusablePhotoError) as refused:
            decode_photo(with_size(data, side, side, marker), max_megapixels=0.23)
        assert refused.value.reason == reason, (side, refused.value)


def test_memory_that_decoding_takes_stays_below_what_was_reckoned(tmp_path):
    # Measured from outside, in a process of its own: what numpy and the libraries allocate, all at once.
    image = Image.new("RGB", (3000, 2000), (90, 120, 60))
    exif = Image.Exif()
    exif[0x0112] = 6
    files = {
        "turned.jpg": (encoded(image, "JPEG", exif=exif.tobytes()), 6),
        "progressive.jpg": (encoded(image, "JPEG", progressive=True), 6.1),
        "ink.jpg": (encoded(image.convert("CMYK"), "JPEG"), 7),
        "plain.png": (encoded(image, "PNG", compress_level=1), 8),
        "plain.tif": (encoded(image, "TIFF", compression="tiff_lzw"), 14),
        "plain.webp": (encoded(image, "WEBP", lossless=True, method=0, quality=0), 16),
        "plain.avif": (encoded(image, "AVIF", speed=10, quality=30), 18),  # the slow one to write
    }
    for name, (data, _) in files.items():
        (tmp_path / name).write_bytes(data)
    program = """
import resource, sys
from celebahq_builder.photos import decode_photo
small, data = (open(name, "rb").read() for name in sys.argv[1:])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
decode_photo(data)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    (tmp_path / "small").write_bytes(b"")
    for name, (data, bytes_a_pixel) in files.items():
        command = [sys.executable, "-c", program, str(tmp_path / "small"), str(tmp_path / name)]
        took = 1024 * int(subprocess.run(command, capture_output=True, check=True, cwd=ROOT).stdout)
        reckoned = bytes_a_pixel * 6e6 + 2 * len(data)
        assert took < 1.05 * reckoned + 12e6, f"{name}: {took / 6e6:.1f} bytes a pixel, reckoned {bytes_a_pixel}"


def test_hundreds_of_damaged_files_of_every_kind_become_pixels_or_refusals(capfd):
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        spec = importlib.util.spec_from_file_location("photo_mutations", ROOT / "benchmarks" / "photo_mutations.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    files = module.seeds()
    decoded = refused = 0
    for number in range(500):
        _, data = module.photo(files, 7, number)
        try:
            pixels = decode_photo(data)
            assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
            decoded += 1
        except UnusablePhotoError as refusal:
            assert refusal.reason
            refused += 1
    assert decoded > 50 and refused > 200
    out, err = capfd.readouterr()
    assert out == err == ""


def test_surprises_of_a_decoder_are_refusals_that_name_the_kind(monkeypatch):
    from celebahq_builder import photos

    def surprise(data: bytes, max_megapixels: float):
        raise AssertionError("an odd tag")

    monkeypatch.setitem(photos._DECODERS, "TIFF", surprise)
    with pytest.raises(UnusablePhotoError, match="damaged TIFF metadata: AssertionError: an odd tag"):
        decode_photo(encoded(Image.new("RGB", (8, 8)), "TIFF"))
