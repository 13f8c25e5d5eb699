"""Writing celebahq.h5: the file is whole or absent, whatever is killed, full or in the way."""

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from celebahq_builder.hdf5 import DatasetError, DatasetWriter, FaceRecord, level_resolutions, open_dataset

ROOT = Path(__file__).resolve().parents[2]


def test_the_file_appears_only_when_it_is_whole(tmp_path, random_faces):
    path, faces = tmp_path / "faces.h5", random_faces(3, 8)
    with DatasetWriter(path, 8, 3, labels=np.zeros((3, 1))) as writer:
        for levels in faces:
            assert {item.name for item in tmp_path.iterdir()} == {"faces.h5.partial"}
            writer.write(levels)
    assert {item.name for item in tmp_path.iterdir()} == {"faces.h5", "faces-labels.npy"}


def test_a_failed_build_leaves_nothing(tmp_path, random_faces):
    with pytest.raises(ZeroDivisionError), DatasetWriter(tmp_path / "faces.h5", 8, 3) as writer:
        writer.write(random_faces(1, 8)[0])
        _ = 1 / 0
    assert not list(tmp_path.iterdir())


def test_too_few_or_too_many_faces_are_refused(tmp_path, random_faces):
    face = random_faces(1, 4)[0]
    with pytest.raises(ValueError, match="got 1 faces, expected 2"), DatasetWriter(tmp_path / "a.h5", 4, 2) as writer:
        writer.write(face)
    with pytest.raises(ValueError, match="got one face more"), DatasetWriter(tmp_path / "a.h5", 4, 1) as writer:
        writer.write(face)
        writer.write(face)
    assert not list(tmp_path.iterdir())


def test_provenance_of_only_some_rows_is_refused(tmp_path, random_faces, record):
    faces = random_faces(2, 4)
    with pytest.raises(ValueError, match="1 records for 2 rows"), DatasetWriter(tmp_path / "a.h5", 4, 2) as writer:
        writer.write(faces[0], record())
        writer.write(faces[1])
    partly = FaceRecord("a", "0" * 64, "0" * 64)
    with pytest.raises(ValueError, match="unknown in 1 of 2 rows"), DatasetWriter(tmp_path / "a.h5", 4, 2) as writer:
        writer.write(faces[0], record())
        writer.write(faces[1], partly)


def test_existing_files_are_never_overwritten(tmp_path, random_faces, write):
    path = write(tmp_path / "faces.h5", random_faces(1, 4))
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match=r"faces\.h5: exists already"):
        DatasetWriter(path, 4, 1)
    assert path.read_bytes() == before

    foreign = tmp_path / "more-labels.npy"
    foreign.write_bytes(b"somebody's labels")
    for labels in (None, np.zeros((1, 3))):
        with pytest.raises(FileExistsError, match=r"more-labels\.npy: would pass for the labels of more\.h5"):
            DatasetWriter(tmp_path / "more.h5", 4, 1, labels=labels)
    assert foreign.read_bytes() == b"somebody's labels"


def test_a_second_writer_of_the_same_file_is_refused(tmp_path, random_faces):
    path, face = tmp_path / "faces.h5", random_faces(1, 4)[0]
    code = f"from celebahq_builder.hdf5 import DatasetWriter\nDatasetWriter({str(path)!r}, 4, 1)"
    with DatasetWriter(path, 4, 1) as writer:
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
        assert "faces.h5.partial: another process is writing it" in other.stderr
        writer.write(face)
    assert len(open_dataset(path)) == 1


_KILLED = """
import sys, numpy as np
from celebahq_builder.hdf5 import DatasetWriter, level_resolutions
with DatasetWriter(sys.argv[1], 64, 4000, labels=np.ones((4000, 3))) as writer:
    for i in range(4000):
        writer.write({r: np.full((3, r, r), i % 256, np.uint8) for r in level_resolutions(64)})
        if i % 50 == 0:
            print(i, flush=True)
print("whole", flush=True)
"""


def test_a_kill_at_any_moment_leaves_no_file_that_looks_finished(tmp_path):
    path = tmp_path / "faces.h5"
    delays = iter((0.0, 0.003, 0.01, 0.03, 0.06))
    for rows in (0, 1000, 3000, 3950, 3950):  # the last rows, so that some kills fall on closing and publishing
        child = subprocess.Popen(
            [sys.executable, "-c", _KILLED, str(path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        for line in child.stdout:
            if line.strip() == "whole" or int(line) >= rows:
                break
        time.sleep(next(delays))
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        sidecar = tmp_path / "faces-labels.npy"
        if path.exists():  # then it is whole, labels included
            dataset = open_dataset(path)
            np.testing.assert_array_equal(dataset.read(64, range(4000))[:, 0, 0, 0], np.arange(4000) % 256)
            np.testing.assert_array_equal(np.load(sidecar), np.ones((4000, 3)))
            path.unlink()
        if sidecar.exists():
            np.testing.assert_array_equal(np.load(sidecar), np.ones((4000, 3)))
        partial = tmp_path / "faces.h5.partial"
        if partial.exists():
            with pytest.raises(DatasetError):
                open_dataset(partial)
    # What the kills left does not stop the next run.
    subprocess.run([sys.executable, "-c", _KILLED, str(path)], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    assert len(open_dataset(path)) == 4000
    assert not (tmp_path / "faces.h5.partial").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no RLIMIT_FSIZE")
@pytest.mark.parametrize("limit", [100_000, 900_000, 1_500_000])
def test_a_disk_that_fills_up_is_one_clear_line_and_no_dataset(tmp_path, limit):
    path = tmp_path / "faces.h5"
    code = textwrap.dedent(f"""
        import resource, sys, numpy as np
        from celebahq_builder.hdf5 import DatasetWriter, level_resolutions
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
        try:
            with DatasetWriter({str(path)!r}, 64, 100) as writer:
                for i in range(100):
                    writer.write({{r: np.full((3, r, r), i, np.uint8) for r in level_resolutions(64)}})
        except OSError as error:
            print(error)
            sys.exit(7)
    """)
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert child.returncode == 7, child.stderr
    assert child.stdout == f"{path}.partial: File too large; no dataset was made\n"
    assert not path.exists()


def test_a_dataset_larger_than_the_disk_is_refused_before_the_first_face(tmp_path):
    with pytest.raises(OSError, match=r"faces\.h5: needs .* MB, .* MB are free"):
        DatasetWriter(tmp_path / "faces.h5", 1024, 10**9)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_one_clear_line(tmp_path):
    with pytest.raises(
        OSError, match=r"^.*missing/faces\.h5\.partial: No such file or directory; no dataset was made$"
    ):
        DatasetWriter(tmp_path / "missing" / "faces.h5", 4, 1)


def test_a_resolution_that_is_no_power_of_two_is_refused(tmp_path):
    with pytest.raises(ValueError, match="resolution: got 100, expected a power of two"):
        DatasetWriter(tmp_path / "faces.h5", 100, 1)
    assert level_resolutions(8) == (8, 4, 2, 1)


def test_names_of_labels_that_are_no_text_are_spelled_out(tmp_path):
    names = ["caf\udce9", "\ud800", "ü"]  # a byte of latin-1; half a pair, which a JSON may hold; and text
    with DatasetWriter(tmp_path / "a.h5", 4, 2, labels=np.zeros((2, 3)), label_names=names) as writer:
        for _ in range(2):
            writer.write({r: np.zeros((3, r, r), np.uint8) for r in (4, 2, 1)})
    with open_dataset(tmp_path / "a.h5") as dataset:
        assert dataset.label_names == ("caf\\udce9", "\\ud800", "ü")
    with h5py.File(tmp_path / "a.h5", "r+") as file:  # of somebody else
        file["labels"].attrs.create("names", [b"\x80", b"b", b"c"], dtype=h5py.string_dtype())
    with open_dataset(tmp_path / "a.h5") as dataset:
        assert all(name.encode() for name in dataset.label_names) and dataset.label_names[1:] == ("b", "c")
