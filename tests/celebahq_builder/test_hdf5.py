"""celebahq.h5: readable by the rules of 2017, never half a file, read in any order and any process."""

import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from celebahq_builder.hdf5 import DatasetError, DatasetWriter, FaceRecord, chunk_rows, level_resolutions, open_dataset

ROOT = Path(__file__).resolve().parents[2]


def cascade(face: np.ndarray) -> dict[int, np.ndarray]:
    """Levels of a (3, R, R) uint8 face by the rule of 2017: float means of the unrounded level above, rint once."""
    levels, level = {}, face.astype(np.float64)
    while True:
        r = level.shape[-1]
        levels[r] = np.clip(np.rint(level), 0, 255).astype(np.uint8)
        if r == 1:
            return levels
        level = level.reshape(3, r // 2, 2, r // 2, 2).mean(axis=(2, 4))


def random_faces(count: int, resolution: int, seed: int = 0) -> list[dict[int, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [cascade(rng.integers(0, 256, (3, resolution, resolution), dtype=np.uint8)) for _ in range(count)]


def record(i: int = 0) -> FaceRecord:
    return FaceRecord(
        source=f"some folder/photo {i}.jpg",
        source_sha256=f"{i:064x}",
        pixel_sha256=f"{i + 1:064x}",
        face_index=i % 3,
        scale=1.5 + i,
        landmarks=np.arange(10).reshape(5, 2) + i,
        quad=np.arange(8).reshape(4, 2) / 3 + i,
        score=1 - i / 100,
        breadth=0.5,
        isotropy=0.25,
    )


def write(path: Path, faces: list[dict[int, np.ndarray]], **options) -> Path:
    with DatasetWriter(path, max(faces[0]), len(faces), **options) as writer:
        for i, levels in enumerate(faces):
            writer.write(levels, record(i))
    return path


def read_by_the_rules_of_2017(path: Path) -> dict[int, np.ndarray]:
    """What both old readers do: Theano walks from the largest level to 1x1, TensorFlow takes the max by shape[3]."""
    with h5py.File(path, "r") as file:
        top = max((value for key, value in file.items() if key.startswith("data")), key=lambda value: value.shape[3])
        resolution = top.shape[2]
        levels = {}
        while resolution >= 1:
            level = file[f"data{resolution}x{resolution}"]
            assert level.shape == (top.shape[0], 3, resolution, resolution)
            assert level.shape[0] > 0
            assert level.dtype == np.uint8
            levels[resolution] = level[:]
            resolution //= 2
        return levels


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_a_reader_by_the_rules_of_2017_finds_every_level(tmp_path, compression):
    faces = random_faces(50, 32)
    path = write(tmp_path / "faces.h5", faces, compression=compression, labels=np.eye(50, 4))
    levels = read_by_the_rules_of_2017(path)
    assert list(levels) == [32, 16, 8, 4, 2, 1]
    for r, images in levels.items():
        np.testing.assert_array_equal(images, [face[r] for face in faces])
    np.testing.assert_array_equal(np.load(tmp_path / "faces-labels.npy"), np.eye(50, 4, dtype=np.float32))


def test_layout_is_that_of_the_released_files(tmp_path):
    path = write(tmp_path / "faces.h5", random_faces(50, 16), compression="gzip")
    with h5py.File(path, "r") as file:
        assert file.userblock_size == 0
        chunks = {16: 1, 8: 1, 4: 3, 2: 11, 1: 43}  # of a file made by running the released program
        for r, rows in chunks.items():
            level = file[f"data{r}x{r}"]
            assert level.maxshape == (None, 3, r, r)
            assert level.chunks == (rows, 3, r, r)
            assert (level.compression, level.compression_opts) == ("gzip", 4)
            assert not level.shuffle
            assert not level.fletcher32
            assert level.fillvalue == 0


def test_default_is_uncompressed_in_the_oldest_hdf5_layout(tmp_path):
    path = write(tmp_path / "faces.h5", random_faces(2, 8))
    assert path.read_bytes()[8] == 0  # superblock version 0: what every HDF5 library reads
    with h5py.File(path, "r") as file:
        assert file["data8x8"].compression is None


def test_chunks_hold_at_least_128_bytes():
    assert [chunk_rows(r) for r in (1024, 16, 8, 4, 2, 1)] == [1, 1, 1, 3, 11, 43]


def test_no_other_root_name_begins_with_data(tmp_path):
    path = write(tmp_path / "faces.h5", random_faces(1, 4), labels=np.zeros((1, 2)))
    with h5py.File(path, "r") as file:
        assert set(file) == {"data4x4", "data2x2", "data1x1", "faces", "labels"}


def test_provenance_comes_back_as_written(tmp_path):
    attributes = {"config": json.dumps({"keep": 3}), "weights_sha256": "ab"}
    with open_dataset(write(tmp_path / "faces.h5", random_faces(3, 4), attributes=attributes)) as dataset:
        assert dataset.attributes == {"format_version": 1, "builder_version": dataset.attributes["builder_version"]} | (
            attributes
        )
        faces = dataset.faces
        for i in range(3):
            for name, value in vars(record(i)).items():
                np.testing.assert_array_equal(faces[name][i], value, err_msg=name)
        assert faces["landmarks"].dtype == np.float32


def test_names_that_are_no_utf8_survive(tmp_path):
    name = os.fsdecode(b"caf\xe9/\xff.jpg")
    with DatasetWriter(tmp_path / "faces.h5", 1, 1) as writer:
        writer.write(random_faces(1, 1)[0], FaceRecord(name, "0" * 64, "1" * 64))
    with open_dataset(tmp_path / "faces.h5") as dataset:
        assert dataset.faces["source"][0] == name
        assert set(dataset.faces) == {"source", "source_sha256", "pixel_sha256", "face_index"}


def test_same_faces_make_the_same_bytes(tmp_path):
    faces = random_faces(20, 16)
    a, b = write(tmp_path / "a.h5", faces), write(tmp_path / "b.h5", faces)
    assert a.read_bytes() == b.read_bytes()


# Reader


def test_rows_come_in_any_order_and_as_often_as_asked(tmp_path):
    faces = random_faces(30, 8)
    with open_dataset(write(tmp_path / "faces.h5", faces)) as dataset:
        for rows in ([29, 3, 3, 4, 5, 0, 29], [], [7], range(30), np.array([2, 1])):
            expected = np.array([faces[i][8] for i in rows], np.uint8).reshape(-1, 3, 8, 8)
            np.testing.assert_array_equal(dataset.read(8, rows), expected)
        with pytest.raises(IndexError, match=r"rows 0\.\.29 are wanted"):
            dataset.read(8, [30])
        with pytest.raises(IndexError):
            dataset.read(8, [-1])
        with pytest.raises(ValueError, match="16 is not in"):
            dataset.read(16, [0])


def _read_in_child(dataset, queue):
    queue.put(dataset.read(8, [5, 1]))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_reader_works_in_forked_and_spawned_processes(tmp_path, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    faces = random_faces(6, 8)
    with open_dataset(write(tmp_path / "faces.h5", faces)) as dataset:
        dataset.read(8, [0])  # the file is open when the child starts
        context = multiprocessing.get_context(method)
        queue = context.Queue()
        child = context.Process(target=_read_in_child, args=(dataset, queue))
        child.start()
        received = queue.get(timeout=60)
        child.join()
        np.testing.assert_array_equal(received, [faces[5][8], faces[1][8]])
        np.testing.assert_array_equal(dataset.read(8, [2]), [faces[2][8]])


def test_a_pickled_reader_opens_the_file_again(tmp_path):
    faces = random_faces(2, 4)
    with open_dataset(write(tmp_path / "faces.h5", faces)) as dataset:
        copy = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_array_equal(copy.read(4, [1]), [faces[1][4]])
    assert (copy.resolutions, len(copy), copy.resolution) == ((4, 2, 1), 2, 4)


def test_files_of_the_original_programs_open(tmp_path):
    path = tmp_path / "old.h5"
    faces = random_faces(7, 16)
    with h5py.File(path, "w") as file:
        for r in (16, 8, 4, 2, 1):
            data = np.array([face[r] for face in faces])
            file.create_dataset(f"data{r}x{r}", data=data, chunks=(min(7, chunk_rows(r)), 3, r, r), compression="gzip")
    np.save(tmp_path / "old-labels.npy", np.eye(7, dtype=np.float32))
    with open_dataset(path) as dataset:
        assert dataset.resolutions == (16, 8, 4, 2, 1)
        assert (dataset.faces, dataset.attributes) == ({}, {})
        np.testing.assert_array_equal(dataset.labels, np.eye(7))
        np.testing.assert_array_equal(dataset.read(16, [6, 0]), [faces[6][16], faces[0][16]])


def _delete(key):
    def change(file):
        del file[key]

    return change


def _replace(key, shape, dtype):
    def change(file):
        file.pop(key, None)
        file.create_dataset(key, data=np.zeros(shape, dtype))

    return change


def _empty(file):
    for key in list(file):
        if key.startswith("data"):
            file[key].resize(0, axis=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_delete("data2x2"), "data2x2 missing, every level down to data1x1 is wanted"),
        (_replace("data4x4", (3, 1, 4, 4), np.uint8), r"data4x4 is \(3, 1, 4, 4\) uint8, \(N, 3, 4, 4\) uint8"),
        (_replace("data4x4", (3, 3, 4, 4), np.float32), r"data4x4 is \(3, 3, 4, 4\) float32"),
        (_replace("data2x2", (2, 3, 2, 2), np.uint8), "levels of different length.*'data2x2': 2"),
        (_replace("data6x6", (3, 3, 6, 6), np.uint8), "data6x6 as top level, a power of two is wanted"),
        (_replace("labels", (2, 3), np.float32), r"labels: \(2, 3\) float32, \(3, L\) numbers are wanted"),
        (_empty, "0 images, at least 1 is wanted"),
        (lambda file: file.attrs.create("unfinished", 1), "an unfinished file"),
        (lambda file: [file.pop(key) for key in list(file)], r"no data\{R\}x\{R\} in this HDF5 file"),
    ],
)
def test_a_file_that_is_not_whole_is_refused_in_one_line(tmp_path, change, message):
    path = write(tmp_path / "faces.h5", random_faces(3, 4), labels=np.zeros((3, 2)))
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(DatasetError, match=message) as raised:
        open_dataset(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_what_is_no_hdf5_is_refused_in_one_line(tmp_path):
    whole = write(tmp_path / "faces.h5", random_faces(30, 16)).read_bytes()
    cases = {
        "missing.h5": None,
        "text.h5": b"not a dataset",
        "empty.h5": b"",
        "cut.h5": whole[: len(whole) // 2],
        "faces.h5.partial": whole,
    }
    for name, data in cases.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(DatasetError, match=f"^{tmp_path / name}: .*, .*$"):
            open_dataset(tmp_path / name)
    with pytest.raises(DatasetError, match="a folder"):
        open_dataset(tmp_path)


def test_a_labels_file_of_another_length_is_refused(tmp_path):
    path = write(tmp_path / "faces.h5", random_faces(3, 4))
    for content in (np.zeros((2, 5)), np.zeros(3), np.array([["a"]] * 3)):
        np.save(tmp_path / "faces-labels.npy", content)
        with pytest.raises(DatasetError, match=r"faces-labels\.npy: .* numbers are wanted"):
            open_dataset(path)


# Writer


def test_the_file_appears_only_when_it_is_whole(tmp_path):
    path, faces = tmp_path / "faces.h5", random_faces(3, 8)
    with DatasetWriter(path, 8, 3, labels=np.zeros((3, 1))) as writer:
        for levels in faces:
            assert {item.name for item in tmp_path.iterdir()} == {"faces.h5.partial"}
            writer.write(levels)
    assert {item.name for item in tmp_path.iterdir()} == {"faces.h5", "faces-labels.npy"}


def test_a_failed_build_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), DatasetWriter(tmp_path / "faces.h5", 8, 3) as writer:
        writer.write(random_faces(1, 8)[0])
        _ = 1 / 0
    assert not list(tmp_path.iterdir())


def test_too_few_or_too_many_faces_are_refused(tmp_path):
    face = random_faces(1, 4)[0]
    with pytest.raises(ValueError, match="1 of 2 faces written"), DatasetWriter(tmp_path / "a.h5", 4, 2) as writer:
        writer.write(face)
    with pytest.raises(ValueError, match="more than the 1 faces"), DatasetWriter(tmp_path / "a.h5", 4, 1) as writer:
        writer.write(face)
        writer.write(face)
    assert not list(tmp_path.iterdir())


def test_provenance_of_only_some_rows_is_refused(tmp_path):
    faces = random_faces(2, 4)
    with pytest.raises(ValueError, match="1 records for 2 rows"), DatasetWriter(tmp_path / "a.h5", 4, 2) as writer:
        writer.write(faces[0], record())
        writer.write(faces[1])
    partly = FaceRecord("a", "0" * 64, "0" * 64)
    with pytest.raises(ValueError, match="unknown in 1 of 2 rows"), DatasetWriter(tmp_path / "a.h5", 4, 2) as writer:
        writer.write(faces[0], record())
        writer.write(faces[1], partly)


def test_existing_files_are_never_overwritten(tmp_path):
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


def test_a_second_writer_of_the_same_file_is_refused(tmp_path):
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
    with pytest.raises(OSError, match=r"faces\.h5: needs .* GB, .* GB are free"):
        DatasetWriter(tmp_path / "faces.h5", 1024, 10**9)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_one_clear_line(tmp_path):
    with pytest.raises(
        OSError, match=r"^.*missing/faces\.h5\.partial: No such file or directory; no dataset was made$"
    ):
        DatasetWriter(tmp_path / "missing" / "faces.h5", 4, 1)


def test_a_resolution_that_is_no_power_of_two_is_refused(tmp_path):
    with pytest.raises(ValueError, match="resolution: 100 is not a power of two"):
        DatasetWriter(tmp_path / "faces.h5", 100, 1)
    assert level_resolutions(8) == (8, 4, 2, 1)
