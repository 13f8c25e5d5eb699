"""A disk that is fuller than it says, as with a quota: faces that wait are packed, and the build ends as any other."""

import contextlib
import errno
import hashlib
import io
import os
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest

from celebahq.files import write_atomic
from celebahq_builder import build as build_module
from celebahq_builder import process_photos
from celebahq_builder.build import build
from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.process_photo import Result
from celebahq_builder.state import build_folder, make_room
from celebahq_builder.state.manifest import ManifestWriter
from celebahq_builder.state.waiting_faces import PACKED, PLAIN, encode_face

PLAIN_BYTES = 128 + 3 * 16 * 16


def options(photos, output, **more):
    return BuildConfig(**{"input": photos, "output": output, "resolution": 16, "workers": 0, "restore": "off"} | more)


def datasets(path):
    with h5py.File(path) as file:
        return {name: file[name][()].tobytes() for name in file if name.startswith("data")}


def waiting(tmp_path):
    return sorted(path.suffix for path in (tmp_path / "f.h5.build" / "faces").iterdir())


@pytest.fixture
def smooth(trouble, monkeypatch):
    """Faces of one color, which packing makes small; gives whether each was asked for packed."""
    noise, asked = process_photos.process_task, []

    def process_task(task):
        asked.append(task.packed)
        row = noise(task).rows[0]
        face = encode_face(np.full((16, 16, 3), ord(task.name[0]), np.uint8), task.packed)
        return Result([replace(row, face_sha256=hashlib.sha256(face).hexdigest())], {0: face})

    monkeypatch.setattr(process_photos, "process_task", process_task)
    return asked


@pytest.fixture
def quota(monkeypatch):
    """Set to how many bytes of faces may lie on the disk; what it says of its room stays as it is."""
    limit = {"bytes": 1 << 40}

    @contextlib.contextmanager
    def limited(path):
        data = io.BytesIO()
        yield data
        used = sum(other.stat().st_size for other in path.parent.iterdir() if other != path)
        if used + len(data.getvalue()) > limit["bytes"]:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), str(path))
        with write_atomic(path) as file:
            file.write(data.getvalue())

    for module in (build_folder, make_room):
        monkeypatch.setattr(module, "write_atomic", limited)
    return limit


def test_quota_packs_what_waits_and_what_comes(made_photos, tmp_path, smooth, quota, logged):
    build(options(made_photos, tmp_path / "right.h5"))
    del smooth[:]
    quota["bytes"] = 2 * PLAIN_BYTES + 100
    build(options(made_photos, tmp_path / "f.h5", keep_build_folder=True))
    assert datasets(tmp_path / "f.h5") == datasets(tmp_path / "right.h5")
    assert smooth == [False, False, False, True]
    assert waiting(tmp_path).count(PLAIN) <= 2
    told = [line.getMessage() for line in logged if "faces wait packed now" in line.getMessage()]
    assert len(told) == 1 and os.strerror(errno.EDQUOT) in told[0]


def test_face_is_packed_where_it_lies_when_there_is_no_room_beside_it(made_photos, tmp_path, smooth, quota):
    build(options(made_photos, tmp_path / "right.h5"))
    quota["bytes"] = PLAIN_BYTES + 10
    build(options(made_photos, tmp_path / "f.h5", keep_build_folder=True))
    assert datasets(tmp_path / "f.h5") == datasets(tmp_path / "right.h5")
    assert waiting(tmp_path) == [PACKED] * 4


def test_what_does_not_fit_packed_either_is_one_line_and_goes_on_once_there_is_room(
    made_photos, tmp_path, trouble, quota
):
    build(options(made_photos, tmp_path / "right.h5"))
    quota["bytes"] = 2 * PLAIN_BYTES + 100
    with pytest.raises(BuildError, match=r"faces/\w+-0.npy: .*; free some space and run the same command again to con"):
        build(options(made_photos, tmp_path / "f.h5"))  # noise, which packing makes larger
    quota["bytes"] = 1 << 40
    del trouble["worked on"][:]
    build(options(made_photos, tmp_path / "f.h5"))
    assert trouble["worked on"] == ["c.jpg", "d.jpg"]
    assert datasets(tmp_path / "f.h5") == datasets(tmp_path / "right.h5")


@pytest.mark.parametrize("step", ["rows", "file_rows", "write_output", "_write_report", "write_row_tables", "manifest"])
def test_whatever_finds_no_room_is_written_once_faces_are_packed(made_photos, tmp_path, smooth, monkeypatch, step):
    where, name = {"rows": (ManifestWriter, "append"), "manifest": (build_module, "write_manifest")}.get(
        step, (build_module, step)
    )
    real, refused = getattr(where, name), []

    def without_room(*args, **more):
        if waiting(tmp_path).count(PLAIN) > 1:
            refused.append(step)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "the file")
        return real(*args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(where, name, without_room)
        build(options(made_photos, tmp_path / "f.h5", keep_build_folder=True))
    assert refused
    assert PACKED in waiting(tmp_path)
    build(options(made_photos, tmp_path / "right.h5"))
    assert datasets(tmp_path / "f.h5") == datasets(tmp_path / "right.h5")
    assert (tmp_path / "f.h5.rows.csv").read_bytes() == (tmp_path / "right.h5.rows.csv").read_bytes()


@pytest.mark.parametrize("step", ["_write_report", "write_row_tables"])
def test_page_and_table_that_find_room_once_nothing_waits_are_written_by_the_same_command(
    made_photos, tmp_path, smooth, monkeypatch, step
):
    real = getattr(build_module, step)

    def without_room(*args, **more):
        if any(tmp_path.glob("*.build/faces")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "the file")
        return real(*args, **more)

    monkeypatch.setattr(build_module, step, without_room)
    said = r"the file: No space left on device; .*f\.h5 is complete, run the same command again: it first removes the"
    with pytest.raises(BuildError, match=said):
        build(options(made_photos, tmp_path / "f.h5"))
    build(options(made_photos, tmp_path / "f.h5"))
    assert (tmp_path / "report.html").exists() and (tmp_path / "f.h5.rows.csv").exists()
    with pytest.raises(BuildError, match="free some space and run the same command"):  # a folder that stays frees none
        build(options(made_photos, tmp_path / "g.h5", keep_build_folder=True))


def test_other_errors_of_the_disk_pack_nothing(made_photos, tmp_path, smooth, monkeypatch):
    def fail(*args, **more):
        raise OSError(errno.EIO, os.strerror(errno.EIO), "the file")

    monkeypatch.setattr(build_module, "write_output", fail)
    with pytest.raises(BuildError, match="the file: Input/output error; put that right"):
        build(options(made_photos, tmp_path / "f.h5"))
    assert waiting(tmp_path) == [PLAIN] * 4


def test_missing_room_for_table_and_page_of_a_finished_file_is_one_line(made_photos, tmp_path, trouble, monkeypatch):
    build(options(made_photos, tmp_path / "f.h5"))
    (tmp_path / "f.h5.rows.csv").unlink()

    def fail(*args, **more):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "the table")

    with monkeypatch.context() as patch, pytest.raises(BuildError, match=r"the table: No space left .*free some space"):
        patch.setattr(build_module, "write_row_tables", fail)
        build(options(made_photos, tmp_path / "f.h5"))
    build(options(made_photos, tmp_path / "f.h5"))
    assert (tmp_path / "f.h5.rows.csv").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no RLIMIT_FSIZE")
def test_file_that_cannot_grow_is_one_line_wherever_it_stops(made_photos, tmp_path, trouble):
    """HDF5 stumbles over what it finds unwritten, in words of its own, before anybody asks whether a write failed."""
    import resource

    for i in range(20):
        (made_photos / f"{i}.jpg").write_bytes(f"photo {i}".encode())
    build(options(made_photos, tmp_path / "right.h5", keep_build_folder=True))
    least = (tmp_path / "right.h5.build" / "manifest.jsonl").stat().st_size + 2000
    limits = range(least, (tmp_path / "right.h5").stat().st_size, 3000)
    assert len(limits) > 15
    for limit in limits:
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
        try:
            with pytest.raises(BuildError, match=r"f\.h5\.partial: File too large; no dataset was made; free "):
                build(options(made_photos, tmp_path / "f.h5"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    build(options(made_photos, tmp_path / "f.h5"))
    assert datasets(tmp_path / "f.h5") == datasets(tmp_path / "right.h5")
