"""celebahq.h5: readable by the rules of 2017, never half a file, read in any order and any process."""

import gc
import json
import multiprocessing
import os
import pickle
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from celebahq_builder.hdf5 import DatasetError, DatasetWriter, FaceRecord, chunk_rows, open_dataset
from celebahq_builder.hdf5_format import validation

ROOT = Path(__file__).resolve().parents[2]


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
def test_a_reader_by_the_rules_of_2017_finds_every_level(tmp_path, compression, random_faces, write):
    faces = random_faces(50, 32)
    path = write(tmp_path / "faces.h5", faces, compression=compression, labels=np.eye(50, 4))
    levels = read_by_the_rules_of_2017(path)
    assert list(levels) == [32, 16, 8, 4, 2, 1]
    for r, images in levels.items():
        np.testing.assert_array_equal(images, [face[r] for face in faces])
    np.testing.assert_array_equal(np.load(tmp_path / "faces-labels.npy"), np.eye(50, 4, dtype=np.float32))


def test_layout_is_that_of_the_released_files(tmp_path, random_faces, write):
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


def test_default_is_uncompressed_in_the_oldest_hdf5_layout(tmp_path, random_faces, write):
    path = write(tmp_path / "faces.h5", random_faces(2, 8))
    assert path.read_bytes()[8] == 0  # superblock version 0: what every HDF5 library reads
    with h5py.File(path, "r") as file:
        assert file["data8x8"].compression is None


def test_chunks_hold_at_least_128_bytes():
    assert [chunk_rows(r) for r in (1024, 16, 8, 4, 2, 1)] == [1, 1, 1, 3, 11, 43]


def test_no_other_root_name_begins_with_data(tmp_path, random_faces, write):
    path = write(tmp_path / "faces.h5", random_faces(1, 4), labels=np.zeros((1, 2)))
    with h5py.File(path, "r") as file:
        assert set(file) == {"data4x4", "data2x2", "data1x1", "faces", "labels"}


def test_provenance_comes_back_as_written(tmp_path, random_faces, record, write):
    attributes = {"config": json.dumps({"keep": 3}), "weights_sha256": "ab"}
    with open_dataset(write(tmp_path / "faces.h5", random_faces(3, 4), attributes=attributes)) as dataset:
        assert dataset.attributes == {"format_version": 1, "builder_version": dataset.attributes["builder_version"]} | (
            attributes
        )
        faces = dataset.faces
        for i in range(3):
            known = {name: value for name, value in vars(record(i)).items() if value is not None}
            assert known.keys() == faces.keys()
            for name, value in known.items():
                np.testing.assert_array_equal(faces[name][i], value, err_msg=name)
        assert faces["landmarks"].dtype == np.float32


def test_names_that_are_no_utf8_survive(tmp_path, random_faces):
    name = os.fsdecode(b"caf\xe9/\xff.jpg")
    with DatasetWriter(tmp_path / "faces.h5", 1, 1) as writer:
        writer.write(random_faces(1, 1)[0], FaceRecord(name, "0" * 64, "1" * 64))
    with open_dataset(tmp_path / "faces.h5") as dataset:
        assert dataset.faces["source"][0] == name
        assert set(dataset.faces) == {"source", "source_sha256", "pixel_sha256", "face_index"}


def test_same_faces_make_the_same_bytes(tmp_path, random_faces, write):
    faces = random_faces(20, 16)
    a, b = write(tmp_path / "a.h5", faces), write(tmp_path / "b.h5", faces)
    assert a.read_bytes() == b.read_bytes()


# Reader


def test_rows_come_in_any_order_and_as_often_as_asked(tmp_path, random_faces, write):
    faces = random_faces(30, 8)
    with open_dataset(write(tmp_path / "faces.h5", faces)) as dataset:
        for rows in ([29, 3, 3, 4, 5, 0, 29], [], [7], range(30), np.array([2, 1])):
            expected = np.array([faces[i][8] for i in rows], np.uint8).reshape(-1, 3, 8, 8)
            np.testing.assert_array_equal(dataset.read(8, rows), expected)
        with pytest.raises(IndexError, match=r"expected a flat list of 0\.\.29"):
            dataset.read(8, [30])
        with pytest.raises(IndexError):
            dataset.read(8, [-1])
        with pytest.raises(ValueError, match="got 16, expected one that"):
            dataset.read(16, [0])


def _read_in_child(dataset, queue):
    queue.put(dataset.read(8, [5, 1]))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_reader_works_in_forked_and_spawned_processes(tmp_path, method, random_faces, write):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    faces = random_faces(6, 8)
    with open_dataset(write(tmp_path / "faces.h5", faces)) as dataset:
        dataset.read(8, [0])  # the file is open when the child starts
        context = multiprocessing.get_context(method)
        queue = context.Queue()
        child = context.Process(target=_read_in_child, args=(dataset, queue))
        child.start()
        received = queue.get(timeout=600)
        child.join()
        np.testing.assert_array_equal(received, [faces[5][8], faces[1][8]])
        np.testing.assert_array_equal(dataset.read(8, [2]), [faces[2][8]])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_torch_data_loader_reads_it_with_two_workers(tmp_path, method, random_faces, write):
    faces, labels = random_faces(7, 8), np.eye(7, 3, dtype=np.float32)
    with open_dataset(write(tmp_path / "faces.h5", faces, labels=labels), resolution=4) as dataset:
        dataset[0]  # the file is open when the workers start
        loader = torch.utils.data.DataLoader(dataset, batch_size=3, num_workers=2, multiprocessing_context=method)
        images, found = map(torch.cat, zip(*loader, strict=True))
    assert images.dtype == torch.uint8 and images.shape == (7, 3, 4, 4)
    np.testing.assert_array_equal(images.numpy(), [face[4] for face in faces])
    np.testing.assert_array_equal(found.numpy(), labels)


def test_rows_are_images_with_labels_of_the_level_that_was_asked_for(tmp_path, random_faces, write):
    faces = random_faces(3, 4)
    with open_dataset(write(tmp_path / "faces.h5", faces)) as dataset:
        assert [image.shape for image, _ in dataset] == [(3, 4, 4)] * 3
        image, label = dataset[-1]
        np.testing.assert_array_equal(image, faces[2][4])
        assert label.shape == (0,) and label.dtype == np.float32
        for row in (3, -4):
            with pytest.raises(IndexError, match=rf"got row {row}, expected one of 3"):
                dataset[row]
    with pytest.raises(DatasetError, match="got resolution 8, expected one of 4, 2, 1"):
        open_dataset(tmp_path / "faces.h5", resolution=8)


def test_a_pickled_reader_opens_the_file_again(tmp_path, random_faces, write):
    faces = random_faces(2, 4)
    with open_dataset(write(tmp_path / "faces.h5", faces)) as dataset:
        copy = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_array_equal(copy.read(4, [1]), [faces[1][4]])
    assert (copy.resolutions, len(copy), copy.resolution) == ((4, 2, 1), 2, 4)


def test_files_of_the_original_programs_open(tmp_path, random_faces):
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
        (_delete("data2x2"), "data2x2 missing, expected every level down to data1x1"),
        (
            _replace("data4x4", (3, 1, 4, 4), np.uint8),
            r"data2x2 is \(3, 3, 2, 2\) uint8, expected \(N, 1, 2, 2\) uint8",
        ),
        (_replace("data4x4", (3, 3, 4, 4), np.float32), r"data4x4 is \(3, 3, 4, 4\) float32"),
        (_replace("data2x2", (2, 3, 2, 2), np.uint8), "'data2x2': 2.* expected levels of one length"),
        (_replace("data6x6", (3, 3, 6, 6), np.uint8), "data6x6 as top level, expected a power of two"),
        (_replace("labels", (2, 3), np.float32), r"labels: got \(2, 3\) float32, expected \(3, L\) numbers"),
        (_empty, "0 images, expected at least 1"),
        (lambda file: file.attrs.create("unfinished", 1), "an unfinished file"),
        (lambda file: [file.pop(key) for key in list(file)], r"no data\{R\}x\{R\} in this HDF5 file"),
    ],
)
def test_a_file_that_is_not_whole_is_refused_in_one_line(tmp_path, change, message, random_faces, write):
    path = write(tmp_path / "faces.h5", random_faces(3, 4), labels=np.zeros((3, 2)))
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(DatasetError, match=message) as raised:
        open_dataset(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_what_is_no_hdf5_is_refused_in_one_line(tmp_path, random_faces, write):
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


def test_a_labels_file_of_another_length_is_refused(tmp_path, random_faces, write):
    path = write(tmp_path / "faces.h5", random_faces(3, 4))
    for content in (np.zeros((2, 5)), np.zeros(3), np.array([["a"]] * 3)):
        np.save(tmp_path / "faces-labels.npy", content)
        with pytest.raises(DatasetError, match=r"faces-labels\.npy: got .*, expected"):
            open_dataset(path)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux forks")
def test_child_that_goes_first_collects_no_garbage_and_this_process_goes_on_collecting(tmp_path, monkeypatch):
    def tell(path, every_text, allow, alone):
        raise DatasetError(f"collects: {gc.isenabled()}")

    monkeypatch.setattr(validation, "_check", tell)
    (tmp_path / "f.h5").write_bytes(b"x")
    assert gc.isenabled()
    with pytest.raises(DatasetError, match="collects: False"):
        validation.check_file(tmp_path / "f.h5")
    assert gc.isenabled()
