"""Finding photos: one order, links, loops, any name, and nothing forgotten."""

import os
from pathlib import Path

import pytest

from celebahq_builder.photos import find_photos, read_photo
from celebahq_builder.unusable_photo import UnusablePhoto


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
    with pytest.raises(UnusablePhoto, match="file cannot be read: No such file or directory"):
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
    with pytest.raises(UnusablePhoto, match="file cannot be read"):
        read_photo(tmp_path, "closed")
