"""Faces wait as they are where the disk has room, and packed where it has not: the dataset is the same."""

import json
import shutil
from unittest.mock import Mock

import h5py
import numpy as np
import pytest

from celebahq_builder import build as build_module
from celebahq_builder import process_photos
from celebahq_builder.build import build
from celebahq_builder.config import BuildConfig
from celebahq_builder.state.waiting_faces import (
    PACKED,
    PLAIN,
    decode_face,
    encode_face,
    ending_of,
    is_complete,
    is_room_for_plain,
)

FACE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
FORMS = {PLAIN: encode_face(FACE, packed=False), PACKED: encode_face(FACE, packed=True)}


@pytest.mark.parametrize("ending", FORMS)
def test_both_forms_are_without_loss_and_tell_when_they_are_cut_short(ending, tmp_path):
    data = FORMS[ending]
    assert ending_of(data) == ending
    assert np.array_equal(decode_face(data), FACE)
    path = tmp_path / "face"
    assert not is_complete(path)
    path.write_bytes(data)
    assert is_complete(path)
    for length in (0, 7, 60, 127, 128, len(data) - 1):
        path.write_bytes(data[:length])
        assert not is_complete(path), length
        with pytest.raises(OSError, match=r"a face: got|cannot identify|truncated|decode|WebP"):
            decode_face(data[:length])


@pytest.mark.parametrize(("at", "byte"), [(8, 0), (10, 10), (20, 40), (21, 92)])
def test_a_damaged_header_is_no_face(at, byte, tmp_path):
    data = bytearray(FORMS[PLAIN])
    data[at] = byte
    (tmp_path / "face").write_bytes(data)
    assert not is_complete(tmp_path / "face")
    with pytest.raises(OSError, match="a face: got"):
        decode_face(bytes(data))


def test_plain_form_is_what_numpy_reads(tmp_path):
    path = tmp_path / f"face{PLAIN}"
    path.write_bytes(FORMS[PLAIN])
    assert np.array_equal(np.load(path), FACE)


def datasets(path):
    with h5py.File(path) as file:
        return {name: file[name][()].tobytes() for name in file if name.startswith("data")}


@pytest.mark.parametrize("room", [True, False])
def test_a_build_goes_on_from_faces_of_the_other_form(made_photos, tmp_path, trouble, monkeypatch, room):
    """As after an update, or when another program filled the disk: none is made again, the set is the same."""

    def options(name, **others):
        return BuildConfig(input=made_photos, output=tmp_path / name, resolution=16, workers=0, restore="off", **others)

    build(options("right.h5"))
    monkeypatch.setattr(build_module, "is_room_for_plain", lambda config, num_photos: not room)
    build(options("f.h5", keep_build_folder=True))
    (tmp_path / "f.h5").unlink()
    folder = tmp_path / "f.h5.build"
    assert {path.suffix for path in (folder / "faces").iterdir()} == {PACKED if room else PLAIN}
    lines = (folder / "manifest.jsonl").read_text().splitlines(keepends=True)
    (folder / "manifest.jsonl").write_text("".join(lines[:-1]))  # killed before the last one
    lost = json.loads(lines[-1])["source"]

    monkeypatch.setattr(build_module, "is_room_for_plain", lambda config, num_photos: room)
    del trouble["worked on"][:]
    build(options("f.h5", keep_build_folder=True))
    assert trouble["worked on"] == [lost]
    assert sorted({path.suffix for path in (folder / "faces").iterdir()}) == [PLAIN, PACKED]
    assert len(list((folder / "faces").iterdir())) == 4
    assert datasets(tmp_path / "f.h5") == datasets(tmp_path / "right.h5")


def test_faces_wait_packed_where_the_disk_is_small_for_them_and_the_file(tmp_path, monkeypatch):
    config = BuildConfig(input=tmp_path, output=tmp_path / "later" / "f.h5", resolution=1024, keep=1000)
    needed = 1.2 * 1000 * (3 + 4) * 1024**2
    for free, num_photos, room in ((needed + 1, 5000, True), (needed - 1, 5000, False), (needed / 9, 100, True)):
        monkeypatch.setattr(shutil, "disk_usage", lambda folder, free=free: shutil._ntuple_diskusage(0, 0, free))
        assert is_room_for_plain(config, num_photos) is room


@pytest.mark.parametrize("room", [True, False])
def test_faces_that_are_made_again_in_the_other_form_may_be_interrupted(
    made_photos, tmp_path, trouble, monkeypatch, room
):
    """A larger --keep than before an update: killed while the faces of before are made again, it is gone on with."""

    def options(name, **others):
        return BuildConfig(input=made_photos, output=tmp_path / name, resolution=16, workers=0, restore="off", **others)

    build(options("right.h5"))
    monkeypatch.setattr(build_module, "is_room_for_plain", lambda config, num_photos: not room)
    build(options("f.h5", keep=1, keep_build_folder=True))
    (tmp_path / "f.h5").unlink()

    monkeypatch.setattr(build_module, "is_room_for_plain", lambda config, num_photos: room)
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(process_photos, "write_manifest", Mock(side_effect=KeyboardInterrupt))
        build(options("f.h5"))
    build(options("f.h5"))
    assert datasets(tmp_path / "f.h5") == datasets(tmp_path / "right.h5")
