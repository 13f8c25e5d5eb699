"""A photo that changed since the build is noticed by the same command, and one that was only touched is not redone."""

import hashlib
import os

import h5py

from celebahq_builder.build import build
from celebahq_builder.config import BuildConfig
from celebahq_builder.state import photo_changes


def options(photos, output, **more):
    return BuildConfig(**{"input": photos, "output": output, "resolution": 16, "workers": 0, "restore": "off"} | more)


def rewrite(path, data, seconds=10):
    """Other bytes of the same number, written `seconds` after the first."""
    before = path.stat()
    assert len(data) == before.st_size
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + round(seconds * 1e9)))


def test_photo_of_the_same_name_and_size_that_changed_is_made_again_by_the_same_command(made_photos, trouble, tmp_path):
    output = tmp_path / "f.h5"
    build(options(made_photos, output))
    rewrite(made_photos / "c.jpg", b"PHOTO c.jpg")
    del trouble["worked on"][:]
    build(options(made_photos, output))
    assert trouble["worked on"] == ["c.jpg"]
    with h5py.File(output) as file:
        row = file["faces/source"].asstr()[:].tolist().index("c.jpg")
        assert file["faces/source_sha256"][row].decode() == hashlib.sha256(b"PHOTO c.jpg").hexdigest()


def test_photos_with_new_time_stamps_but_the_same_bytes_are_the_same(made_photos, trouble, tmp_path, logged):
    output = tmp_path / "f.h5"
    build(options(made_photos, output))
    for path in made_photos.iterdir():
        os.utime(path)
    build(options(made_photos, output))
    assert f"{output}: already finished, 4 faces" in logged[-1].getMessage()


def test_photos_with_their_old_time_stamps_are_not_read_again(made_photos, trouble, tmp_path, monkeypatch):
    build(options(made_photos, tmp_path / "f.h5"))
    monkeypatch.setattr(photo_changes, "content_sha256", lambda *args: 1 // 0)
    build(options(made_photos, tmp_path / "f.h5"))


def test_file_of_an_older_version_without_digests_is_still_finished(made_photos, trouble, tmp_path):
    output = tmp_path / "f.h5"
    build(options(made_photos, output))
    with h5py.File(output, "a") as file:
        del file.attrs["photos_times_sha256"], file.attrs["photos_contents_sha256"]
    for path in made_photos.iterdir():
        os.utime(path)
    build(options(made_photos, output))


def test_resumed_build_redoes_what_changed_and_not_what_was_touched(made_photos, trouble, tmp_path):
    output = tmp_path / "f.h5"
    build(options(made_photos, output, keep_build_folder=True))
    output.unlink()
    os.utime(made_photos / "a.jpg")
    rewrite(made_photos / "c.jpg", b"PHOTO c.jpg")
    del trouble["worked on"][:]
    build(options(made_photos, output))
    assert trouble["worked on"] == ["c.jpg"]


def test_refused_photo_that_changed_is_noticed_too(made_photos, trouble, tmp_path):
    """Nothing of it is among the faces; only the digest of all photos tells."""
    output = tmp_path / "f.h5"
    build(options(made_photos, output, keep=1))
    with h5py.File(output) as file:
        other = next(path for path in made_photos.iterdir() if path.name not in file["faces/source"].asstr()[:])
    rewrite(other, other.read_bytes().upper())
    del trouble["worked on"][:]
    build(options(made_photos, output, keep=1))
    assert trouble["worked on"] == [other.name]
