"""Finding photos: one order, links, loops, any name, and nothing forgotten."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from celebahq_builder.config import BuildConfig
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.process_photo import Task, process_task
from celebahq_builder.sources.archives import ArchiveError
from celebahq_builder.sources.input_photos import left_out, list_input
from celebahq_builder.sources.listing import file_stamp, find_photos, list_photos, read_photo


def test_photos_are_found_in_one_order_with_links_loops_and_any_name(tmp_path):
    (tmp_path / "b" / "deep").mkdir(parents=True)
    (tmp_path / ".thumbnails").mkdir()
    strange = os.fsdecode(b"caf\xe9\n.JPG")
    for name in ("z.jpg", "A.PNG", "b/x y.webp", f"b/deep/{strange}", "b/telephone.heic", ".hidden.jpg"):
        (tmp_path / name).write_bytes(b"?")
    for name in ("list.txt", "labels.csv", ".thumbnails/t.jpg"):
        (tmp_path / name).write_bytes(b"?")
    (tmp_path / "b" / "deep" / "up").symlink_to(tmp_path)  # a loop
    (tmp_path / "a-link").symlink_to(tmp_path / "b")  # a second way to what is there already
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "self.jpg").symlink_to(tmp_path / "self.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")  # reading it would never end
    expected = ["A.PNG", f"b/deep/{strange}", "b/telephone.heic", "b/x y.webp", "gone.jpg", "self.jpg", "z.jpg"]
    assert find_photos(tmp_path) == expected
    assert read_photo(tmp_path, f"b/deep/{strange}") == b"?"


def test_photos_behind_a_link_out_of_the_folder_are_found(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.jpg").write_bytes(b"a")
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "more").symlink_to(tmp_path / "elsewhere")
    assert find_photos(tmp_path / "input") == ["more/a.jpg"]


def test_one_photo_is_found_and_read_whatever_its_extension(tmp_path):
    (tmp_path / "scan.dat").write_bytes(b"abc")
    assert find_photos(tmp_path / "scan.dat") == ["scan.dat"]
    assert read_photo(tmp_path / "scan.dat", "scan.dat") == b"abc"


def test_missing_folder_raises(tmp_path):
    with pytest.raises(FileNotFoundError):
        find_photos(tmp_path / "none")


def test_file_that_cannot_be_read_gives_a_reason(tmp_path):
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UnusablePhotoError, match="file cannot be read: No such file or directory"):
        read_photo(tmp_path, "gone.jpg")


def test_folder_that_cannot_be_listed_is_named_instead_of_forgotten(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir(mode=0)
    (tmp_path / "open.jpg").write_bytes(b"?")
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)  # the folders above are for root alone
    user = os.geteuid()
    try:
        if user == 0:  # root may list anything: look as nobody
            os.seteuid(65534)
        assert find_photos(Path()) == ["closed", "open.jpg"]
    finally:
        os.seteuid(user)
    with pytest.raises(UnusablePhotoError, match="file cannot be read"):
        read_photo(tmp_path, "closed")


def fill_zip(path: Path, members: dict[str, bytes], **options) -> None:
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def fill_tar(path: Path, members: dict[str, bytes], mode: str = "w") -> None:
    with tarfile.open(path, mode) as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize(("fill", "name"), [(fill_zip, "photos.zip"), (fill_tar, "photos.tar")])
def test_photos_in_an_archive_are_named_read_and_stamped_without_unpacking(tmp_path, fill, name):
    members = {"b/2.jpg": b"two", "a.PNG": b"one", "notes.txt": b"-", "__MACOSX/._a.PNG": b"-", ".hidden.jpg": b"-"}
    fill(tmp_path / name, members)
    listing = list_photos(tmp_path / name)
    assert listing.names == ["a.PNG", "b/2.jpg"] and dict(listing.left_out) == {".txt": 1}
    assert read_photo(tmp_path / name, "b/2.jpg") == b"two"
    assert file_stamp(tmp_path / name, "b/2.jpg").num_bytes == 3
    with pytest.raises(UnusablePhotoError, match="file cannot be read"):
        read_photo(tmp_path / name, "gone.jpg")
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(("fill", "name"), [(fill_zip, "photos.zip"), (fill_tar, "photos.tar")])
def test_names_that_leave_an_archive_are_counted_and_read_nothing(tmp_path, fill, name):
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    evil = {"../secret.jpg": b"x", f"{tmp_path}/secret.jpg": b"x", "a/../../secret.jpg": b"x", "good.jpg": b"good"}
    (tmp_path / "in").mkdir()
    fill(tmp_path / "in" / name, evil)
    listing = list_photos(tmp_path / "in" / name)
    assert listing.names == ["good.jpg"] and listing.left_out["members whose name leaves the archive"] == 3
    with pytest.raises(UnusablePhotoError):
        read_photo(tmp_path / "in" / name, "../secret.jpg")


def test_a_photo_of_an_archive_that_changed_has_another_stamp(tmp_path):
    path = tmp_path / "photos.zip"
    fill_zip(path, {"a.jpg": b"one"})
    before = file_stamp(path, "a.jpg")
    fill_zip(path, {"b.jpg": b"new", "a.jpg": b"one"})
    assert file_stamp(path, "a.jpg").num_bytes == before.num_bytes
    fill_zip(path, {"b.jpg": b"new", "a.jpg": b"two"})  # as long, and zips count in steps of two seconds
    assert file_stamp(path, "a.jpg") != before


def test_damaged_and_encrypted_members_are_refused_one_by_one(tmp_path):
    path = tmp_path / "photos.zip"
    fill_zip(path, {"a.jpg": b"one", "b.jpg": b"two" * 100, "c.jpg": b"three"})
    data = bytearray(path.read_bytes())
    data[data.index(b"two")] ^= 1
    entry = data.rindex(b"c.jpg") - 46 + 8
    data[entry] |= 1  # encrypted
    path.write_bytes(data)
    assert list_photos(path).names == ["a.jpg", "b.jpg", "c.jpg"] and read_photo(path, "a.jpg") == b"one"
    for name, word in (("b.jpg", "CRC"), ("c.jpg", "encrypted")):
        with pytest.raises(UnusablePhotoError, match=word):
            read_photo(path, name)


def test_bombs_are_refused_by_their_declared_size(tmp_path):
    path = tmp_path / "photos.zip"
    fill_zip(path, {"a.jpg": b"one"})
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"a.jpg") - 46 + 24
    data[entry : entry + 4] = (4_000_000_000).to_bytes(4, "little")
    path.write_bytes(data)
    assert file_stamp(path, "a.jpg").num_bytes == 4_000_000_000  # which process_task refuses before reading
    (row,) = process_task(Task("a.jpg", BuildConfig(input=path), None)).rows
    assert row.reason == "file too large"


def test_archives_that_cannot_be_used_are_refused_in_one_line(tmp_path):
    fill_tar(tmp_path / "photos.tar.gz", {"a.jpg": b"one"}, "w:gz")
    with pytest.raises(ArchiveError, match="got a file compressed by gzip, expected a folder, a zip or a plain tar"):
        list_photos(tmp_path / "photos.tar.gz")
    fill_zip(tmp_path / "cut.zip", {"a.jpg": b"one" * 1000})
    (tmp_path / "cut.zip").write_bytes((tmp_path / "cut.zip").read_bytes()[:-30])
    with pytest.raises(ArchiveError, match="got a damaged archive"):
        list_photos(tmp_path / "cut.zip")


def test_a_list_of_paths_names_photos_relative_to_itself_and_reads_them_where_they_are(tmp_path):
    for name in ("in/a.jpg", "in/deep/b", "out/c.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    path = tmp_path / "in" / "list.txt"
    lines = ["a.jpg", "", "deep/b", f"{tmp_path}/out/c.jpg", "../out/c.jpg", "gone.jpg", f"{tmp_path}/in/a.jpg", "deep"]
    path.write_bytes("\r\n".join(lines).encode())
    listing, outside = list_photos(path), f"{tmp_path}/out/c.jpg".removeprefix("/")
    assert listing.names == sorted(["a.jpg", "deep", "deep/b", "gone.jpg", outside])
    assert dict(listing.left_out) == {"lines that come again": 2}
    assert read_photo(path, outside) == b"out/c.jpg" and read_photo(path, "deep/b") == b"in/deep/b"
    for name in ("gone.jpg", "deep"):
        with pytest.raises(UnusablePhotoError, match="file cannot be read"):
            read_photo(path, name)


def test_files_of_other_kinds_are_counted_by_kind(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("a.jpg", "b.mp4", "deep/c.mp4", "notes.TXT", "deep/README"):
        (tmp_path / name).write_bytes(b"?")
    (tmp_path / "deep" / "IMG_1").write_bytes(b"\xff\xd8\xff\xe0" + bytes(20))
    listing = list_photos(tmp_path)
    assert listing.names == ["a.jpg"]
    assert left_out(listing) == (
        "2 .mp4, 1 .txt, 1 no extension, 1 no extension, which begin like JPEG: give them its extension to use them"
    )


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="a pipe or device"):
        list_photos(tmp_path / "pipe")


def test_the_folder_of_the_build_itself_is_neither_photos_nor_files_of_other_kinds(tmp_path):
    (tmp_path / "f.h5.build" / "faces").mkdir(parents=True)
    for name in ("a.jpg", "f.h5.build/manifest.jsonl", "f.h5.build/faces/x.png"):
        (tmp_path / name).write_bytes(b"?")
    listing = list_input(BuildConfig(input=tmp_path, output=tmp_path / "f.h5"))
    assert listing.names == ["a.jpg"] and not listing.left_out


def test_small_faces_of_a_page_that_was_written_among_the_photos_are_no_photos(tmp_path):
    from celebahq_builder.report.sprites import Thumbnails, write_sheets

    thumbnails = Thumbnails(70, (4,), lambda r, rows: np.zeros((len(rows), 3, r, r), np.uint8))
    for page in ("report.html", "f-report.html"):
        assert len(list(write_sheets(thumbnails, tmp_path / page, "0123456789abcdef"))) == 2
    (tmp_path / "report-files" / "mine.webp").touch()
    (tmp_path / "a.jpg").touch()
    found = list_photos(tmp_path)
    assert found.names == ["a.jpg", "report-files/mine.webp"] and not found.left_out
