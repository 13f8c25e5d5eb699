"""--labels of a build: each face gets its photo's, classes are those of all photos, other labels replace them."""

import h5py
import numpy as np
import pytest

from celebahq_builder import hdf5
from celebahq_builder.build import build
from celebahq_builder.config import BuildError
from celebahq_builder.hdf5 import open_dataset


@pytest.fixture(autouse=True)
def no_page(rebuilding, monkeypatch):
    """The page is not what this is about."""
    rebuilding.without_page(monkeypatch)


def labels_of(path):
    with open_dataset(path) as dataset:
        np.testing.assert_array_equal(np.load(path.with_name(path.stem + "-labels.npy")), dataset.labels)
        return dataset.faces["source"], dataset.labels, dataset.label_names


def test_folders_are_classes_and_csv_and_celebas_list_are_read(sequence, looked_at, run):
    output = sequence.config.output
    sequence.set(labels="folders", keep=3)
    sequence.rebuild(looked_at)
    sources, labels, names = labels_of(output)
    assert names == ("a", "b") and labels.tolist() == [[source[0] == "a", source[0] == "b"] for source in sources]

    table = sequence.folder / "t.csv"
    table.write_text("name,kind\n" + "".join(f"{name},{'xyz'[i % 3]}\n" for i, name in enumerate(sequence.names())))
    sequence.set(labels=str(table))
    assert sequence.rebuild(looked_at) == []
    assert labels_of(output)[2] == ("x", "y", "z"), "of all photos, though not every class is kept"

    listed = sequence.folder / "list_attr.txt"
    lines = [f"{name} {1 - 2 * (i % 2)} -1\n" for i, name in enumerate(sequence.names())]
    listed.write_text(f"{len(lines)}\nSmiling Hat\n" + "".join(lines))
    sequence.set(labels=str(listed))
    assert sequence.rebuild(looked_at) == []
    sources, labels, names = labels_of(output)
    assert names == ("Smiling", "Hat")
    assert labels[:, 0].tolist() == [1 - 2 * (sequence.names().index(source) % 2) for source in sources]
    assert run("verify", output) == 0

    output.with_name("f-labels.npy").unlink()
    assert sequence.rebuild(looked_at) == []
    np.testing.assert_array_equal(labels_of(output)[1], labels)

    sequence.set(labels=None)
    assert sequence.rebuild(looked_at) == []
    assert not output.with_name("f-labels.npy").exists()
    with h5py.File(output) as file:
        assert "labels" not in file


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("folders", "--labels folders: got x.png in no folder of its source, expected one a class"),
        ("t.csv", "--labels: .*t.csv: got no label for 1 of 9 images, the first is x.png, expected all"),
        ("none.csv", "--labels: .*none.csv: No such file or directory, expected a table of labels"),
        ("auto", "--labels: got auto, expected a table or folders"),
    ],
)
def test_photo_without_a_label_is_one_line_before_any_work(sequence, png, rebuilding, looked_at, labels, message):
    (sequence.folder / "t.csv").write_text("name,kind\n" + "".join(f"{name},k\n" for name in sequence.names()))
    rebuilding.make_photo(sequence.photos / "x.png", 1, png)
    sequence.set(labels=str(sequence.folder / labels) if labels.endswith(".csv") else labels)
    with pytest.raises(BuildError, match=message):
        build(sequence.config)
    assert looked_at == [] and not sequence.config.output.exists()


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_kill_among_the_steps_that_publish_labels_leaves_no_wrong_ones(sequence, looked_at, monkeypatch, moment):
    output, sidecar = sequence.config.output, sequence.folder / "f-labels.npy"
    sequence.set(labels="folders", keep=3)
    sequence.rebuild(looked_at)
    sequence.set(keep=2)
    left, publish = [moment], hdf5.PartialFile.publish

    class Killed(BaseException):
        pass

    def step(function):
        def wrapped(*args, **more):
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            return function(*args, **more)

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr(hdf5, "write_sidecar", step(hdf5.write_sidecar))
        patch.setattr(hdf5.PartialFile, "publish", step(publish))
        with pytest.raises(Killed):
            build(sequence.config)
    with open_dataset(output) as dataset:
        assert len(dataset) == (2 if moment == 3 else 3)
        assert not sidecar.exists() or len(np.load(sidecar)) == len(dataset)
    sequence.rebuild(looked_at)
    assert len(labels_of(output)[1]) == 2


def test_labels_of_something_else_are_not_overwritten(sequence):
    (sequence.folder / "f-labels.npy").write_bytes(b"other")
    sequence.set(labels="folders")
    with pytest.raises(BuildError, match=r"would pass for the labels of f.h5, remove it first"):
        build(sequence.config)
    assert (sequence.folder / "f-labels.npy").read_bytes() == b"other"
