"""A file is complete or not there, and a name is printable."""

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from celebahq import files
from celebahq.files import atomic_path, lock, printable, sha256_of, write_atomic


def test_file_appears_only_once_it_is_complete(tmp_path):
    path = tmp_path / "a.json"
    with write_atomic(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert [found.name for found in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("failure", [ValueError("no"), KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
def test_failure_leaves_the_old_file_and_no_partial(tmp_path, failure):
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    with pytest.raises(type(failure)), write_atomic(str(path)) as file:
        file.write(b"half")
        raise failure
    assert path.read_bytes() == b"old"
    assert [found.name for found in tmp_path.iterdir()] == ["a.json"]


def test_full_disk_names_the_final_file(tmp_path):
    path = tmp_path / "a.json"
    with pytest.raises(OSError, match="No space left") as caught, write_atomic(path) as file:
        (tmp_path.parent / "full").symlink_to("/dev/full")
        with (tmp_path.parent / "full").open("wb", buffering=0) as full:
            full.write(b"x")
        file.write(b"x")
    assert caught.value.filename == str(path)


def test_missing_folder_names_the_final_file(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, write_atomic(tmp_path / "no" / "a.json"):
        pass
    assert caught.value.filename == str(tmp_path / "no" / "a.json")


def test_error_about_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, write_atomic(tmp_path / "a.json"):
        (tmp_path / "source").read_bytes()
    assert caught.value.filename == str(tmp_path / "source")


def test_durable_file_is_synced_before_its_name_and_the_folder_after(tmp_path, monkeypatch):
    path, events = tmp_path / "a.json", []

    def fsync(descriptor):
        synced = Path(f"/proc/self/fd/{descriptor}").readlink()
        events.append((synced.name, path.exists()))

    monkeypatch.setattr(files.os, "fsync", fsync)
    with write_atomic(path, durable=True) as file:
        file.write(b"x")
    assert events == [("a.json.partial", False), (tmp_path.name, True)]


def test_shared_files_have_a_partial_of_their_own_in_each_process(tmp_path):
    with atomic_path(tmp_path / "a", shared=True) as one:
        one.write_bytes(b"1")
        assert one.name == f"a.{os.getpid()}.partial"


def test_sha256_is_that_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


def test_second_process_finds_the_lock_taken(tmp_path):
    path = tmp_path / "lock"
    code = f"from celebahq.files import lock\nlock(open({str(path)!r}, 'w'))"
    with path.open("w") as file:
        assert lock(file)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "BlockingIOError" in done.stderr


def test_file_system_without_locks_is_told_apart(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", no_locks)
    with (tmp_path / "lock").open("w") as file:
        assert not lock(file)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a b.jpg", "a b.jpg"),
        ("\x1b[31m", r"\x1b[31m"),
        ("a\nb", r"a\nb"),
        ("\udcff", r"\xff"),
        ("é", "é"),
        ("\u202e", r"\u202e"),
    ],
)
def test_name_is_shown_on_one_line_without_commands_to_the_terminal(name, shown):
    assert printable(name) == shown
