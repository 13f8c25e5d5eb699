"""Validation: an HDF5 file of somebody else is read or refused in one line; it never reads others, hangs or swells."""

import importlib.util
import os
import resource
import shutil
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from celebahq_builder.hdf5 import DatasetError, DatasetWriter, open_dataset
from celebahq_builder.hdf5_format import validation
from celebahq_builder.pyramid import pyramid

COMMANDS = ("info", "verify", "preview", "extract", "compare")


def load(name: str):
    """A module of benchmarks/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[3] / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


hdf5_mutations = load("hdf5_mutations")


@pytest.fixture
def sound(tmp_path) -> Path:
    path = tmp_path / "sound.h5"
    with DatasetWriter(path, 8, 4, labels=np.eye(4, 3)) as writer:
        for i in range(4):
            writer.write(pyramid(np.full((8, 8, 3), i, np.uint8)))
    return path


def arguments(command: str, path: Path, folder: Path, other: Path) -> list[object]:
    more = {
        "verify": ["--photos", folder],
        "preview": ["--output", folder / "sheet.png"],
        "extract": ["--output", folder / "png"],
        "compare": [other],
    }
    return [command, path, *more.get(command, [])]


def edit(path: Path, name: str, make) -> None:
    with h5py.File(path, "r+") as file:
        file.pop(name, None)
        make(file, name)


def external(file, name):
    file.create_dataset(name, (4, 3, 8, 8), np.uint8, external=[("/etc/passwd", 0, 768)])


def virtual(source):
    def make(file, name):
        layout = h5py.VirtualLayout((4, 3, 8, 8), np.uint8)
        layout[:] = h5py.VirtualSource(source, "data8x8", (4, 3, 8, 8))
        file.create_virtual_dataset(name, layout)

    return make


def link(to):
    return lambda file, name: file.__setitem__(name, to)


FOREIGN = [
    ("data8x8", external, "data8x8, whose bytes lie in /etc/passwd"),
    ("data8x8", virtual("/etc/passwd"), "data8x8, which shows /etc/passwd"),
    ("data8x8", virtual("other.h5"), "data8x8, which shows other.h5"),
    ("data8x8", virtual("../sound-00000-of-00001.h5"), "data8x8, which shows ../sound-00000-of-00001.h5"),
    ("labels", virtual("sound-00000-of-00001.h5"), "labels, a virtual dataset"),
    ("data8x8", link(h5py.ExternalLink("other.h5", "/data8x8")), "data8x8, a link to other.h5"),
    ("faces/deep/x", link(h5py.ExternalLink("/etc/passwd", "/")), "faces/deep/x, a link to /etc/passwd"),
    ("data8x8", link(h5py.SoftLink("/nowhere")), "data8x8, a link to /nowhere, where nothing is"),
    ("labels", lambda f, n: f.create_dataset(n, (4, 10**10), np.float32), "labels of 149.0 GiB by its shape"),
    ("data8x8", lambda f, n: f.create_dataset(n, (10**9, 3, 8, 8), np.uint8, chunks=(1, 3, 8, 8)), "178.8 GiB"),
    ("labels", lambda f, n: f.create_group(n), "labels that are a group"),
    ("labels", lambda f, n: f.create_dataset(n, data=np.full((4, 3), np.nan)), "no finite number in row 0"),
    ("faces/sub", lambda f, n: f.create_group(n), "faces/sub that is no column"),
    (
        "faces/score",
        lambda f, n: f.create_dataset(n, data=np.zeros((4, 2))),
        r"faces/score of (4, 2) float64, expected",
    ),
    ("faces/source", lambda f, n: f.create_dataset(n, data=np.arange(4)), "faces/source of (4,) int64, expected text"),
    ("faces/x", lambda f, n: f.create_dataset(n, data=["y" * 70_000] * 4), "faces/x with an entry of 70000 bytes"),
]


@pytest.mark.parametrize(("name", "make", "found"), FOREIGN, ids=[found for *_, found in FOREIGN])
def test_every_command_refuses_what_lies_elsewhere_or_claims_too_much(
    sound, tmp_path, capsys, refusal, name, make, found
):
    other = tmp_path / "other.h5"
    shutil.copy(sound, other)
    shutil.copy(sound, tmp_path / "sound-00000-of-00001.h5")
    edit(sound, name, make)
    for command in COMMANDS:
        line = refusal(capsys, *arguments(command, sound, tmp_path, other))
        assert line.startswith(f"{sound}: ") and found in line
    assert not (tmp_path / "png").exists()


def test_training_and_metrics_go_through_the_same_gate(sound):
    edit(sound, "data8x8", external)
    from train.config import TrainConfig
    from train.loop import train

    with pytest.raises(DatasetError, match="whose bytes lie in /etc/passwd"):
        train(TrainConfig(dataset=sound, outdir=sound.parent / "runs"))
    assert not (sound.parent / "runs").exists()


def test_virtual_levels_that_join_the_shards_beside_the_file_are_read(sound, tmp_path):
    shard, joined = tmp_path / "all-00000-of-00001.h5", tmp_path / "all.h5"
    shutil.copy(sound, shard)
    with h5py.File(joined, "w") as file:
        for r in (8, 4, 2, 1):
            layout = h5py.VirtualLayout((4, 3, r, r), np.uint8)
            layout[:] = h5py.VirtualSource(shard.name, f"data{r}x{r}", (4, 3, r, r))
            file.create_virtual_dataset(f"data{r}x{r}", layout)
    with open_dataset(joined) as dataset, open_dataset(sound) as plain:
        np.testing.assert_array_equal(dataset.read(8, [2, 0]), plain.read(8, [2, 0]))
    edit(shard, "data8x8", external)
    with pytest.raises(DatasetError, match=r"all-00000-of-00001.h5: got data8x8, whose bytes lie in /etc/passwd"):
        open_dataset(joined)
    shard.unlink()
    shard.symlink_to(sound)
    with pytest.raises(DatasetError, match=r"all-00000-of-00001\.h5: got a link, expected the shard with rows 0\.\.3"):
        open_dataset(joined)


def test_pipes_and_devices_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.h5")
    for path in (tmp_path / "pipe.h5", Path("/dev/zero")):
        with pytest.raises(DatasetError, match="a device or pipe"):
            open_dataset(path)


def _heap_that_never_ends(path: Path) -> None:
    """Damage the heap that holds the text of the attributes: libhdf5 2.0 walks through it without end."""
    data = bytearray(path.read_bytes())
    at = data.index(b"GCOL") + 16
    data[at + 8 : at + 16] = (2**64 - 16).to_bytes(8, "little")
    path.write_bytes(data)


def test_a_file_that_libhdf5_never_finishes_reading_is_refused(sound, monkeypatch):
    monkeypatch.setattr(validation, "CPU_SECONDS", 1)
    _heap_that_never_ends(sound)
    started = time.monotonic()
    with pytest.raises(DatasetError, match="a damaged file that cannot be read to its end"):
        open_dataset(sound)
    assert time.monotonic() - started < 60


def test_many_rows_that_all_show_one_long_text_take_no_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(validation, "MEMORY_BYTES", 256 << 20)
    path, rows = tmp_path / "many.h5", 4000
    with h5py.File(path, "w") as file:
        file.create_dataset("data1x1", data=np.zeros((rows, 3, 1, 1), np.uint8), chunks=(43, 3, 1, 1))
        file["faces/source"] = ["z" * 1_000_000] + ["q"] * (rows - 1)
        at = file["faces/source"].id.get_offset()
    data = bytearray(path.read_bytes())
    data[at : at + 16 * rows] = data[at : at + 16] * rows  # 4 GB of text in a file of 1 MB
    path.write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DatasetError):
        open_dataset(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_a_packed_chunk_of_nothing_is_refused(tmp_path):
    # h5py's LZF looks at the first byte of it, which is anybody's, and may ask for more room for ever.
    path = tmp_path / "lzf.h5"
    with h5py.File(path, "w") as file:
        for r in (4, 2, 1):
            file.create_dataset(f"data{r}x{r}", (4, 3, r, r), np.uint8, chunks=(1, 3, r, r), compression="lzf")[:] = 7
        size = file["data2x2"].id.get_chunk_info(1).size
    place = bytes(4) + (1).to_bytes(8, "little") + bytes(32)  # of row 1, in the index of chunks
    data = path.read_bytes()
    assert data.count(size.to_bytes(4, "little") + place) >= 1
    path.write_bytes(data.replace(size.to_bytes(4, "little") + place, bytes(4) + place))
    with pytest.raises(DatasetError, match="with a packed chunk of 0 bytes"):
        open_dataset(path)


def test_names_that_would_write_on_the_terminal_are_spelled_out(sound, tmp_path, capsys, run):
    with h5py.File(sound, "r+") as file:
        file.attrs["evil\x1b[2J"] = "\x1b]0;PWNED\x07\u202ered"
        file["data\x1b[31m"] = 1
        file["faces/source"] = [f"\x1b[3{i}m\u202e.jpg" for i in range(4)]
        file["faces/source_sha256"] = [b"0" * 64] * 4
        scalar = h5py.h5s.create(h5py.h5s.SCALAR)
        h5py.h5a.create(file.id, b"caf\xe9", h5py.h5t.STD_I32LE, scalar).write(np.array(1, np.int32))
        file["labels"].attrs["names"] = ["\x1b[1m", "b\n", "\u2066c"]
        file.attrs["config"] = '{"a\\u001b[31m": "\\u001b[2J"}'
    other = tmp_path / "other.h5"
    with DatasetWriter(other, 8, 4) as writer:
        for _ in range(4):
            writer.write(pyramid(np.zeros((8, 8, 3), np.uint8)))
    for command in COMMANDS:
        run(*arguments(command, sound, tmp_path, other))
        out, err = capsys.readouterr()
        assert all(c.isprintable() or c == "\n" for c in out + err), repr(out + err)
    run("info", sound)
    assert "\\x1b]0;PWNED\\x07\\u202ered" in capsys.readouterr().out


def test_a_config_as_deep_as_a_well_is_shown_as_text(sound, capsys, run):
    with h5py.File(sound, "r+") as file:
        file.attrs["config"] = "[" * 40_000
    assert run("info", sound) == 0
    assert "(40,000 characters)" in capsys.readouterr().out
    assert run("verify", sound) == 1
    assert "config is missing or no JSON" in capsys.readouterr().out


def test_damaged_pixels_are_one_line_that_names_the_level(tmp_path, capsys, refusal, random_faces, write):
    path = write(tmp_path / "faces.h5", random_faces(3, 16), compression="gzip")
    with h5py.File(path, "r+") as file:
        where = file["data16x16"].id.get_chunk_info(1)
        at = where.byte_offset
    data = bytearray(path.read_bytes())
    data[at : at + 20] = b"\xff" * 20
    path.write_bytes(data)
    for command in ("verify", "extract"):
        line = refusal(capsys, *arguments(command, path, tmp_path, path))
        assert "data16x16 damaged in rows" in line


def test_verify_of_photos_stays_in_its_folder_and_waits_for_no_pipe(tmp_path, capsys, run):
    photos, path = tmp_path / "photos", tmp_path / "f.h5"
    photos.mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (photos / "out").symlink_to(tmp_path / "secret")
    os.mkfifo(photos / "pipe")
    (photos / "ok").write_bytes(b"")
    names = ["../secret", str(tmp_path / "secret"), "out", "pipe", "a\0b", "", "ok"]
    with DatasetWriter(path, 4, len(names)) as writer:
        for _ in names:
            writer.write(pyramid(np.zeros((4, 4, 3), np.uint8)))
    with h5py.File(path, "r+") as file:
        file["faces/source"] = [name.replace("\0", "\ufffd") if "\0" in name else name for name in names]
        empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        file["faces/source_sha256"] = [empty.encode()] * len(names)
        file["faces/pixel_sha256"] = [empty.encode()] * len(names)
    assert run("verify", path, "--photos", photos) == 1
    out = capsys.readouterr().out
    assert f"6 of 7 photos cannot be read, the first is ../secret (outside {photos})" in out
    assert "changed" not in out


def test_a_sound_file_in_other_chunks_is_sound_to_verify(tmp_path, capsys, run):
    path = tmp_path / "chunks.h5"
    faces = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    with h5py.File(path, "w") as file:
        for r in (8, 4, 2, 1):
            data = np.stack([pyramid(face)[r] for face in faces])
            file.create_dataset(f"data{r}x{r}", data=data, chunks=(2, 1, max(1, r // 2), r))
    assert run("verify", path) == 0
    assert "all is well" in capsys.readouterr().out


def test_weird_files_are_one_line_or_read_by_every_command(tmp_path, capsys, run, monkeypatch):
    # benchmarks/fuzz_hdf5.py runs thousands of them through all commands and the trainer.
    monkeypatch.setattr(validation, "CPU_SECONDS", 1)
    good, path = tmp_path / "good.h5", tmp_path / "weird.h5"
    hdf5_mutations.sound_file(good, np.random.default_rng(0))
    before = None
    for seed in range(40):
        hdf5_mutations.weird_file(path, seed)
        command = COMMANDS[seed % len(COMMANDS)]
        shutil.rmtree(tmp_path / "png", ignore_errors=True)
        (tmp_path / "sheet.png").unlink(missing_ok=True)
        code = run(*arguments(command, path, tmp_path, good))
        out, err = capsys.readouterr()
        lines = [line for line in err.splitlines() if line.startswith("celebahq-data: ")]
        assert code in (0, 1, 2) and (len(lines) == 1) == (code == 2), (seed, command, code, err)
        assert all(c.isprintable() or c == "\n" for c in out + err), (seed, command, repr(out + err))
        if seed == 10:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000, "kB: memory grows"
