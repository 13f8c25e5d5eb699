"""select and merge of files that other versions or programs wrote: what is not known is told, and goes along."""

import shutil

import h5py

from celebahq_builder.build import build
from celebahq_builder.hdf5 import DatasetWriter, FaceRecord, open_dataset
from celebahq_builder.hdf5_format.rows import read_rows
from celebahq_builder.marks import MARKS_VERSION, UNMEASURED
from celebahq_builder.pyramid import pyramid


def make(path, noise_image):
    """A dataset of two faces."""
    with DatasetWriter(path, 16, 2) as writer:
        for seed in (1, 2):
            hashes = {"source_sha256": f"{seed:064x}", "pixel_sha256": f"{seed:064x}"}
            writer.write(pyramid(noise_image(seed)), FaceRecord(source=f"{seed}.jpg", score=1 - seed / 100, **hashes))


def test_marks_that_nobody_knows_are_told_where_a_condition_asks_for_them(tmp_path, noise_image, run, capsys):
    old, new = tmp_path / "old.h5", tmp_path / "new.h5"
    for path, version in ((old, None), (new, MARKS_VERSION)):
        make(path, noise_image)
        with h5py.File(path, "r+") as file:
            marks = file["faces"].create_dataset("marks", (2,), h5py.string_dtype())
            marks[:] = ["gray", UNMEASURED if version else ""]
            if version:
                file.attrs["marks_version"] = version
    for path, number in ((old, 2), (new, 1)):
        condition = 'not (marks has "gray")'
        assert run("select", path, "--output", path.with_suffix(".out.h5"), "--where", condition) == 0
        assert f"marks of {number} of 2 faces are not known" in capsys.readouterr().err


def test_merged_marks_are_of_the_newest_version_and_others_are_not_known(sequence, run, capsys):
    sequence.set(keep=50, dedupe="off")
    build(sequence.config)
    new, old = sequence.config.output, sequence.folder / "old.h5"
    shutil.copy(new, old)
    for path, version in ((new, 7), (old, 6)):
        with h5py.File(path, "r+") as file:
            file.attrs["marks_version"] = version
            if path == old:  # of other photos
                file["faces/source_sha256"][:] = [f"{i:064x}".encode() for i in range(len(file["faces/source_sha256"]))]
    words = {name: row["marks"] for name, row in sequence.rows().items() if row["status"] == "kept"}
    assert set(words.values()) > {"", "dark"}
    both = sequence.folder / "both.h5"
    capsys.readouterr()
    assert run("merge", new, old, "--folders", "--output", both) == 0
    assert (
        f"old.h5: its marks are of version 6, others' of 7: those of its {len(words)} faces" in capsys.readouterr().err
    )
    with open_dataset(both) as merged:
        assert merged.attributes["marks_version"] == 7
        columns = merged.faces
        given = dict(zip(zip(columns["source"], columns["face_index"], strict=True), columns["marks"], strict=True))
    expected = {f"f/{name}": marks for name, marks in words.items()} | {f"old/{name}": UNMEASURED for name in words}
    assert {f"{source}#{index}": marks for (source, index), marks in given.items()} == expected
    rows = {f"{row['source']}#{row['face_index']}": row for row in read_rows(both).as_dicts()}
    assert {name: row["marks"] for name, row in rows.items() if row["status"] == "kept"} == expected


def test_marks_of_files_of_one_version_are_merged_as_they_are(sequence, run, capsys):
    build(sequence.config)
    both = sequence.folder / "both.h5"
    assert run("merge", sequence.config.output, sequence.config.output, "--output", both) == 0
    assert "version" not in capsys.readouterr().err
    with open_dataset(both) as merged, open_dataset(sequence.config.output) as before:
        assert list(merged.faces["marks"]) == list(before.faces["marks"])
        assert merged.attributes["marks_version"] == MARKS_VERSION


def test_an_attribute_that_is_no_utf8_goes_along_spelled_out(tmp_path, noise_image, run):
    make(tmp_path / "f.h5", noise_image)
    kind = h5py.string_dtype()
    with h5py.File(tmp_path / "f.h5", "r+") as file:
        file.attrs.create("note", b"caf\xe9", dtype=kind)
    assert run("select", tmp_path / "f.h5", "--output", tmp_path / "g.h5", "--top", "1") == 0
    assert run("merge", tmp_path / "f.h5", tmp_path / "g.h5", "--output", tmp_path / "h.h5") == 0
    with h5py.File(tmp_path / "h.h5") as file:
        assert file.attrs["note"] == r"caf\xe9"
