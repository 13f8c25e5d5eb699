"""Packed data of somebody else: what libraries crash on, or unpack without end, is refused before it is read."""

import subprocess
import sys
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from celebahq_builder.hdf5 import DatasetError, DatasetWriter, open_dataset
from celebahq_builder.hdf5_format import validation
from celebahq_builder.pyramid import pyramid

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def sound(tmp_path) -> Path:
    path = tmp_path / "sound.h5"
    with DatasetWriter(path, 8, 4, labels=np.eye(4, 3)) as writer:
        for i in range(4):
            writer.write(pyramid(np.full((8, 8, 3), i, np.uint8)))
    return path


def packed(path: Path, name: str, chunk: bytes | None, **options) -> None:
    """Put a packed dataset into a file, whose first stored chunk is these bytes."""
    with h5py.File(path, "r+") as file:
        file.pop(name, None)
        file.create_dataset(name, data=np.zeros((4, 3, 8, 8), np.uint8), chunks=(1, 3, 8, 8), **options)
        if chunk is not None:
            file[name].id.write_direct_chunk((0, 0, 0, 0), chunk)


@pytest.mark.parametrize("name", ["faces/extra", "data8x8"])
def test_a_chunk_that_is_shorter_than_its_checksum_is_refused_and_crashes_nobody(sound, name):
    packed(sound, name, b"x", compression="gzip", fletcher32=True)
    command = [sys.executable, "-m", "celebahq_builder.dataset", "verify", str(sound)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 2, ran  # libhdf5 reads beyond the chunk: a signal, not an exception
    assert f"got {name} with a packed chunk of 1 bytes, expected 5 to " in ran.stderr


@pytest.mark.parametrize("options", [{"scaleoffset": 3}, {"compression": "szip"}])
def test_filters_that_no_dataset_needs_are_refused_by_number(sound, options):
    if "compression" in options and not h5py.h5z.filter_avail(h5py.h5z.FILTER_SZIP):
        pytest.skip("this HDF5 has no szip")
    packed(sound, "data8x8", None, **options)
    with pytest.raises(DatasetError, match=r"got data8x8 packed by HDF5's filter \d, expected gzip, shuffle"):
        open_dataset(sound)


def test_a_chunk_larger_than_what_is_packed_in_it_is_refused(sound):
    packed(sound, "data8x8", zlib.compress(np.random.default_rng(0).bytes(5000)), compression="gzip")
    with pytest.raises(DatasetError, match=r"got data8x8 with a packed chunk of 50\d\d bytes, expected 1 to 1217"):
        open_dataset(sound)


def test_a_column_that_unpacks_beyond_all_bounds_is_refused_without_them(sound, monkeypatch):
    monkeypatch.setattr(validation, "MEMORY_BYTES", 256 << 20)  # as the file would have it, on a smaller scale
    with h5py.File(sound, "r+") as file:
        rows = 1 << 22
        file.create_dataset("faces/extra", (4,), np.uint8, chunks=(rows,), maxshape=(None,), compression="gzip")
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        block = packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)  # 16 MiB, wherever it stands
        data = b"\x78\xda" + block * 40 + b"\x03\x00"  # 640 MiB
        assert len(data) < rows
        file["faces/extra"].id.write_direct_chunk((0,), data)
    with pytest.raises(DatasetError, match=r"got damaged HDF5|got a damaged file"):
        open_dataset(sound)


@pytest.mark.parametrize("options", [{"compression": "gzip"}, {"compression": "lzf"}, {"shuffle": True}, {}])
def test_packed_data_of_any_kind_that_is_sound_is_read(sound, options):
    noise = np.random.default_rng(0).integers(0, 256, (4, 3, 8, 8), dtype=np.uint8)
    with h5py.File(sound, "r+") as file:
        del file["data8x8"]
        file.create_dataset("data8x8", data=noise, chunks=(1, 3, 8, 8), fletcher32=True, **options)
        names = [f"photo {i}.jpg" for i in range(4)]
        file.create_dataset("faces/source", data=names, chunks=(4,), **options)
        file.create_dataset("faces/score", data=np.linspace(1, 0, 4), chunks=(3,), fletcher32=True, **options)
    with open_dataset(sound) as dataset:
        np.testing.assert_array_equal(dataset.read(8, range(4)), noise)
        assert dataset.faces["source"].tolist() == names and len(dataset.faces["score"]) == 4
