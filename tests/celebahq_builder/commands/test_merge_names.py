"""Names in merged files are the photos' own, whatever letters and bytes they are made of."""

import h5py
import numpy as np

from celebahq_builder.hdf5 import DatasetWriter, FaceRecord, open_dataset
from celebahq_builder.hdf5_format.rows import columns_of_dicts, read_rows
from celebahq_builder.pyramid import pyramid


def make(path, names, noise_image):
    facts = [
        {"source": name, "face_index": 0, "status": "kept", "row": i, "score": 0.5} for i, name in enumerate(names)
    ]
    with DatasetWriter(path, 16, len(names), rows=columns_of_dicts(facts, len(facts))) as writer:
        for i, name in enumerate(names):
            digest = f"{names[i].encode('utf-8', 'surrogateescape').hex():0>64}"[-64:]
            face = FaceRecord(source=name, source_sha256=digest, pixel_sha256=digest, score=0.5)
            writer.write(pyramid(noise_image(i, 16)), face)
    return path


def test_names_of_a_merged_file_are_those_of_its_parts(tmp_path, noise_image, run):
    names = ["é/雪.jpg", "😀.jpg", "f/\udcff.jpg"]
    one, other, both = (tmp_path / f"{name}.h5" for name in ("a", "b", "both"))
    make(one, names[:2], noise_image), make(other, names[2:], noise_image)
    assert run("merge", one, other, "--output", both) == 0
    assert run("verify", both) == 0
    assert run("merge", one, other, "--folders", "--output", tmp_path / "folders.h5") == 0
    assert run("verify", tmp_path / "folders.h5") == 0
    assert run("select", both, "--where", "source = 'é/雪.jpg'", "--output", tmp_path / "some.h5") == 0
    with open_dataset(both) as dataset, open_dataset(tmp_path / "some.h5") as some:
        assert sorted(dataset.faces["source"]) == sorted(names) == sorted(read_rows(both)["source"])
        assert list(some.faces["source"]) == names[:1]
    with h5py.File(both) as file:  # for other programs
        assert h5py.check_string_dtype(file["faces/source"].dtype).encoding == "utf-8"


def test_names_that_a_file_of_before_calls_ascii_are_read_as_what_they_are(tmp_path, noise_image, run):
    names = ["é/雪.jpg", "f/\udcff.jpg"]
    path = make(tmp_path / "a.h5", names, noise_image)
    with h5py.File(path, "r+") as file:
        for key in ("faces/source", "rows/source"):
            column = np.array(list(file[key][:]), object)  # bytes, of which h5py makes ASCII
            del file[key]
            file[key] = column
            assert h5py.check_string_dtype(file[key].dtype).encoding == "ascii"
    with open_dataset(path) as dataset:
        assert list(dataset.faces["source"]) == list(read_rows(path)["source"]) == names
    assert run("verify", path) == 0
