"""How the builder's two commands end, whatever terminal or file system they meet: one line at most, no traceback."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from celebahq import files
from celebahq_builder.build import build
from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.state import build_folder
from celebahq_builder.state.build_folder import BuildFolder

ROOT = Path(__file__).resolve().parents[2]
BUILD, DATA = "celebahq_builder", "celebahq_builder.dataset"
NAME = "\N{CJK UNIFIED IDEOGRAPH-8A9E}.jpg"


def options(photos, output):
    return BuildConfig(input=photos, output=output, resolution=16, workers=0, restore="off")


def start(module, *words, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"} | environment,
    )


ASCII = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}


def test_any_name_is_told_on_a_terminal_that_takes_ascii_only(tmp_path):
    (tmp_path / NAME).write_bytes(b"no photo")
    process = start(BUILD, "--input", tmp_path / NAME, "--output", tmp_path / "f.h5", "--restore", "off", **ASCII)
    out, err = process.communicate()
    assert process.returncode == 2 and rb"\u8a9e.jpg" in out + err and b"Traceback" not in err
    process = start(DATA, "info", tmp_path / NAME, **ASCII)
    assert rb"\u8a9e.jpg" in process.communicate()[1] and process.returncode == 2


@pytest.mark.parametrize("module", [BUILD, DATA])
def test_reader_that_has_gone_ends_a_command_in_silence(module, tmp_path, write, random_faces):
    path = write(tmp_path / "f.h5", random_faces(2, 16))
    (tmp_path / "a.jpg").write_bytes(b"no photo")
    words = {
        BUILD: ["--input", tmp_path / "a.jpg", "--output", tmp_path / "g.h5", "--restore", "off"],
        DATA: ["info", path],
    }[module]
    process = start(module, *words, PYTHONUNBUFFERED="1")
    process.stdout.close()  # as `| head` does once it has seen enough, here before the first line
    assert process.stderr.read() == b""
    assert process.wait() == 141


def test_build_goes_on_where_the_file_system_has_no_locks_and_says_so_once(tmp_path, monkeypatch, logged):
    def flock(*args):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(files.fcntl, "flock", flock)
    with BuildFolder(tmp_path / "f.h5.build") as folder:
        assert folder.faces.is_dir()
    assert [line.getMessage() for line in logged] == [
        f"{tmp_path}/f.h5.build: no locks on this file system; let no second build write there meanwhile"
    ]


def test_link_to_another_disk_stays_a_link_and_the_file_goes_where_it_leads(made_photos, trouble, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "f.h5").symlink_to(tmp_path / "disk" / "faces.h5")
    build(options(made_photos, tmp_path / "f.h5"))
    assert (tmp_path / "f.h5").is_symlink() and (tmp_path / "disk" / "faces.h5").is_file()


@pytest.mark.parametrize("command", ["info", "verify", "compare", "preview", "extract"])
def test_dataset_is_read_where_the_file_system_has_no_locks(
    tmp_path, write, random_faces, command, run, monkeypatch, capsys
):
    path, out = write(tmp_path / "f.h5", random_faces(2, 16)), tmp_path / "out"

    class FileWithoutLocks(h5py.File):
        def __init__(self, name, mode="r", **more):
            if more.get("locking") is not False:
                raise OSError(errno.ENOLCK, "unable to lock file, errno = 37, error message = 'No locks available'")
            super().__init__(name, mode, **more)

    monkeypatch.setattr(h5py, "File", FileWithoutLocks)
    words = {"compare": [path], "preview": ["--output", f"{out}.png"], "extract": ["--output", out]}
    assert run(command, path, *words.get(command, [])) == 0, capsys.readouterr().err


def test_file_that_another_program_is_writing_is_named_as_that(tmp_path, refusal, capsys, monkeypatch):
    monkeypatch.delenv("HDF5_USE_FILE_LOCKING", raising=False)
    code = "import h5py, sys\nf = h5py.File(sys.argv[1], 'w')\nprint('open', flush=True)\nsys.stdin.read()"
    writer = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "f.h5")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert writer.stdout.readline() == b"open\n"
    try:
        message = refusal(capsys, "info", tmp_path / "f.h5")
    finally:
        writer.communicate(b"")
    assert message.startswith(f"{tmp_path}/f.h5: got a file that another program is writing")


def test_photo_with_the_longest_name_there_is_can_be_extracted_by_it(made_photos, trouble, tmp_path, run, capsys):
    names = ["n" * 251 + ".jpg", "n" * 250 + "m.jpg", "\N{CJK UNIFIED IDEOGRAPH-8A9E}" * 83 + ".jpg"]
    for name in names:
        (made_photos / name).write_bytes(name.encode())
    build(options(made_photos, tmp_path / "f.h5"))
    assert run("extract", tmp_path / "f.h5", "--output", tmp_path / "out", "--names", "source") == 0
    assert len(list((tmp_path / "out").glob("*.png"))) == 7
    for command in (["verify"], ["info"], ["preview", "--output", tmp_path / "p.png"]):
        assert run(command[0], tmp_path / "f.h5", *command[1:]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EBUSY, errno.ETXTBSY, errno.EXDEV, errno.EIO, errno.ENOTCONN])
def test_whatever_the_file_system_says_is_one_line_that_names_the_file_and_the_cause(
    made_photos, trouble, tmp_path, monkeypatch, number
):
    def write_atomic(path, *args, **more):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(build_folder, "write_atomic", write_atomic)
    with pytest.raises(BuildError) as caught:
        build(options(made_photos, tmp_path / "f.h5"))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/f.h5.build/faces/") and os.strerror(number) in message
    assert message.endswith("; put that right and run the same command again to continue")


def test_what_is_no_photo_is_counted_by_kind_at_the_end(made_photos, trouble, tmp_path, logged):
    (made_photos / "notes.txt").write_text("mine")
    (made_photos / "film.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    build(options(made_photos, tmp_path / "f.h5"))
    (line,) = [text for record in logged if (text := record.getMessage().strip()).startswith("No photos: ")]
    assert ".txt" in line and "mp4" in line.lower()
