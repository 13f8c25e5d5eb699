"""metadata.jsonl of extract: what the dataset knows of each image, as other programs read it."""

import json

import numpy as np
import pytest

from celebahq_builder.hdf5 import DatasetWriter
from celebahq_builder.pyramid import pyramid


def lines_of(folder):
    return [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]


def test_every_image_has_a_line_with_what_is_known_of_it(dataset, tmp_path, run):
    assert run("extract", dataset, "--output", tmp_path / "x", "--rows", "1,4", "--names", "source") == 0
    one, other = lines_of(tmp_path / "x")
    assert (one["file_name"], one["row"], one["source"], one["face_index"]) == ("day 0/p-1.png", 1, "day 0/p.jpg", 1)
    assert (tmp_path / "x" / one["file_name"]).is_file()
    assert one["score"] == 0.95 and np.shape(one["landmarks"]) == (5, 2) and np.shape(one["quad"]) == (4, 2)
    assert one["labels"] == [0.0, 1.0, 0.0] and other["labels"] == [0.0, 0.0, 0.0]
    assert run("extract", dataset, "--output", tmp_path / "x", "--rows", "1,4", "--names", "source") == 0, "goes on"


def test_marks_stand_in_the_line(tmp_path, run, noise_image):
    path = tmp_path / "f.h5"
    with DatasetWriter(path, 16, 2, columns={"marks": np.array(["dark gray", ""], object)}) as writer:
        for i in range(2):
            writer.write(pyramid(noise_image(i)))
    assert run("extract", path, "--output", tmp_path / "x") == 0
    assert [line["marks"] for line in lines_of(tmp_path / "x")] == ["dark gray", ""]
    assert run("select", path, "--output", tmp_path / "g.h5", "--where", 'marks has "gray"') == 0
    assert run("extract", tmp_path / "g.h5", "--output", tmp_path / "y") == 0
    assert [line["marks"] for line in lines_of(tmp_path / "y")] == ["dark gray"]


def test_class_of_a_row_is_told_by_its_name(tmp_path, run, noise_image):
    path = tmp_path / "f.h5"
    with DatasetWriter(path, 16, 2, labels=np.eye(2), label_names=["cat", "dog"]) as writer:
        for i in range(2):
            writer.write(pyramid(noise_image(i)))
    assert run("extract", path, "--output", tmp_path / "x") == 0
    assert [(line["file_name"], line["label"]) for line in lines_of(tmp_path / "x")] == [
        ("00000.png", "cat"), ("00001.png", "dog"),
    ]  # fmt: skip


def test_datasets_reads_the_folder_with_its_metadata(dataset, tmp_path, run, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    assert run("extract", dataset, "--output", tmp_path / "x", "--rows", "0:3") == 0
    for name in ("labels.csv", ".extract.json"):
        (tmp_path / "x" / name).unlink()
    read = datasets.load_dataset(
        "imagefolder", data_dir=str(tmp_path / "x"), split="train", cache_dir=str(tmp_path / "c")
    )
    assert read["source"] == ["day 0/p.jpg", "day 0/p.jpg", "day 1/p.jpg"] and read[0]["image"].size == (16, 16)
